/**
 * A place in memory: for tests, and for programs that keep the exported database themselves.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { failure } from "@waymark/store-kit/Failures"
import { Persistence } from "./Persistence.ts"

/**
 * What outlives a store in memory. Several stores may use it, one after the other, or one to write and others to read.
 *
 * @category models
 * @since 0.1.0
 */
export interface Disk {
  /** The database as it was last put there, if it was. */
  database: Uint8Array | undefined
  readonly logs: Map<number, Uint8Array>
  lockedBy: string | undefined
}

/**
 * An empty disk.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeDisk = (database?: Uint8Array): Disk => ({
  database: database?.slice(),
  logs: new Map(),
  lockedBy: undefined
})

let uniques = 0

/**
 * The service on a disk in memory.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (disk: Disk): Persistence["Service"] => ({
  place: "memory",
  placeOf: (log) => `memory, redo log ${log}`,
  readDatabase: Effect.sync(() => disk.database?.slice()),
  fold: ({ blockSize, read, size }) =>
    Effect.sync(() => {
      disk.database = read(0, Math.ceil(size / blockSize)).slice()
    }),
  listLogs: Effect.sync(() => [...disk.logs.keys()].sort((a, b) => a - b)),
  readLog: (log, from) => Effect.sync(() => disk.logs.get(log)?.slice(from)),
  writeLog: (log, at, bytes) =>
    Effect.sync(() => {
      const before = disk.logs.get(log)?.subarray(0, at) ?? new Uint8Array(0)
      const after = new Uint8Array(before.length + bytes.length)
      after.set(before)
      after.set(bytes, before.length)
      disk.logs.set(log, after)
    }),
  removeLog: (log) => Effect.sync(() => void disk.logs.delete(log)),
  lock: (owner) =>
    Effect.asVoid(
      Effect.acquireRelease(
        Effect.suspend(() => {
          if (disk.lockedBy !== undefined) {
            return failure({
              _tag: "Busy",
              detail: `the store in memory is being written by ${disk.lockedBy}`
            })
          }
          disk.lockedBy = owner
          return Effect.void
        }),
        () =>
          Effect.sync(() => {
            if (disk.lockedBy === owner) disk.lockedBy = undefined
          })
      )
    ),
  lockedBy: Effect.sync(() => disk.lockedBy),
  pause: (millis) =>
    Effect.callback<void>((resume) => {
      const timer = setTimeout(() => resume(Effect.void), millis)
      return Effect.sync(() => clearTimeout(timer))
    }),
  unique: () => `m${(++uniques).toString(36).padStart(6, "0")}`
})

/**
 * A place in memory, a new one unless a disk is given.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (disk?: Disk): Layer.Layer<Persistence> =>
  Layer.sync(Persistence)(() => Persistence.of(make(disk ?? makeDisk())))
