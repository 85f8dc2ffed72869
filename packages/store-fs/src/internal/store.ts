/**
 * The port, put together from its parts.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ChangeHub from "@waymark/core/ChangeHub"
import type { Hasher } from "@waymark/core/Hasher"
import type { RunInfo } from "@waymark/core/RunInfo"
import * as Store from "@waymark/core/Store"
import type { ProcessIdentity } from "@waymark/store-kit/ProcessIdentity"
import * as Artifacts from "./artifacts.ts"
import * as Catalog from "./catalog.ts"
import * as Claims from "./claims.ts"
import { coalesce } from "@waymark/store-kit/Coalesce"
import * as Compaction from "./compaction.ts"
import * as Contest from "./contest.ts"
import * as Creation from "./creation.ts"
import * as Deletion from "./deletion.ts"
import * as Disk from "@waymark/store-kit/Disk"
import { failure, named } from "@waymark/store-kit/Failures"
import type { Place } from "./doubts.ts"
import * as Feed from "./feed.ts"
import * as Inbox from "./inbox.ts"
import * as IndexFile from "./indexFile.ts"
import * as Leases from "./leases.ts"
import * as Observer from "./observer.ts"
import * as Ownership from "./ownership.ts"
import { prepare } from "./prepare.ts"
import * as Pump from "./pump.ts"
import * as Readers from "./readers.ts"
import { ensureAbsent, ensureThere, ensureWhole, readPage } from "./reading.ts"
import type { Run } from "./model.ts"
import * as Wakeups from "@waymark/store-kit/Wakeups"

export interface Settings {
  readonly directory: string
  readonly readOnly: boolean
  /** Milliseconds. */
  readonly leaseTtl: number
  readonly heartbeat: number
  readonly pollInterval: number
  /** Bytes. */
  readonly segmentSize: number
  readonly maxUnsynced: number
}

export interface Made {
  readonly store: Store.Store["Service"]
  /** Rewrites what holds anything that is not needed any more. */
  readonly compact: Effect.Effect<Compaction.Compacted, Store.StoreError>
  /** Writes the index now. */
  readonly writeIndex: Effect.Effect<void, Store.StoreError>
  /** The commands of a run that are what was sent, and whether there were others. */
  readonly salvageInbox: (
    run: string,
    cursor: Store.InboxCursor
  ) => Effect.Effect<
    { readonly found: ReadonlyArray<Store.Received>; readonly lost: boolean },
    Store.StoreError
  >
  /** Where lines of segments are not what was written. */
  readonly damage: () => ReadonlyArray<Place>
}

const defaultLimit = 1000
/**
 * The index is written again when so many bytes came in since, or as many as it is long, as soon as nothing else is going
 * on; meanwhile only when there are many times as many, so that it costs little of what is.
 */
const indexAfter = 512 * 1024
const indexAfterBusy = 2 * 1024 * 1024
const indexTimes = 6
/** How long nothing has to happen for that, in milliseconds. */
const idleAfter = 200
/** At closing it is written for less; but not for every command that a short-lived process leaves. */
const indexAtClose = 64 * 1024
/** Segments are compacted when half of them, and at least so many bytes, are garbage; or half of a full one if that is less. */
const garbageRatio = 0.5
const garbageAtLeast = 1024 * 1024

export const make = Effect.fnUntraced(function* (
  fs: FileSystem.FileSystem,
  identity: ProcessIdentity["Service"],
  hasher: Hasher,
  settings: Settings
): Effect.fn.Return<Made, Store.StoreError, Scope.Scope> {
  const { readOnly } = settings
  const scope = yield* Effect.scope
  // Open files, and work in the background: closed by the finalizer below, when everything is written.
  const handles = yield* Scope.fork(scope)
  const background = yield* Scope.fork(scope)
  const runFork = Effect.runForkWith(yield* Effect.context())
  const disk = Readers.limited(Disk.make(fs, settings.directory))
  const hub = ChangeHub.make()
  const owner = `${Date.now().toString(36).padStart(9, "0")}${identity.unique()}`
  const pathOf = (segment: Parameters<typeof Catalog.fileName>[0]) =>
    disk.path("segments", Catalog.fileName(segment))

  yield* named("open")(prepare(disk, readOnly, owner))

  // -----------------------------------------------------------------------------------------------------------------
  // what is there

  const open = (useIndex: boolean) =>
    Effect.gen(function* () {
      const catalog = Catalog.make(hub, hasher.hash, pathOf)
      const observer = Observer.make({ catalog, disk, identity, readOnly })
      yield* observer.listSegments
      const length = useIndex ? yield* IndexFile.load(disk, catalog, hasher.hash) : undefined
      if (useIndex && length === undefined && catalog.series.size > 0) return undefined
      yield* observer.refresh
      return { catalog, observer, indexLength: length ?? 0 }
    })
  const opened = yield* named("open")(open(true))
  const { catalog, indexLength, observer } = opened ?? (yield* named("open")(open(false)))!

  const wakeups = Wakeups.make(
    (work) => void runFork(Effect.forkIn(work, background, { startImmediately: true }))
  )
  /** What is under way when the store is closed ends, or is waited for: nothing is written afterwards. */
  const untilClosed = {
    scope: background,
    ended: failure({ _tag: "Closed", detail: "this store was closed" })
  }
  const ownership = Ownership.make({
    catalog,
    disk,
    heartbeat: settings.heartbeat,
    identity,
    observer,
    owner,
    readOnly,
    scope: handles,
    ttl: settings.leaseTtl,
    untilClosed,
    wakeups
  })

  // -----------------------------------------------------------------------------------------------------------------
  // the index, and compaction

  let indexSize = indexLength
  const writeIndex = coalesce(
    Effect.suspend(() => {
      if (readOnly) return Effect.void
      return Effect.map(IndexFile.write(disk, catalog, hasher.hash, ownership.temporary), (size) => {
        if (size > 0) indexSize = size
      })
    }),
    { within: untilClosed }
  )
  let settledAt = 0
  let indexing = false
  const considerIndex = (): void => {
    settledAt = identity.monotonic()
    if (indexing || catalog.unindexed < Math.max(indexAfter, indexSize)) return
    indexing = true
    const idle = Effect.gen(function* () {
      const isUrgent = () => catalog.unindexed >= Math.max(indexAfterBusy, indexSize * indexTimes)
      while (!isUrgent() && identity.monotonic() - settledAt < idleAfter)
        yield* identity.pause(idleAfter / 2, "idle")
    })
    runInBackground("the index of a store could not be written", Effect.andThen(idle, writeIndex), () => {
      indexing = false
    })
  }

  const compacting = (ratio: number, atLeast: number) =>
    coalesce(
      Effect.suspend(() =>
        observer.exclusively(
          Compaction.compact({ catalog, disk, temporary: ownership.temporary }, ratio, atLeast)
        )
      ),
      { within: untilClosed }
    )
  const compact = compacting(0, 0)
  const compactSome = compacting(garbageRatio, Math.min(garbageAtLeast, settings.segmentSize * garbageRatio))

  /** Starts work that nobody waits for; its failure is reported, and it is done again another time. */
  const runInBackground = (
    message: string,
    work: Effect.Effect<unknown, Store.StoreError>,
    after: () => void
  ): void => {
    runFork(
      Effect.forkIn(
        work.pipe(
          Effect.catch((error) =>
            // It was not to be done any more.
            closing ? Effect.void : Effect.logWarning(message, { directory: disk.root, error: error.message })
          ),
          Effect.ensuring(Effect.sync(after))
        ),
        background
      )
    )
  }
  // -----------------------------------------------------------------------------------------------------------------
  // writing

  let leases: Leases.Leases
  const pump = Pump.make({
    catalog,
    disk,
    identity,
    maxUnsynced: settings.maxUnsynced,
    onFailure: (why) => leases?.onFailure(why),
    onSettled: considerIndex,
    ownership,
    scope: handles,
    segmentSize: settings.segmentSize,
    wakeups
  })
  const claims = Claims.make({
    disk,
    scope: handles,
    temporary: ownership.temporary,
    untilClosed,
    survey: observer.survey,
    isSettled: (id, claim) => {
      const series = catalog.series.get(id)
      if (series === undefined || series.ended !== undefined) return true
      if (claim.incarnation <= (catalog.tombstones.get(claim.run) ?? 0)) return true
      const run = catalog.runs.get(claim.run)
      return (
        run !== undefined &&
        claim.epoch >= 0 &&
        run.incarnation === claim.incarnation &&
        run.epoch >= claim.epoch
      )
    }
  })
  const contest = Contest.make({ catalog, identity, observer, ownership })
  leases = Leases.make({ catalog, claims, contest, identity, observer, ownership, pump, wakeups })
  const creation = Creation.make({
    catalog,
    claims,
    contest,
    identity,
    leases,
    observer,
    ownership,
    pump,
    wakeups
  })
  const remove = Deletion.make({
    catalog,
    claims,
    contest,
    creation,
    identity,
    leases,
    observer,
    ownership,
    pump,
    wakeups
  })
  const artifacts = Artifacts.make({ disk, hashBytes: hasher.hashBytes, hash: hasher.hash, ownership })
  const inboxes = Inbox.make({ catalog, disk, ownership, pump, wakeups })

  let closing = false
  let interest = 0
  let wakePoller: (() => void) | undefined

  /** Looks at the others at regular intervals, as long as somebody wants to know. */
  const poll = Effect.forever(
    Effect.suspend(() => {
      if (interest === 0 && !leases.hasAny()) {
        return Effect.callback<void>((resume) => {
          wakePoller = () => {
            wakePoller = undefined
            resume(Effect.void)
          }
        })
      }
      return Effect.andThen(
        Effect.catch(observer.glance, (error) =>
          Effect.logWarning("a store cannot be watched", { directory: disk.root, error: error.message })
        ),
        identity.pause(settings.pollInterval, "idle")
      )
    })
  )
  /** Whoever waits for another process keeps this one running meanwhile; leases alone do not. */
  const interested: Effect.Effect<void, never, Scope.Scope> = Effect.gen(function* () {
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        interest += 1
        wakePoller?.()
      }),
      () =>
        Effect.sync(() => {
          interest -= 1
        })
    )
    yield* Effect.forkScoped(Effect.forever(identity.pause(60_000, "busy")))
  })
  leases.onFirst(() => wakePoller?.())

  yield* Effect.forkIn(pump.run, background)
  yield* Effect.forkIn(poll, background)

  // -----------------------------------------------------------------------------------------------------------------
  // closing

  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      closing = true
      yield* pump.close
      hub.close()
      if (ownership.current() !== undefined) {
        const size = catalog.unindexed + segmentsSince(catalog) * 2048
        if (size >= Math.max(indexAtClose, indexSize / 4)) {
          yield* Effect.catch(writeIndex, (error) =>
            Effect.logWarning("the index of a store could not be written", {
              directory: disk.root,
              error: error.message
            })
          )
        }
      }
      yield* Scope.close(background, Exit.void)
      yield* ownership.close
      yield* Scope.close(handles, Exit.void)
    })
  )

  // -----------------------------------------------------------------------------------------------------------------
  // the port

  /** An operation of the port: not after closing, and with its name in its errors. */
  const operation = <A, E>(
    name: string,
    body: () => Effect.Effect<A, E>
  ): Effect.Effect<A, E | Store.StoreError> =>
    named(name)(
      Effect.suspend((): Effect.Effect<A, E | Store.StoreError> =>
        closing ? failure({ _tag: "Closed", detail: "this store was closed" }) : body()
      )
    )

  const writing = <A, E>(
    name: string,
    body: () => Effect.Effect<A, E>
  ): Effect.Effect<A, E | Store.StoreError> =>
    operation(name, (): Effect.Effect<A, E | Store.StoreError> =>
      readOnly
        ? failure({ _tag: "Invalid", path: disk.root, detail: "this store was opened to read only" })
        : body()
    )

  /** A run of this store, as it is now. What this instance holds itself, nobody else changes. */
  const withRun = <A, E>(
    id: string,
    body: (run: Run) => Effect.Effect<A, E>
  ): Effect.Effect<A, E | Store.RunNotFound | Store.StoreError> =>
    Effect.suspend((): Effect.Effect<A, E | Store.RunNotFound | Store.StoreError> => {
      const known = catalog.find(id)
      if (known !== undefined && known.lease !== undefined) return body(known)
      return Effect.flatMap(
        observer.refresh,
        (): Effect.Effect<A, E | Store.RunNotFound | Store.StoreError> => {
          const run = catalog.find(id)
          return run === undefined
            ? Effect.andThen(ensureAbsent(catalog, id), Effect.fail(new Store.RunNotFound({ run: id })))
            : Effect.andThen(
                ensureThere(catalog, run),
                Effect.suspend(() => body(run))
              )
        }
      )
    })

  const infoOf = (run: Run): Effect.Effect<RunInfo, Store.StoreError> => {
    if (run.info !== undefined) return Effect.succeed(run.info)
    const { damage } = run
    return failure({
      _tag: "Corrupt",
      run: run.id,
      detail: damage?.detail ?? "its first entry is missing",
      ...(damage === undefined ? undefined : { path: damage.path, offset: damage.offset, seq: damage.seq })
    })
  }

  const store: Store.Store["Service"] = {
    owner,

    create: (batch, options) =>
      writing("create", () =>
        creation.create(batch, options?.holder, options?.holder !== undefined && options.ahead === true)
      ),

    append: (lease, expected, batch) =>
      Effect.suspend((): Effect.Effect<void, Store.LeaseLost | Store.SeqConflict | Store.StoreError> => {
        if (closing) return writing("append", () => Effect.void)
        const run = leases.holding(lease)
        if (run === undefined) return named("append")(leases.refusal(lease))
        if (run.accepted !== expected) {
          const conflict = new Store.SeqConflict({ run: lease.run, expected, actual: run.accepted })
          return Effect.andThen(named("append")(leases.confirm(lease)), Effect.fail(conflict))
        }
        run.accepted = batch.entries[batch.entries.length - 1]!.event.seq
        pump.enqueueSoon(Pump.entries(run, batch))
        return pump.isFull() ? pump.awaitRoom : Effect.void
      }),

    sync: (lease, options) =>
      Effect.suspend((): Effect.Effect<void, Store.LeaseLost | Store.StoreError> => {
        if (closing) return operation("sync", () => Effect.void)
        const run = leases.holding(lease)
        if (run === undefined) return named("sync")(leases.refusal(lease))
        return named("sync")(
          run.accepted <= run.last
            ? leases.confirm(lease)
            : leases.awaitDurable(run, lease, options?.release === true)
        )
      }),

    acquire: (run, holder) => writing("acquire", () => leases.acquire(run, holder)),

    release: (lease) => writing("release", () => leases.release(lease)),

    get: (id) =>
      operation("get", () =>
        withRun(id, (run) =>
          Effect.map(infoOf(run), (info) => {
            const holder = leases.ownerOf(run)
            return {
              info,
              head: { seq: run.last, hash: catalog.hashOf(run) },
              ...(holder === undefined ? undefined : { owner: holder })
            }
          })
        )
      ),

    read: (id, options) =>
      operation("read", () =>
        withRun(id, (run) => {
          const limit = Math.max(0, options?.limit ?? defaultLimit)
          const { last } = run
          if (options?.direction === "backwards") {
            const from = Math.min(options.from ?? last, last)
            const to = Math.max(options.to ?? 0, from - limit + 1, 0)
            const whole =
              (options.from ?? Number.POSITIVE_INFINITY) > last && limit > 0
                ? ensureWhole(catalog, run)
                : Effect.void
            return Effect.andThen(whole, readPage(disk, catalog, hasher.hash, run, to, from, options))
          }
          const from = Math.max(options?.from ?? 0, 0)
          const to = Math.min(options?.to ?? last, from + limit - 1, last)
          const beyond = Math.min(options?.to ?? Number.POSITIVE_INFINITY, from + limit - 1) > last
          return Effect.andThen(
            beyond ? ensureWhole(catalog, run) : Effect.void,
            readPage(disk, catalog, hasher.hash, run, from, to, options)
          )
        })
      ),

    list: (query) =>
      operation("list", () =>
        Effect.flatMap(observer.refresh, () => {
          const page = catalog.index.list(query, {
            isOwned: (id) => leases.ownerOf(catalog.expect(id)) !== undefined,
            isCommanded: (info) => inboxes.isCommanded(info)
          })
          return page === undefined
            ? failure({
                _tag: "Invalid",
                detail: `${JSON.stringify(query.cursor)} is not a cursor of this store`
              })
            : Effect.succeed(page)
        })
      ),

    feed: (options) =>
      operation("feed", () =>
        Effect.andThen(
          observer.refresh,
          Effect.suspend(() =>
            Feed.read(
              disk,
              catalog,
              options?.cursor,
              Math.max(0, options?.limit ?? defaultLimit),
              options?.bytes
            )
          )
        )
      ),

    changes: Stream.unwrap(Effect.as(interested, hub.stream)),

    changed: (id, seq) =>
      operation("changed", () =>
        withRun(id, (run) =>
          Effect.scoped(
            Effect.andThen(
              interested,
              hub.waitBeyond(id, seq, () => run.last > seq || catalog.runs.get(id) !== run)
            )
          )
        )
      ),

    send: (command) => writing("send", () => withRun(command.run, (run) => inboxes.send(run, command))),

    inbox: (id, cursor) =>
      operation("inbox", () =>
        Effect.andThen(
          observer.refresh,
          withRun(id, (run) => inboxes.read(run, cursor))
        )
      ),

    delete: (id) =>
      writing("delete", () =>
        Effect.map(remove(id), () => {
          runInBackground("a store could not be compacted", compactSome, () => {})
        })
      ),

    getMeta: (key) => operation("getMeta", () => artifacts.getMeta(key)),
    setMeta: (key, value) => writing("setMeta", () => artifacts.setMeta(key, value)),
    putArtifact: (bytes) => writing("putArtifact", () => artifacts.put(bytes)),
    getArtifact: (hash) => operation("getArtifact", () => artifacts.get(hash))
  }

  return {
    store: Store.Store.of(store),
    compact: named("compact")(compact),
    writeIndex: named("writeIndex")(writeIndex),
    salvageInbox: (run, cursor) => inboxes.salvage(catalog.expect(run), cursor),
    damage: catalog.doubts.places
  }
})

/** How many series have to be read from their beginning when a store is opened with the index as it is. */
const segmentsSince = (catalog: Catalog.Catalog): number => {
  let count = 0
  for (const series of catalog.series.values()) if (series.at.segment > 0) count += 1
  return count - catalog.indexedSeries
}
