/**
 * Small named values and large nameless ones, each in a file of its own.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { StoreError } from "@waymark/core/Store"
import type { Disk } from "@waymark/store-kit/Disk"
import { failure } from "@waymark/store-kit/Failures"
import { parseFile } from "./format.ts"
import type { Ownership } from "./ownership.ts"

export interface Artifacts {
  readonly getMeta: (key: string) => Effect.Effect<string | undefined, StoreError>
  readonly setMeta: (key: string, value: string) => Effect.Effect<void, StoreError>
  readonly put: (bytes: Uint8Array) => Effect.Effect<string, StoreError>
  readonly get: (hash: string) => Effect.Effect<Uint8Array | undefined, StoreError>
}

export interface Options {
  readonly disk: Disk
  readonly ownership: Ownership
  readonly hash: (text: string) => string
  readonly hashBytes: (bytes: Uint8Array) => string
}

/** `sum` is the digest of the key and the value; values that older versions wrote have none. */
const MetaFile = Schema.Struct({
  key: Schema.String,
  value: Schema.String,
  sum: Schema.optionalKey(Schema.String)
})

const isHash = (text: string): boolean => /^[0-9a-f]{64}$/.test(text)

export const make = ({ disk, hash, hashBytes, ownership }: Options): Artifacts => {
  const metaPath = (key: string): string => disk.path("meta", `${hash(key)}.json`)
  const directoryOf = (id: string): string => disk.path("artifacts", id.slice(0, 2))
  const pathOf = (id: string): string => `${directoryOf(id)}/${id}`

  return {
    getMeta: (key) =>
      Effect.flatMap(disk.readText(metaPath(key)), (text) => {
        if (text === undefined) return Effect.succeed(undefined)
        const file = parseFile(MetaFile, text)
        const isWhole = file?.sum === undefined || file.sum === hash(JSON.stringify([key, file.value]))
        return file === undefined || file.key !== key || !isWhole
          ? failure({ _tag: "Corrupt", path: metaPath(key), offset: 0, detail: "this value cannot be read" })
          : Effect.succeed(file.value)
      }),
    setMeta: (key, value) =>
      Effect.andThen(
        // So that the temporary file is one that others can tell to be in use.
        ownership.ensure,
        Effect.suspend(() =>
          disk.replace(
            metaPath(key),
            Buffer.from(JSON.stringify({ key, value, sum: hash(JSON.stringify([key, value])) })),
            ownership.temporary()
          )
        )
      ),
    put: (bytes) =>
      Effect.suspend(() => {
        const copy = bytes.slice()
        const id = hashBytes(copy)
        return Effect.as(
          Effect.gen(function* () {
            yield* ownership.ensure
            yield* disk.makeDirectory(directoryOf(id))
            // Whoever made it may not have come to sync its name, or its directory's.
            yield* disk.syncDirectory(disk.path("artifacts"))
            if (yield* disk.exists(pathOf(id))) return yield* disk.syncDirectory(directoryOf(id))
            yield* disk.createExclusively(pathOf(id), copy, ownership.temporary())
          }),
          id
        )
      }),
    get: (id) =>
      isHash(id)
        ? Effect.flatMap(disk.readBytes(pathOf(id)), (bytes) => {
            if (bytes === undefined || hashBytes(bytes) === id) return Effect.succeed(bytes)
            return failure({
              _tag: "Corrupt",
              path: pathOf(id),
              offset: 0,
              detail: "it is not what was stored under this hash"
            })
          })
        : Effect.succeed(undefined)
  }
}
