/**
 * Where the bytes of a SQLite store are kept: files on Node, IndexedDB in a browser, memory, or a place of your own.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { StoreError } from "@waymark/core/Store"

/**
 * What a database is at a moment. It stays so while the store goes on, until it was put in its place.
 *
 * - `size`: its length in bytes
 * - `blockSize`, `changed`: the database is blocks of this many bytes, of which the last may be shorter. Those that have changed
 *   since the last one that was put in its place are named, ascending, counted from 0
 * - `read`: what blocks hold, so many from one on
 * - `generation`: the number of the first log that is not in it
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot {
  readonly size: number
  readonly blockSize: number
  readonly changed: ReadonlyArray<number>
  readonly read: (block: number, count: number) => Uint8Array
  readonly generation: number
}

/**
 * What a store keeps: one database, which is only ever changed in one step, and redo logs, which are only ever written at
 * their end. Logs are numbered from 1; a few of them follow one another at most.
 *
 * Whatever succeeds is durable: it survives a crash of the process, and of the machine where the place can promise that.
 * Bytes that come back are durable, too.
 *
 * @category services
 * @since 0.1.0
 */
export class Persistence extends Context.Service<
  Persistence,
  {
    /** The name of the place, for messages: the path of the database, say. */
    readonly place: string
    /** The name of the place of a log, for messages. */
    readonly placeOf: (log: number) => string
    /** The database; `undefined` if there is none yet. */
    readonly readDatabase: Effect.Effect<Uint8Array | undefined, StoreError>
    /**
     * Puts a database in the place of the one that is there, in one step: whoever reads meanwhile, or after a crash, finds
     * the one or the other. It may take its time, and read the blocks one after the other. When it fails, the next
     * one names what this one did, too.
     */
    readonly fold: (snapshot: Snapshot) => Effect.Effect<void, StoreError>
    /** The numbers of the logs that are there, ascending. */
    readonly listLogs: Effect.Effect<ReadonlyArray<number>, StoreError>
    /** What a log holds from a byte on; `undefined` if there is no such log. */
    readonly readLog: (log: number, from: number) => Effect.Effect<Uint8Array | undefined, StoreError>
    /** Writes to a log at a byte; what was there from that byte on is gone. Makes the log if there is none. */
    readonly writeLog: (log: number, at: number, bytes: Uint8Array) => Effect.Effect<void, StoreError>
    readonly removeLog: (log: number) => Effect.Effect<void, StoreError>
    /**
     * Keeps everyone else from writing, until the scope is closed or the process is gone. Fails with `Busy`, which says who
     * has the lock, while somebody else has it.
     */
    readonly lock: (owner: string) => Effect.Effect<void, StoreError, Scope.Scope>
    /** Who has the lock; `undefined` if nobody has who is still there. */
    readonly lockedBy: Effect.Effect<string | undefined, StoreError>
    /** Waits for so many milliseconds of real time; that alone does not keep a process running. */
    readonly pause: (millis: number) => Effect.Effect<void>
    /** A text of lower-case letters and digits that no other process, host or call ever gets. */
    readonly unique: () => string
  }
>()("@waymark/store-sqljs/Persistence") {}
