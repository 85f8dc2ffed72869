/**
 * The port, put together from its parts.
 */
import * as Base64 from "effect/encoding/Base64"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ChangeHub from "@waymark/core/ChangeHub"
import type { Hasher } from "@waymark/core/Hasher"
import { isTerminal } from "@waymark/core/RunInfo"
import * as Store from "@waymark/core/Store"
import { failure, named } from "@waymark/store-kit/Failures"
import * as Wakeups from "@waymark/store-kit/Wakeups"
import type { Persistence } from "../Persistence.ts"
import type { Engine } from "./engine.ts"
import * as Creation from "./creation.ts"
import { unless } from "./doubts.ts"
import * as Following from "./following.ts"
import * as Leases from "./leases.ts"
import type { Step } from "./operation.ts"
import { step } from "./operation.ts"
import * as List from "./list.ts"
import * as Query from "./query.ts"
import * as Salvage from "./salvage.ts"
import * as State from "./state.ts"
import * as Writer from "./writer.ts"

export interface Settings {
  readonly readOnly: boolean
  /** Bytes. */
  readonly maxBytes: number
  readonly foldAfter: (databaseBytes: number, inBlocks: boolean) => number
  readonly maxUnsynced: number
  /** Milliseconds. */
  readonly pollInterval: number
  /** Reads damaged pages as they are. */
  readonly trusting?: boolean
}

export interface Made {
  readonly store: Store.Store["Service"]
  readonly checkpoint: Effect.Effect<void, Store.StoreError>
  readonly search: (
    text: string,
    limit: number | undefined
  ) => Effect.Effect<ReadonlyArray<Store.Page["runs"][number]>, Store.StoreError>
  /** What a repair can have of it. */
  readonly salvage: Salvage.Salvage
}

export const make = Effect.fnUntraced(function* (
  persistence: Persistence["Service"],
  engine: Engine,
  hasher: Hasher,
  settings: Settings
): Effect.fn.Return<Made, Store.StoreError, Scope.Scope> {
  const { maxBytes, readOnly } = settings
  const { place } = persistence
  const owner = `s${persistence.unique()}`
  const scope = yield* Effect.scope
  const lock = yield* Scope.fork(scope)
  const background = yield* Scope.fork(scope)
  const runFork = Effect.runForkWith(yield* Effect.context())
  const wakeups = Wakeups.make((work) => void runFork(Effect.forkIn(work, background)))
  /** What is under way when the store is closed ends, or is waited for: the next process may write then. */
  const untilClosed = {
    scope: background,
    ended: failure({ _tag: "Closed", detail: "this store was closed" })
  }
  const hub = ChangeHub.make()

  if (!readOnly) yield* Scope.provide(persistence.lock(owner), lock).pipe(named("open"))
  const loading: State.Options = {
    persistence,
    engine,
    hasher,
    maxBytes,
    tolerant: readOnly,
    trusting: settings.trusting === true
  }
  let state = yield* named("open")(State.load(loading))

  // -----------------------------------------------------------------------------------------------------------------
  // what changes

  const following = Following.make({
    loading,
    hub,
    readOnly,
    pollInterval: settings.pollInterval,
    untilClosed,
    state: () => state,
    replace: (next) => {
      state = next
    }
  })
  const { interested, refresh } = following

  /** The one that writes, if it is there. */
  const present: Effect.Effect<string | undefined, Store.StoreError> = readOnly
    ? persistence.lockedBy
    : Effect.succeed(owner)

  // -----------------------------------------------------------------------------------------------------------------
  // writing

  const find = (run: string): Query.RunRow | undefined => Query.findRun(state.database, run)
  let writer: Writer.Writer
  const leases = Leases.make({ owner, writer: () => writer, wakeups, find })
  writer = Writer.make({
    ...loading,
    state,
    owner,
    wakeups,
    untilClosed,
    foldAfter: settings.foldAfter,
    maxUnsynced: settings.maxUnsynced,
    applied: following.publish,
    onFailure: leases.onFailure
  })
  const creation = Creation.make({ owner, leases, wakeups, writer, find })

  /** Makes something durable, and then says what came of it. */
  const written = <A>(steps: ReadonlyArray<Step>, outcome: () => A): Effect.Effect<A, Store.StoreError> =>
    Effect.callback<A, Store.StoreError>((resume) => {
      writer.enqueue({
        steps,
        done: () => {
          const value = outcome()
          wakeups.later(() => resume(Effect.succeed(value)))
        },
        failed: (why) => wakeups.later(() => resume(Effect.fail(why)))
      })
    })

  if (readOnly) yield* Effect.forkIn(following.poll, background)
  else yield* Effect.forkIn(writer.run, background)

  let closing = false
  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      closing = true
      if (!readOnly) {
        yield* Effect.andThen(
          written([step({ $: "closed", owner })], () => {}),
          writer.fold
        ).pipe(
          Effect.catch((error) =>
            Effect.logWarning("a store could not be closed in good order; it is whole all the same", {
              place,
              error: error.message
            })
          )
        )
      }
      hub.close()
      yield* Scope.close(background, Exit.void)
      yield* Scope.close(lock, Exit.void)
      state.database.close()
    })
  )

  // -----------------------------------------------------------------------------------------------------------------
  // the port

  const operation = <A, E>(
    name: string,
    body: () => Effect.Effect<A, E>
  ): Effect.Effect<A, E | Store.StoreError> =>
    named(name)(
      Effect.suspend((): Effect.Effect<A, E | Store.StoreError> =>
        closing ? failure({ _tag: "Closed", detail: "this store was closed" }) : body()
      ).pipe(
        // What SQLite finds out when a damaged page is looked at.
        Effect.catchDefect((defect) =>
          State.isDamage(defect)
            ? failure(State.damageOf(place, defect, defect.message), defect)
            : Effect.die(defect)
        )
      )
    )

  const reading = <A, E>(
    name: string,
    body: () => Effect.Effect<A, E>
  ): Effect.Effect<A, E | Store.StoreError> =>
    operation(name, () => (readOnly ? Effect.flatMap(refresh, body) : body()))

  const writing = <A, E>(
    name: string,
    body: () => Effect.Effect<A, E>
  ): Effect.Effect<A, E | Store.StoreError> =>
    operation(name, (): Effect.Effect<A, E | Store.StoreError> =>
      readOnly
        ? failure({ _tag: "Invalid", path: place, detail: "this store was opened to read only" })
        : body()
    )

  /** The same for what makes the database larger. */
  const adding = <A, E>(
    name: string,
    body: () => Effect.Effect<A, E>
  ): Effect.Effect<A, E | Store.StoreError> =>
    writing(name, (): Effect.Effect<A, E | Store.StoreError> => writer.refusal() ?? body())

  const withRun = <A, E>(
    run: string,
    body: (row: Query.RunRow) => Effect.Effect<A, E>
  ): Effect.Effect<A, E | Store.RunNotFound | Store.StoreError> =>
    Effect.suspend((): Effect.Effect<A, E | Store.RunNotFound | Store.StoreError> => {
      const row = find(run)
      if (row !== undefined) return body(row)
      return Effect.andThen(
        unless(state.doubts.ofRun(run), "what is known of this run is not what was written", { run, seq: 0 }),
        Effect.fail(new Store.RunNotFound({ run }))
      )
    })

  /** Fails if entries that may have followed the last one are wanted. */
  const ensureWhole = (
    { head, info }: Query.RunRow,
    options: Store.ReadOptions | undefined
  ): Effect.Effect<void, Store.StoreError> =>
    reachesBeyond(head.seq, options)
      ? unless(state.doubts.beyond(info), "this entry is not what was written", {
          run: info.run,
          seq: head.seq + 1
        })
      : Effect.void

  const invalidCursor = (cursor: string | undefined): Store.StoreError =>
    failure({ _tag: "Invalid", detail: `${JSON.stringify(cursor)} is not a cursor of this store` })

  const remove = (run: string): Effect.Effect<void, Store.RunNotFound | Store.RunInUse | Store.StoreError> =>
    Effect.uninterruptible(
      leases.exclusively(
        run,
        withRun(run, ({ info }): Effect.Effect<void, Store.RunInUse | Store.StoreError> => {
          const inUse = (detail: string) => Effect.fail(new Store.RunInUse({ run, detail }))
          if (!isTerminal(info.status)) return inUse(`it is ${info.status}; cancel it first`)
          const fork = Query.isForked(state.database, run) ?? creation.forkOf(run)
          if (fork !== undefined) return inUse(`run ${JSON.stringify(fork)} is a fork of it`)
          return written([step({ $: "deleted", run })], () => leases.drop(run))
        })
      )
    )

  const store: Store.Store["Service"] = {
    owner,

    create: (batch, options) =>
      adding("create", () =>
        creation.create(batch, options?.holder, options?.holder !== undefined && options.ahead === true)
      ),

    append: (lease, expected, batch) =>
      Effect.suspend((): Effect.Effect<void, Store.LeaseLost | Store.SeqConflict | Store.StoreError> => {
        if (closing) return writing("append", () => Effect.void)
        const held = leases.holding(lease)
        if (held === undefined) return named("append")(leases.refusal(lease))
        if (held.accepted !== expected) {
          return Effect.fail(new Store.SeqConflict({ run: lease.run, expected, actual: held.accepted }))
        }
        const full = writer.refusal()
        if (full !== undefined) return named("append")(full)
        leases.append(held, batch)
        return writer.isFull() ? writer.awaitRoom : Effect.void
      }),

    sync: (lease) =>
      Effect.suspend((): Effect.Effect<void, Store.LeaseLost | Store.StoreError> => {
        if (closing) return operation("sync", () => Effect.void)
        const held = leases.holding(lease)
        if (held === undefined) return named("sync")(leases.refusal(lease))
        return held.accepted === held.durable ? Effect.void : named("sync")(leases.awaitDurable(held))
      }),

    acquire: (run) => writing("acquire", () => leases.acquire(run)),

    release: (lease) => writing("release", () => leases.release(lease)),

    get: (run) =>
      reading("get", () =>
        withRun(run, ({ head, info, owner: by }) =>
          Effect.map(present, (alive) => ({
            info,
            head,
            ...(by === undefined || by !== alive || leases.isFree(run) ? undefined : { owner: by })
          }))
        )
      ),

    read: (run, options) =>
      reading("read", () =>
        withRun(run, (row) =>
          Effect.andThen(
            ensureWhole(row, options),
            Effect.suspend(() => Query.readEntries(state.database, place, hasher.hash, row, options))
          )
        )
      ),

    list: (query) =>
      reading("list", () =>
        Effect.flatMap(present, (alive): Effect.Effect<Store.Page, Store.StoreError> => {
          const page = List.list(state.database, query, { owner: alive, free: leases.free() })
          return page === undefined ? invalidCursor(query.cursor) : Effect.succeed(page)
        })
      ),

    feed: (options) =>
      reading(
        "feed",
        () =>
          Query.feed(state.database, place, options?.cursor, options ?? {}, state.doubts.feedEnd()) ??
          invalidCursor(options?.cursor)
      ),

    changes: Stream.unwrap(Effect.as(interested, hub.stream)),

    changed: (run, seq) =>
      reading("changed", () =>
        withRun(run, ({ id }) =>
          Effect.scoped(
            Effect.andThen(
              interested,
              hub.waitBeyond(run, seq, () => {
                const now = find(run)
                return now === undefined || now.id !== id || now.head.seq > seq
              })
            )
          )
        )
      ),

    send: (command) =>
      adding("send", () =>
        withRun(command.run, ({ id }) =>
          Effect.flatMap(
            written([step({ $: "sent", command })], () => find(command.run)?.id === id),
            (there) => (there ? Effect.void : Effect.fail(new Store.RunNotFound({ run: command.run })))
          )
        )
      ),

    inbox: (run, cursor) =>
      reading("inbox", () =>
        withRun(run, (row) =>
          Effect.andThen(
            unless(state.doubts.ofRun(run), "a command in its inbox may not be what was written", { run }),
            Effect.sync(() => Query.inbox(state.database, row, cursor))
          )
        )
      ),

    delete: (run) => writing("delete", () => remove(run)),

    getMeta: (key) =>
      reading("getMeta", () =>
        Effect.sync(() => {
          const row = state.database.first("SELECT value FROM meta WHERE key = ?", [JSON.stringify(key)])
          return row === undefined ? undefined : (JSON.parse(String(row[0])) as string)
        }).pipe(
          Effect.tap(() =>
            unless(state.doubts.ofMeta(key), `value ${JSON.stringify(key)} is not what was written`)
          )
        )
      ),
    setMeta: (key, value) => adding("setMeta", () => written([step({ $: "meta", key, value })], () => {})),

    putArtifact: (bytes) =>
      adding("putArtifact", () => {
        const hash = hasher.hashBytes(bytes)
        const known = state.database.first("SELECT 1 FROM artifact WHERE hash = ?", [hash])
        if (known !== undefined) return Effect.succeed(hash)
        return written([step({ $: "artifact", hash, bytes: Base64.encode(bytes) })], () => hash)
      }),
    getArtifact: (hash) =>
      reading("getArtifact", () =>
        Effect.suspend(() => {
          const bytes = state.database.first("SELECT bytes FROM artifact WHERE hash = ?", [hash])?.[0]
          if (!(bytes instanceof Uint8Array)) {
            return Effect.as(
              unless(state.doubts.ofArtifact(hash), `artifact ${hash} is not what was written`),
              undefined
            )
          }
          return hasher.hashBytes(bytes) === hash
            ? Effect.succeed(bytes)
            : failure({
                _tag: "Corrupt",
                path: place,
                detail: `artifact ${hash} is not what was stored under this hash`
              })
        })
      )
  }

  return {
    store: Store.Store.of(store),
    checkpoint: writing("checkpoint", () => writer.fold),
    search: (text, limit) =>
      reading("search", () => State.onDatabase(place, () => List.search(state.database, text, limit))),
    salvage: Salvage.make(() => state)
  }
})

/** Whether somebody wants to have entries behind the last one. */
const reachesBeyond = (last: number, options: Store.ReadOptions | undefined): boolean => {
  const { direction, from, limit = Query.defaultLimit, to } = options ?? {}
  if (limit <= 0) return false
  return direction === "backwards"
    ? (from ?? Number.POSITIVE_INFINITY) > last
    : Math.min(to ?? Number.POSITIVE_INFINITY, Math.max(from ?? 0, 0) + limit - 1) > last
}
