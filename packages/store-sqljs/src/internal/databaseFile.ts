/**
 * The database as a file, which is changed in one step.
 *
 * Where most of it has changed, another file is put in its place. Where little has, the blocks that have changed are
 * written to a file beside it first, `<database>-blocks.<generation>`. From the moment that this one has its name the change is
 * made: it is written into the database then, and whoever opens the database after a crash does so first.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import type { StoreError } from "@waymark/core/Store"
import type * as Disk from "@waymark/store-kit/Disk"
import { fromPlatform } from "@waymark/store-kit/Failures"
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
  /** The numbers of the files beside the database that have a name of this kind, ascending. */
  readonly numbered: (kind: string) => Effect.Effect<ReadonlyArray<number>, StoreError>
}

/** Where SQLite counts how often a database was changed, and how many bytes that are. */
const counterAt = 24
const counterSize = 4

export const make = ({ disk, numbered, place, temporary }: Options): DatabaseFile => {
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

  const writePieces = (
    size: number,
    write: (
      put: (at: number, bytes: Uint8Array) => Effect.Effect<void, PlatformError>
    ) => Effect.Effect<void, PlatformError>
  ): Effect.Effect<void, StoreError> =>
    Effect.scoped(
      Effect.flatMap(disk.open(place, "r+"), (file) =>
        Effect.gen(function* () {
          yield* write((at, bytes) => Effect.andThen(file.seek(BigInt(at), "start"), file.writeAll(bytes)))
          if (Number((yield* file.stat).size) > size) yield* file.truncate(size)
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
    yield* writePieces(snapshot.size, (put) =>
      Effect.gen(function* () {
        for (const runs of slices) {
          for (const [first, count] of runs) {
            yield* put(first * snapshot.blockSize, snapshot.read(first, count))
          }
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
        if (before.length === 0 && (size === undefined || bytes * 2 >= snapshot.size)) {
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
      yield* writePieces(blocks.size, (put) =>
        Effect.forEach(blocks.pieces, ({ at, bytes }) => put(at, bytes), { discard: true })
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
