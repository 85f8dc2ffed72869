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
import { coalesce } from "@waymark/store-kit/Coalesce"
import { failure, named } from "@waymark/store-kit/Failures"
import * as Wakeups from "@waymark/store-kit/Wakeups"
import type { Persistence } from "../Persistence.ts"
import type { Engine } from "./engine.ts"
import * as Leases from "./leases.ts"
import type { Step } from "./operation.ts"
import { step } from "./operation.ts"
import * as List from "./list.ts"
import * as Query from "./query.ts"
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
}

export interface Made {
  readonly store: Store.Store["Service"]
  readonly checkpoint: Effect.Effect<void, Store.StoreError>
  readonly search: (
    text: string,
    limit: number | undefined
  ) => Effect.Effect<ReadonlyArray<Store.Page["runs"][number]>, Store.StoreError>
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
  const hub = ChangeHub.make()

  if (!readOnly) yield* Scope.provide(persistence.lock(owner), lock).pipe(named("open"))
  const loading: State.Options = { persistence, engine, hasher, maxBytes }
  let state = yield* named("open")(State.load(loading))

  // -----------------------------------------------------------------------------------------------------------------
  // what changes

  const publish = (steps: ReadonlyArray<Step>): void => {
    for (const { entries, operation } of steps) {
      switch (operation.$) {
        case "created":
        case "appended":
          hub.publish({ run: operation.run, what: "journal" })
          hub.advanced(operation.run, entries[entries.length - 1]!.event.seq)
          break
        case "leased":
        case "released":
          hub.publish({ run: operation.run, what: "lease" })
          break
        case "sent":
          hub.publish({ run: operation.command.run, what: "inbox" })
          break
        case "deleted":
          hub.publish({ run: operation.run, what: "deleted" })
          hub.advanced(operation.run, Number.POSITIVE_INFINITY)
          break
      }
    }
  }

  /** Takes in what the one that writes has written. What this instance writes itself, it knows. */
  const refresh: Effect.Effect<void, Store.StoreError> = readOnly
    ? coalesce(
        Effect.gen(function* () {
          const steps: Array<Step> = []
          const followed = yield* State.follow(loading, state, (taken) => void steps.push(...taken))
          if (!followed) {
            const before = state
            state = yield* State.load(loading)
            publishAll(before)
            before.database.close()
          }
          publish(steps)
        })
      )
    : Effect.void

  /** What changed between two states that no log leads from one to the other of. */
  const publishAll = (before: State.State): void => {
    for (const row of before.database.rows("SELECT run, seq FROM run")) {
      const run = String(row[0])
      const now = Query.findRun(state.database, run)
      if (now === undefined) {
        hub.publish({ run, what: "deleted" })
        hub.advanced(run, Number.POSITIVE_INFINITY)
      }
    }
    for (const [name, seq] of state.database.rows("SELECT run, seq FROM run")) {
      const run = String(name)
      for (const what of ["journal", "inbox", "lease"] as const) hub.publish({ run, what })
      hub.advanced(run, Number(seq))
    }
  }

  /** The one that writes, if it is there. */
  const present: Effect.Effect<string | undefined, Store.StoreError> = readOnly
    ? persistence.lockedBy
    : Effect.succeed(owner)

  let interest = 0
  let wakePoller: (() => void) | undefined
  const poll = Effect.forever(
    Effect.suspend(() => {
      if (interest === 0) {
        return Effect.callback<void>((resume) => {
          wakePoller = () => {
            wakePoller = undefined
            resume(Effect.void)
          }
        })
      }
      return Effect.andThen(
        Effect.catch(refresh, (error) =>
          Effect.logWarning("a store cannot be followed", { place, error: error.message })
        ),
        persistence.pause(settings.pollInterval)
      )
    })
  )
  const interested = Effect.acquireRelease(
    Effect.sync(() => {
      interest += 1
      wakePoller?.()
    }),
    () =>
      Effect.sync(() => {
        interest -= 1
      })
  )

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
    foldAfter: settings.foldAfter,
    maxUnsynced: settings.maxUnsynced,
    applied: publish,
    onFailure: leases.onFailure
  })
  /** Runs that are being created, with what they are forked from. */
  const creating = new Map<string, string | undefined>()

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

  if (readOnly) yield* Effect.forkIn(poll, background)
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
            ? failure({ _tag: "Corrupt", path: place, detail: defect.message }, defect)
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
  ): Effect.Effect<A, E | Store.RunNotFound> =>
    Effect.suspend((): Effect.Effect<A, E | Store.RunNotFound> => {
      const row = find(run)
      return row === undefined ? Effect.fail(new Store.RunNotFound({ run })) : body(row)
    })

  const invalidCursor = (cursor: string | undefined): Store.StoreError =>
    failure({ _tag: "Invalid", detail: `${JSON.stringify(cursor)} is not a cursor of this store` })

  /** What waits for runs that are created ahead of the disk. */
  const awaiting = new Map<string, Array<() => void>>()
  const awaitCreation = (run: string): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      if (!creating.has(run)) return resume(Effect.void)
      awaiting.set(run, [...(awaiting.get(run) ?? []), () => resume(Effect.void)])
      writer.hurry()
    })

  type Created = Effect.Effect<Store.Lease | undefined, Store.RunExists | Store.StoreError>

  /** `undefined` if a run of this id is just being created. */
  const createOnce = (batch: Store.Batch, holder: string | undefined, ahead: boolean): Created => {
    const { entries, head } = batch
    const { event } = entries[0]
    const { run } = event
    if (find(run) !== undefined) return Effect.fail(new Store.RunExists({ run }))
    if (creating.has(run)) return Effect.succeed(undefined)
    creating.set(run, event.kind === "forked" ? event.from.run : undefined)
    const { epoch, seq: last } = entries[entries.length - 1]!.event
    const held = holder === undefined ? undefined : leases.hold(run, epoch, last, -1)
    const lease = held ?? { run, owner, epoch }
    const body = { $: "created", run, head, entries: entries.length } as const
    const steps = [step(held === undefined ? body : { ...body, owner }, entries)]
    const settle = (): void => {
      creating.delete(run)
      for (const resume of awaiting.get(run) ?? []) wakeups.later(resume)
      awaiting.delete(run)
    }
    const done = (): void => {
      settle()
      if (held !== undefined) leases.confirm(held, last)
    }
    if (ahead) {
      writer.enqueueSoon({ steps, done, failed: settle })
      return Effect.succeed(lease)
    }
    return Effect.callback((resume) => {
      writer.enqueue({
        steps,
        done: () => {
          done()
          wakeups.later(() => resume(Effect.succeed(lease)))
        },
        failed: (why) => {
          settle()
          wakeups.later(() => resume(Effect.fail(why)))
        }
      })
    })
  }

  const create = (
    batch: Store.Batch,
    holder: string | undefined,
    ahead: boolean
  ): Effect.Effect<Store.Lease, Store.RunExists | Store.StoreError> => {
    const { run } = batch.entries[0].event
    if (run === "" || run.includes("\0") || /\p{Surrogate}/u.test(run)) {
      return failure({ _tag: "Invalid", detail: `${JSON.stringify(run)} cannot be the id of a run` })
    }
    const once = leases.exclusively(
      run,
      Effect.suspend(() => createOnce(batch, holder, ahead))
    )
    return Effect.flatMap(Effect.uninterruptible(once), (lease) =>
      lease === undefined
        ? Effect.andThen(
            awaitCreation(run),
            Effect.suspend(() => create(batch, holder, ahead))
          )
        : Effect.succeed(lease)
    )
  }

  const remove = (run: string): Effect.Effect<void, Store.RunNotFound | Store.RunInUse | Store.StoreError> =>
    Effect.uninterruptible(
      leases.exclusively(
        run,
        withRun(run, ({ info }): Effect.Effect<void, Store.RunInUse | Store.StoreError> => {
          const inUse = (detail: string) => Effect.fail(new Store.RunInUse({ run, detail }))
          if (!isTerminal(info.status)) return inUse(`it is ${info.status}; cancel it first`)
          const fork =
            Query.isForked(state.database, run) ?? [...creating].find(([, origin]) => origin === run)?.[0]
          if (fork !== undefined) return inUse(`run ${JSON.stringify(fork)} is a fork of it`)
          return written([step({ $: "deleted", run })], () => leases.drop(run))
        })
      )
    )

  const store: Store.Store["Service"] = {
    owner,

    create: (batch, options) =>
      adding("create", () =>
        create(batch, options?.holder, options?.holder !== undefined && options.ahead === true)
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
        withRun(run, (row) => Query.readEntries(state.database, place, hasher.hash, row, options))
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
          Query.feed(state.database, place, options?.cursor, options?.limit) ?? invalidCursor(options?.cursor)
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
        withRun(run, (row) => Effect.sync(() => Query.inbox(state.database, row, cursor)))
      ),

    delete: (run) => writing("delete", () => remove(run)),

    getMeta: (key) =>
      reading("getMeta", () =>
        Effect.sync(() => {
          const row = state.database.first("SELECT value FROM meta WHERE key = ?", [JSON.stringify(key)])
          return row === undefined ? undefined : (JSON.parse(String(row[0])) as string)
        })
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
          if (!(bytes instanceof Uint8Array)) return Effect.succeed(undefined)
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
      reading("search", () => State.onDatabase(place, () => List.search(state.database, text, limit)))
  }
})
