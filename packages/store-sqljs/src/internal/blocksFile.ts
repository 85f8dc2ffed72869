/**
 * The file that holds the blocks of a database that have changed, until all of them are in their places.
 *
 * It is slices, each a line of JSON and the blocks it speaks of, and a last line:
 *
 * ```
 * {"$":"blocks","at":0,"runs":[[0,2],[7,1]],"bytes":12288,"sha256":"…"}
 * …12288 bytes: blocks 0, 1 and 7
 * {"$":"end","at":12388,"size":40960,"generation":3}
 * ```
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Exit from "effect/Exit"
import * as Crypto from "node:crypto"
import type { StoreError } from "@waymark/core/Store"
import { failure } from "@waymark/store-kit/Failures"
import type { Snapshot } from "../Persistence.ts"

/** Blocks that follow one another: the first, and how many there are. */
export type Run = readonly [first: number, count: number]

/** So many bytes are written at once. */
export const sliceSize = 1024 * 1024

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Line = Schema.fromJsonString(
  Schema.Union([
    Schema.Struct({
      $: Schema.Literal("blocks"),
      at: Count,
      runs: Schema.Array(Schema.Tuple([Count, Count])),
      bytes: Count,
      sha256: Schema.String
    }),
    Schema.Struct({ $: Schema.Literal("end"), at: Count, size: Count, generation: Count })
  ])
)
const decodeLine = Schema.decodeUnknownExit(Line)

/** The changed blocks of a snapshot, as runs, in slices. */
export const slicesOf = ({ blockSize, changed }: Snapshot): ReadonlyArray<ReadonlyArray<Run>> => {
  const inSlice = Math.max(1, Math.floor(sliceSize / blockSize))
  const slices: Array<ReadonlyArray<Run>> = []
  for (let from = 0; from < changed.length; from += inSlice) {
    const runs: Array<readonly [number, number]> = []
    for (const block of changed.slice(from, from + inSlice)) {
      const last = runs[runs.length - 1]
      if (last !== undefined && last[0] + last[1] === block) runs[runs.length - 1] = [last[0], last[1] + 1]
      else runs.push([block, 1])
    }
    slices.push(runs)
  }
  return slices
}

const encoder = new TextEncoder()
const sha256 = (bytes: Uint8Array): string => Crypto.hash("sha256", bytes, "hex")

/** A slice as it stands in the file from byte `at` on. */
export const encodeSlice = (snapshot: Snapshot, runs: ReadonlyArray<Run>, at: number): Uint8Array => {
  const body = Buffer.concat(runs.map(([first, count]) => snapshot.read(first, count)))
  return Buffer.concat([
    encoder.encode(
      `${JSON.stringify({ $: "blocks", at, runs, bytes: body.length, sha256: sha256(body) })}\n`
    ),
    body
  ])
}

export const encodeEnd = ({ generation, size }: Snapshot, at: number): Uint8Array =>
  encoder.encode(`${JSON.stringify({ $: "end", at, size, generation })}\n`)

export interface Blocks {
  /** How long the database is afterwards. */
  readonly size: number
  readonly pieces: ReadonlyArray<{ readonly at: number; readonly bytes: Uint8Array }>
}

/** What such a file says. It got its name when it was whole: whatever cannot be read is damage. */
export const parse = (
  path: string,
  bytes: Uint8Array,
  blockSize: number
): Effect.Effect<Blocks, StoreError> => {
  const pieces: Array<{ readonly at: number; readonly bytes: Uint8Array }> = []
  const damaged = (offset: number) =>
    failure({
      _tag: "Corrupt",
      path,
      offset,
      detail: "the changed blocks of the database that this file keeps cannot be read"
    })
  for (let at = 0; ;) {
    const lineEnd = bytes.indexOf(0x0a, at)
    const line =
      lineEnd < 0 ? undefined : decodeLine(Buffer.from(bytes.subarray(at, lineEnd)).toString("utf8"))
    if (line === undefined || Exit.isFailure(line) || line.value.at !== at) return damaged(at)
    if (line.value.$ === "end") {
      return lineEnd + 1 === bytes.length
        ? Effect.succeed({ size: line.value.size, pieces })
        : damaged(lineEnd + 1)
    }
    const body = bytes.subarray(lineEnd + 1, lineEnd + 1 + line.value.bytes)
    if (body.length !== line.value.bytes || sha256(body) !== line.value.sha256) return damaged(at)
    let read = 0
    for (const [first, count] of line.value.runs) {
      const piece = body.subarray(read, read + count * blockSize)
      pieces.push({ at: first * blockSize, bytes: piece })
      read += piece.length
    }
    at = lineEnd + 1 + line.value.bytes
  }
}
