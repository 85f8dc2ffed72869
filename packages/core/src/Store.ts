/**
 * The port to storage: journals, the run index, inboxes, leases and artifacts.
 *
 * A store is written by many and read by anyone. What it must promise is said at each operation; the conformance
 * suite in `@waymark/testing` checks it, for our stores and for yours.
 *
 * An instance of the service is one *owner*: one process, or one connection, that leases are given to. All that an
 * instance reads is durable: an entry that was appended but is not yet synced is seen by nobody, its writer included.
 * Closing an instance syncs what it was given and releases its leases in good order. Who waits for something is answered
 * then, and everything that is asked of it afterwards fails with `Closed`.
 *
 * Any text is a valid run id but the empty one, one with a NUL character and one with a lone surrogate: a store may refuse
 * those three with `Invalid`, or has to work with them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Command } from "./Command.ts"
import type { Entry, Head } from "./Journal.ts"
import { get } from "./internal/record.ts"
import { RunInfo } from "./RunInfo.ts"

// -------------------------------------------------------------------------------------------------------------------
// errors
// -------------------------------------------------------------------------------------------------------------------

/**
 * Why a store could not do what it was asked for.
 *
 * - `Io`: the storage reported an error (`code` is the system's name for it, such as `EIO`)
 * - `NoSpace`: the storage is full
 * - `Denied`: this process may not read or write there
 * - `Invalid`: what was named as the store's place cannot be one (a file instead of a directory, say), or nothing can work by
 *   an option or an argument
 * - `Corrupt`: stored bytes are not what was written; `offset` is in bytes
 * - `UnsupportedFormat`: written by a newer version
 * - `Busy`: another process, perhaps on another host, holds what only one may hold
 * - `Closed`: the store was closed, or gave up writing after a failed write
 *
 * @category errors
 * @since 0.1.0
 */
export const StoreErrorReason = Schema.Union([
  Schema.TaggedStruct("Io", { code: Schema.String, path: Schema.optionalKey(Schema.String) }),
  Schema.TaggedStruct("NoSpace", { path: Schema.optionalKey(Schema.String) }),
  Schema.TaggedStruct("Denied", { path: Schema.optionalKey(Schema.String) }),
  Schema.TaggedStruct("Invalid", { path: Schema.optionalKey(Schema.String), detail: Schema.String }),
  Schema.TaggedStruct("Corrupt", {
    path: Schema.optionalKey(Schema.String),
    offset: Schema.optionalKey(Schema.Int),
    run: Schema.optionalKey(Schema.String),
    seq: Schema.optionalKey(Schema.Int),
    detail: Schema.String
  }),
  Schema.TaggedStruct("UnsupportedFormat", {
    path: Schema.optionalKey(Schema.String),
    found: Schema.Int,
    supported: Schema.Int
  }),
  Schema.TaggedStruct("Busy", { detail: Schema.String }),
  Schema.TaggedStruct("Closed", { detail: Schema.String })
])
/**
 * @category errors
 * @since 0.1.0
 */
export type StoreErrorReason = typeof StoreErrorReason.Type

const describe = (reason: StoreErrorReason): string => {
  const at = "path" in reason && reason.path !== undefined ? ` (${reason.path})` : ""
  switch (reason._tag) {
    case "Io":
      return `the storage reported ${reason.code}${at}`
    case "NoSpace":
      return `there is no space left${at}; free some, and the work goes on`
    case "Denied":
      return `this process may not access it${at}; check its owner and permissions`
    case "Invalid":
      return `${reason.detail}${at}`
    case "Corrupt": {
      const run = reason.run === undefined ? "" : `, run ${JSON.stringify(reason.run)}`
      const seq = reason.seq === undefined ? "" : `, seq ${reason.seq}`
      const offset = reason.offset === undefined ? "" : `, byte ${reason.offset}`
      return `stored data is damaged${at}${offset}${run}${seq}: ${reason.detail}`
    }
    case "UnsupportedFormat":
      return `format ${reason.found} is newer than the format ${reason.supported} that this version reads${at}; update Waymark`
    case "Busy":
    case "Closed":
      return reason.detail
  }
}

/**
 * A store could not do what it was asked for. Nothing is half done: after it, the store holds what it held before, or
 * (after a failed write) what was durable before.
 *
 * @category errors
 * @since 0.1.0
 */
export class StoreError extends Schema.TaggedError<StoreError>()("StoreError", {
  /** The operation of the port that failed. */
  operation: Schema.String,
  reason: StoreErrorReason,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message(): string {
    return `${this.operation}: ${describe(this.reason)}`
  }
}

/**
 * There is no such run in this store.
 *
 * @category errors
 * @since 0.1.0
 */
export class RunNotFound extends Schema.TaggedError<RunNotFound>()("RunNotFound", { run: Schema.String }) {
  override get message(): string {
    return `there is no run ${JSON.stringify(this.run)} in this store`
  }
}

/**
 * A run of this id exists already.
 *
 * @category errors
 * @since 0.1.0
 */
export class RunExists extends Schema.TaggedError<RunExists>()("RunExists", { run: Schema.String }) {
  override get message(): string {
    return `a run ${JSON.stringify(this.run)} exists already`
  }
}

/**
 * Someone else holds the run's lease and is alive.
 *
 * @category errors
 * @since 0.1.0
 */
export class LeaseHeld extends Schema.TaggedError<LeaseHeld>()("LeaseHeld", {
  run: Schema.String,
  owner: Schema.String
}) {
  override get message(): string {
    return `run ${JSON.stringify(this.run)} belongs to ${this.owner}, which is alive`
  }
}

/**
 * The lease is not (or no longer) valid: another owner took the run over. Whatever was appended under it and was not
 * synced before the take-over is void.
 *
 * @category errors
 * @since 0.1.0
 */
export class LeaseLost extends Schema.TaggedError<LeaseLost>()("LeaseLost", {
  run: Schema.String,
  epoch: Schema.Int
}) {
  override get message(): string {
    return `the lease on run ${JSON.stringify(this.run)} (epoch ${this.epoch}) was taken over by another owner`
  }
}

/**
 * The journal does not stand where the writer thought it stands.
 *
 * @category errors
 * @since 0.1.0
 */
export class SeqConflict extends Schema.TaggedError<SeqConflict>()("SeqConflict", {
  run: Schema.String,
  expected: Schema.Int,
  actual: Schema.Int
}) {
  override get message(): string {
    return `the journal of run ${JSON.stringify(this.run)} stands at seq ${this.actual}, not ${this.expected}`
  }
}

/**
 * Other runs were forked from this one and still need its events.
 *
 * @category errors
 * @since 0.1.0
 */
export class RunInUse extends Schema.TaggedError<RunInUse>()("RunInUse", {
  run: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `run ${JSON.stringify(this.run)} cannot be deleted: ${this.detail}`
  }
}

// -------------------------------------------------------------------------------------------------------------------
// models
// -------------------------------------------------------------------------------------------------------------------

/**
 * The right to append to a run. `epoch` is the fencing token: it grows with every take-over.
 *
 * @category models
 * @since 0.1.0
 */
export interface Lease {
  readonly run: string
  readonly owner: string
  readonly epoch: number
}

/**
 * A lease that was just given, and where the journal stands.
 *
 * `previous` says how the owner before let go: `"crash"` if its lease ran out or its process died, `"handover"` if it
 * released the run or never held it. The first event under a lease whose epoch is not 0 is a `claimed` event.
 *
 * @category models
 * @since 0.1.0
 */
export interface Acquired {
  readonly lease: Lease
  readonly previous: "crash" | "handover"
  readonly info: RunInfo
  readonly head: Head
}

/**
 * Entries that are to be stored together or not at all. They follow one another; `head` is the hash of the last.
 *
 * @category models
 * @since 0.1.0
 */
export interface Batch {
  readonly entries: readonly [Entry, ...ReadonlyArray<Entry>]
  readonly head: string
}

/**
 * A row of the run index together with where its journal stands and who owns it now, if anyone.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stored {
  readonly info: RunInfo
  readonly head: Head
  readonly owner?: string
}

/**
 * Which entries of a journal to read: `from` and `to` are positions and both included; `limit` bounds how many come
 * back. Read backwards, the newest comes first and `from` is where to begin, downwards.
 *
 * `bytes` bounds how much: a page ends, at the latest, with the entry with which its lines have so many bytes. A store may
 * count their characters instead. There is one entry in it at least, however long, if there is one: a page with fewer
 * entries than `limit` may be followed by others.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadOptions {
  readonly from?: number | undefined
  readonly to?: number | undefined
  readonly limit?: number | undefined
  readonly bytes?: number | undefined
  readonly direction?: "forwards" | "backwards" | undefined
}

/**
 * What to list. All conditions must hold. Times are milliseconds since 1970.
 *
 * @category models
 * @since 0.1.0
 */
export const ListQuery = Schema.Struct({
  status: Schema.optionalKey(Schema.Array(RunInfo.fields.status)),
  flow: Schema.optionalKey(Schema.String),
  session: Schema.optionalKey(Schema.String),
  correlation: Schema.optionalKey(Schema.String),
  parent: Schema.optionalKey(Schema.String),
  forkOf: Schema.optionalKey(Schema.String),
  tag: Schema.optionalKey(Schema.String),
  /** Only runs with these attributes, all of them. */
  attributes: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  /** Only runs with a bookmark that has this name or this tag. */
  bookmark: Schema.optionalKey(Schema.String),
  /** Only runs that wait for something of this type, by this name and with this key, as far as these are given. */
  wait: Schema.optionalKey(
    Schema.Struct({
      type: Schema.optionalKey(Schema.Literals(["event", "until", "user", "job", "run"])),
      name: Schema.optionalKey(Schema.String),
      key: Schema.optionalKey(Schema.String)
    })
  ),
  createdAfter: Schema.optionalKey(Schema.Finite),
  createdBefore: Schema.optionalKey(Schema.Finite),
  dueBefore: Schema.optionalKey(Schema.Finite),
  /** Only runs that nobody alive owns. */
  unowned: Schema.optionalKey(Schema.Boolean),
  /** Only runs whose inboxes hold commands that their journals do not name. */
  commanded: Schema.optionalKey(Schema.Boolean),
  /** Only runs with messages to other runs that are not known to have arrived. */
  sending: Schema.optionalKey(Schema.Boolean),
  /**
   * By time of creation, then by id in code-unit order; newest first unless said otherwise, which is the exact reverse.
   * With `due`, only the runs that have a `due`: the earliest first, then by id.
   */
  order: Schema.optionalKey(Schema.Literals(["newest", "oldest", "due"])),
  limit: Schema.optionalKey(Schema.Int),
  cursor: Schema.optionalKey(Schema.String)
})
/**
 * @category models
 * @since 0.1.0
 */
export type ListQuery = typeof ListQuery.Type

/**
 * One page of a list. `cursor` is there if there may be more.
 *
 * @category models
 * @since 0.1.0
 */
export interface Page {
  readonly runs: ReadonlyArray<RunInfo>
  readonly cursor?: string
}

/**
 * A command as it lies in an inbox. A store may keep several inboxes for a run (one for each writing process, say);
 * `source` names which, `position` orders the commands in it, from 1.
 *
 * @category models
 * @since 0.1.0
 */
export interface Received {
  readonly source: string
  readonly position: number
  readonly command: Command
}

/**
 * How far a run's inboxes have been dealt with, by source.
 *
 * @category models
 * @since 0.1.0
 */
export type InboxCursor = { readonly [source: string]: number }

/**
 * Something about a run changed and is durable: its journal grew, a command arrived, its lease was released or ran
 * out, or it was deleted.
 *
 * @category models
 * @since 0.1.0
 */
export interface Change {
  readonly run: string
  readonly what: "journal" | "inbox" | "lease" | "deleted"
}

/**
 * A page of the durable events of all runs. `cursor` is where to go on, also when there was nothing new.
 *
 * @category models
 * @since 0.1.0
 */
export interface Feed {
  readonly entries: ReadonlyArray<Entry>
  readonly cursor: string
}

// -------------------------------------------------------------------------------------------------------------------
// service
// -------------------------------------------------------------------------------------------------------------------

/**
 * The port that every store implements.
 *
 * @category services
 * @since 0.1.0
 */
export class Store extends Context.Service<
  Store,
  {
    /** The name of this owner, unique among all that use the store: it stands in leases. */
    readonly owner: string

    /**
     * Creates a run from its first entries, durably: at epoch 0, if it begins here.
     *
     * With a `holder` the run belongs to this owner from the start, at no extra cost; without one it belongs to nobody
     * and the first that acquires it gets epoch 1. Of two that create one id, exactly one succeeds.
     *
     * The entries may be a journal that was written elsewhere, under several epochs. Then the run is at the epoch of its last
     * entry, and its first command gets a position beyond those that the journal names of that source.
     *
     * `ahead` lets a holder run ahead of the disk: then a store may succeed as soon as the run is *accepted*, as an append
     * is. The id is taken and the run can be appended to, but until a `sync` succeeds nobody sees it, and a crash or a
     * failed write undoes it: there was no such run, and the lease is void for good.
     */
    readonly create: (
      batch: Batch,
      options?: { readonly holder?: string | undefined; readonly ahead?: boolean | undefined }
    ) => Effect.Effect<Lease, RunExists | StoreError>

    /**
     * Appends to a run: all entries and the index row that follows from them, or nothing.
     *
     * `expected` is the position of the run's last entry as the writer knows it (unsynced ones included). When the
     * effect succeeds the batch is *accepted*: it has its place, and the next batch may be appended, but a crash may
     * still lose it, from the end. It may wait while too much is unsynced. Appends of one run are made one at a time.
     */
    readonly append: (
      lease: Lease,
      expected: number,
      batch: Batch
    ) => Effect.Effect<void, LeaseLost | SeqConflict | StoreError>

    /**
     * Waits until everything appended to the run so far is durable *and* was still covered by the lease when it became
     * so. Only then may anything be told or done that rests on it.
     *
     * When it fails, nothing that was appended after the last successful sync can be relied on: the lease is void and
     * the run has to be acquired and read again. A store never answers success after a failed write of the same bytes.
     *
     * `release` says that nothing is appended any more, and that the run is released next: a store may let go of it with
     * the same write. Then there is nothing left to do for `release`.
     */
    readonly sync: (
      lease: Lease,
      options?: { readonly release?: boolean | undefined }
    ) => Effect.Effect<void, LeaseLost | StoreError>

    /**
     * Takes the lease on a run that nobody alive holds. `holder` names who in this process wants it; a run that another
     * holder of this process has is `LeaseHeld` too. While an instance is open it keeps its leases alive itself.
     *
     * Whoever is interrupted while acquiring may have got the lease all the same: acquire where nothing interrupts.
     */
    readonly acquire: (
      run: string,
      holder: string
    ) => Effect.Effect<Acquired, RunNotFound | LeaseHeld | StoreError>

    /** Lets go of a run in good order, after syncing it. Releasing a lease that is lost already does nothing. */
    readonly release: (lease: Lease) => Effect.Effect<void, StoreError>

    /** The index row of a run. */
    readonly get: (run: string) => Effect.Effect<Stored, RunNotFound | StoreError>

    /** Reads durable entries of one run, in order, at most `limit` (1,000 unless said otherwise). */
    readonly read: (
      run: string,
      options?: ReadOptions
    ) => Effect.Effect<ReadonlyArray<Entry>, RunNotFound | StoreError>

    /**
     * Lists runs. Paging by cursor neither repeats nor skips a run that matches throughout, whatever is written
     * meanwhile. A cursor that the store did not give is `Invalid`.
     */
    readonly list: (query: ListQuery) => Effect.Effect<Page, StoreError>

    /**
     * Durable entries of all runs after `cursor`, at most `limit` (1,000 unless said otherwise), and no more once their
     * lines have so many `bytes` (as in `ReadOptions`): those of one run in order and without gaps. Without a cursor it begins at the oldest; `"now"` begins after the newest. An empty page
     * says that there is nothing more for now. Cursors outlive the instance that gave them; one that no instance of the
     * store gave is `Invalid`.
     */
    readonly feed: (options?: {
      readonly cursor?: string | undefined
      readonly limit?: number | undefined
      readonly bytes?: number | undefined
    }) => Effect.Effect<Feed, StoreError>

    /**
     * What changes from now on, in this process and in others. Every change is reported at least once, after it is
     * durable; several changes of one kind to one run may be reported as one. The subscription stands as soon as
     * the stream is pulled for the first time. It has no end of its own: when the instance is closed, it fails with
     * `Closed`.
     */
    readonly changes: Stream.Stream<Change, StoreError>

    /**
     * Waits until the durable journal of the run goes beyond `seq`, or the run is deleted (which may be `RunNotFound`), and
     * fails with `Closed` if the instance is closed before.
     */
    readonly changed: (run: string, seq: number) => Effect.Effect<void, RunNotFound | StoreError>

    /** Puts a command in a run's inbox, durably. A command whose id is in the inbox already is not put there again. */
    readonly send: (command: Command) => Effect.Effect<void, RunNotFound | StoreError>

    /** The commands of a run that `cursor` does not cover, those of one source in order. */
    readonly inbox: (
      run: string,
      cursor: InboxCursor
    ) => Effect.Effect<ReadonlyArray<Received>, RunNotFound | StoreError>

    /**
     * Deletes a run that has ended, with its inbox. Fails with `RunInUse` while it has not ended or other runs are
     * forked from it. A lease on it is void then.
     */
    readonly delete: (run: string) => Effect.Effect<void, RunNotFound | RunInUse | StoreError>

    /** Small named values that belong to whoever uses the store, such as the cursor of an observer. */
    readonly getMeta: (key: string) => Effect.Effect<string | undefined, StoreError>
    /** Sets such a value, durably. */
    readonly setMeta: (key: string, value: string) => Effect.Effect<void, StoreError>

    /** Stores bytes under their SHA-256 and returns it, durably. Storing the same bytes again changes nothing. */
    readonly putArtifact: (bytes: Uint8Array) => Effect.Effect<string, StoreError>
    /** The bytes stored under a SHA-256. */
    readonly getArtifact: (hash: string) => Effect.Effect<Uint8Array | undefined, StoreError>
  }
>()("@waymark/core/Store") {}

const hasBookmark = (info: RunInfo, wanted: string): boolean =>
  info.bookmarks?.some(({ name, tags }) => name === wanted || tags?.includes(wanted) === true) === true

const isWaitedFor = (info: RunInfo, { key, name, type }: NonNullable<ListQuery["wait"]>): boolean =>
  info.waits.some(
    (wait) =>
      (type === undefined || wait.type === type) &&
      (name === undefined || wait.name === name) &&
      (key === undefined || wait.key === key)
  )

/**
 * Whether a row matches a query (its paging aside, and `unowned` and `commanded`, which no row tells).
 *
 * @category filtering
 * @since 0.1.0
 */
export const matches = (query: ListQuery, info: RunInfo): boolean =>
  (query.status === undefined || query.status.includes(info.status)) &&
  (query.flow === undefined || query.flow === info.flow) &&
  (query.session === undefined || query.session === info.session) &&
  (query.correlation === undefined || query.correlation === info.correlation) &&
  (query.parent === undefined || query.parent === info.parent) &&
  (query.forkOf === undefined || query.forkOf === info.forkOf?.run) &&
  (query.tag === undefined || info.tags.includes(query.tag)) &&
  (query.attributes === undefined ||
    Object.entries(query.attributes).every(([name, value]) => get(info.attributes ?? {}, name) === value)) &&
  (query.sending !== true || (info.outbox ?? 0) > 0) &&
  (query.wait === undefined || isWaitedFor(info, query.wait)) &&
  (query.bookmark === undefined || hasBookmark(info, query.bookmark)) &&
  (query.createdAfter === undefined || info.createdAt >= query.createdAfter) &&
  (query.createdBefore === undefined || info.createdAt < query.createdBefore) &&
  (query.dueBefore === undefined || (info.due !== undefined && info.due < query.dueBefore))
