/**
 * The database as a file, which is changed in one step.
 *
 * Where most of it has changed, or it is small, another file is put in its place. Where little has, the blocks that have
 * changed are written to a file beside it first, `<database>-blocks.<generation>`. From the moment that this one has its name the
 * change is made: it is written into the database then, and whoever opens the database after a crash does so first.
 *
 * Other SQLite programs do not know of that file. While the blocks are written the header therefore says that the database is of a
 * version that nobody can read: who begins to read gets an error, and not half a change.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import type { StoreError } from "@waymark/core/Store"
import type * as Disk from "@waymark/store-kit/Disk"
import { failure, fromPlatform } from "@waymark/store-kit/Failures"
import type { Snapshot } from "../Persistence.ts"
import * as BlocksFile from "./blocksFile.ts"
import { blockSize } from "./pageFile.ts"

export interface DatabaseFile {
  readonly fold: (snapshot: Snapshot) => Effect.Effect<void, StoreError>
  /** Reads the database, by whoever may write it. */
  readonly open: Effect.Effect<Uint8Array | undefined, StoreError>
  /** Reads it while another process may be writing it. */
  readonly look: Effect.Effect<Uint8Array | undefined, StoreError>
}

export interface Options {
  readonly disk: Disk.Disk
  readonly place: string
  readonly temporary: () => string
  /** A database of at most so many bytes is replaced as a whole. */
  readonly replaceUpTo: number
  /** The numbers of the files beside the database that have a name of this kind, ascending. */
  readonly numbered: (kind: string) => Effect.Effect<ReadonlyArray<number>, StoreError>
}

/** Where SQLite counts how often a database was changed, and how many bytes that are. */
const counterAt = 24
const counterSize = 4

const headerSize = 100
/** Where the header says who can read the database. */
const readVersionAt = 19

/**
 * The header while the blocks behind it are being written. Its count is another one than before and after: nobody takes what was
 * read meanwhile for what is there afterwards.
 */
const closedHeader = (first: Uint8Array): Uint8Array => {
  const header = first.slice(0, headerSize)
  header[readVersionAt] = 255
  header[counterAt]! ^= 0x80
  return header
}

export const make = ({ disk, numbered, place, replaceUpTo, temporary }: Options): DatabaseFile => {
  const blocksPath = (generation: number): string => `${place}-blocks.${generation}`
  const listBlocks = numbered("blocks")

  const readBlocks = Effect.fnUntraced(function* (generation: number) {
    const path = blocksPath(generation)
    const bytes = yield* disk.readBytes(path)
    return bytes === undefined ? undefined : yield* BlocksFile.parse(path, bytes, blockSize)
  })

  const replace = (snapshot: Snapshot): Effect.Effect<void, StoreError> =>
    disk.replace(
      place,
      (file) => {
        const count = Math.ceil(snapshot.size / snapshot.blockSize)
        const atOnce = Math.max(1, Math.floor(BlocksFile.sliceSize / snapshot.blockSize))
        const from = (block: number): Effect.Effect<void, PlatformError> =>
          block >= count
            ? Effect.void
            : Effect.andThen(
                file.writeAll(snapshot.read(block, Math.min(atOnce, count - block))),
                Effect.suspend(() => from(block + atOnce))
              )
        return from(0)
      },
      temporary()
    )

  /** Writes blocks in their places. The first one always has changed: it counts the changes. */
  const writePieces = (
    size: number,
    first: Uint8Array,
    others: (
      put: (at: number, bytes: Uint8Array) => Effect.Effect<void, PlatformError>
    ) => Effect.Effect<void, PlatformError>
  ): Effect.Effect<void, StoreError> =>
    Effect.scoped(
      Effect.flatMap(disk.open(place, "r+"), (file) =>
        Effect.gen(function* () {
          const put = (at: number, bytes: Uint8Array) =>
            Effect.andThen(file.seek(BigInt(at), "start"), file.writeAll(bytes))
          yield* put(0, closedHeader(first))
          yield* others(put)
          if (Number((yield* file.stat).size) > size) yield* file.truncate(size)
          yield* put(0, first)
          yield* file.sync
        }).pipe(Effect.mapError(fromPlatform(place)))
      )
    )

  const change = Effect.fnUntraced(function* (snapshot: Snapshot) {
    const slices = BlocksFile.slicesOf(snapshot)
    yield* disk.replace(
      blocksPath(snapshot.generation),
      (file: FileSystem.File) =>
        Effect.gen(function* () {
          let at = 0
          for (const runs of slices) {
            const bytes = BlocksFile.encodeSlice(snapshot, runs, at)
            yield* file.writeAll(bytes)
            at += bytes.length
          }
          yield* file.writeAll(BlocksFile.encodeEnd(snapshot, at))
        }),
      temporary()
    )
    yield* writePieces(snapshot.size, snapshot.read(0, 1), (put) =>
      Effect.gen(function* () {
        for (const [first, count] of slices.flat()) {
          // The first block comes last.
          const from = Math.max(first, 1)
          const left = first + count - from
          if (left > 0) yield* put(from * snapshot.blockSize, snapshot.read(from, left))
        }
      })
    )
  })

  const fold = (snapshot: Snapshot): Effect.Effect<void, StoreError> =>
    Effect.uninterruptible(
      Effect.gen(function* () {
        const before = yield* listBlocks
        const size = yield* disk.size(place)
        const bytes = snapshot.changed.length * snapshot.blockSize
        // What a change that failed has left would be put into the file that is put there: then it has to be changed, too.
        if (
          before.length === 0 &&
          (size === undefined || snapshot.size <= replaceUpTo || bytes * 2 >= snapshot.size)
        ) {
          // And so it would be by what a change has left whose removal is not durable yet.
          yield* disk.syncDirectory(disk.root)
          return yield* replace(snapshot)
        }
        yield* change(snapshot)
        for (const generation of [...before, snapshot.generation]) yield* disk.remove(blocksPath(generation))
      })
    )

  const open = Effect.gen(function* () {
    for (const generation of yield* listBlocks) {
      const blocks = yield* readBlocks(generation)
      if (blocks === undefined) continue
      const start = blocks.pieces.find(({ at }) => at === 0)?.bytes
      if (start === undefined) {
        return yield* failure({
          _tag: "Corrupt",
          path: blocksPath(generation),
          offset: 0,
          detail: "the first block of the database is not among those that have changed"
        })
      }
      yield* writePieces(blocks.size, start.subarray(0, blockSize), (put) =>
        Effect.forEach(
          blocks.pieces,
          ({ at, bytes }) => (at === 0 ? put(blockSize, bytes.subarray(blockSize)) : put(at, bytes)),
          { discard: true }
        )
      )
      yield* disk.remove(blocksPath(generation))
    }
    return yield* disk.readBytes(place)
  })

  const counterOf = (bytes: Uint8Array): string =>
    Buffer.from(bytes.subarray(counterAt, counterAt + counterSize)).toString("hex")

  const counter = Effect.scoped(
    Effect.gen(function* () {
      const file = yield* disk.openToRead(place)
      if (file === undefined) return ""
      return Buffer.from(yield* disk.readAt(file, place, counterAt, counterSize)).toString("hex")
    })
  )

  /** `undefined` if it was changed meanwhile. */
  const lookOnce = Effect.gen(function* () {
    const before = yield* counter
    const changes = yield* listBlocks
    let bytes = yield* disk.readBytes(place)
    for (const generation of changes) {
      const blocks = yield* readBlocks(generation)
      if (blocks === undefined || bytes === undefined) return undefined
      bytes = withBlocks(bytes, blocks)
    }
    const changesNow = yield* listBlocks
    if (changesNow.some((generation) => !changes.includes(generation))) return undefined
    const read = bytes === undefined ? "" : counterOf(bytes)
    const after = yield* counter
    // A change begins with the first block; so it shows if one was made, or begun, since this was begun.
    const same = changes.length > 0 ? after === read || after === before : after === read && before === read
    return same ? { bytes } : undefined
  })

  const look = Effect.gen(function* () {
    while (true) {
      const found = yield* lookOnce
      if (found !== undefined) return found.bytes
    }
  })

  return { fold, open, look }
}

const withBlocks = (bytes: Uint8Array, { pieces, size }: BlocksFile.Blocks): Uint8Array => {
  const changed = bytes.length === size ? bytes : new Uint8Array(size)
  if (changed !== bytes) changed.set(bytes.subarray(0, size))
  for (const { at, bytes: piece } of pieces) changed.set(piece, at)
  return changed
}
