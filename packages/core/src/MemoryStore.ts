/**
 * A store in memory: the reference implementation of the port, with everything it promises but the disk.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ChangeHub from "./ChangeHub.ts"
import { parse } from "./Journal.ts"
import type { Entry, Head } from "./Journal.ts"
import { Hasher } from "./Hasher.ts"
import * as RunIndex from "./RunIndex.ts"
import * as RunInfo from "./RunInfo.ts"
import * as Store from "./Store.ts"

interface Run {
  readonly id: string
  /** The durable entries, as they are stored. */
  readonly lines: Array<string>
  head: Head
  /** Batches that were accepted and are not durable yet. */
  readonly pending: Array<Store.Batch>
  lease: (Given & { readonly holder: string | undefined; readonly instance: Instance }) | undefined
  epoch: number
  /** Whether the last owner was lost without releasing the run. */
  crashed: boolean
  readonly inbox: Array<Store.Received>
  /** The last position that the journal named when the run was created: it was written elsewhere then. */
  named: number
  readonly commands: Set<string>
}

/** No two leases have the same `term`, though a run whose creation was undone may be created again at the same epoch. */
interface Given extends Store.Lease {
  readonly term?: number
}

interface Instance {
  readonly owner: string
  readonly hub: ChangeHub.ChangeHub
  readonly leases: Set<Run>
  alive: boolean
}

/**
 * What outlives a process: the "disk" that several memory stores may share, each one standing for a process.
 *
 * @category models
 * @since 0.1.0
 */
export interface Disk {
  /**
   * Cuts the power: what is not synced is gone, every store on the disk is dead, and none of their operations that
   * are under way, or begin afterwards, ever comes back. A store made later finds what was durable.
   */
  readonly cutPower: () => void
  /**
   * Lets the leases of an owner lapse as if its process had been frozen for too long: others may take its runs over,
   * and what it appends after that is refused.
   */
  readonly lapse: (owner: string) => void
  /** @internal */
  readonly state: DiskState
}

interface DiskState {
  readonly runs: Map<string, Run>
  readonly index: RunIndex.RunIndex
  /** All durable entries in the order in which they became so; those of deleted runs are blanked. */
  readonly log: Array<string | undefined>
  readonly meta: Map<string, string>
  readonly artifacts: Map<string, Uint8Array>
  /** Those that are open. */
  readonly instances: Set<Instance>
  nextOwner: number
  nextTerm: number
}

/** Tells all who use the disk. */
const publish = (disk: DiskState, change: Store.Change): void => {
  for (const { hub } of disk.instances) hub.publish(change)
}

const advanced = (disk: DiskState, run: string, seq: number): void => {
  for (const { hub } of disk.instances) hub.advanced(run, seq)
}

const letGo = (disk: DiskState, instance: Instance, crashed: boolean): void => {
  for (const run of instance.leases) {
    run.lease = undefined
    run.crashed = crashed
    run.pending.length = 0
    if (run.lines.length === 0) disk.runs.delete(run.id)
    else publish(disk, { run: run.id, what: "lease" })
  }
  instance.leases.clear()
}

const closed = (): Effect.Effect<never, Store.StoreError> =>
  Effect.fail(
    new Store.StoreError({
      operation: "store",
      reason: { _tag: "Closed", detail: "this store was closed" }
    })
  )

const invalidCursor = (
  operation: string,
  cursor: string | undefined
): Effect.Effect<never, Store.StoreError> =>
  Effect.fail(
    new Store.StoreError({
      operation,
      reason: { _tag: "Invalid", detail: `${JSON.stringify(cursor)} is not a cursor of this store` }
    })
  )

/**
 * An empty disk.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeDisk = (): Disk => {
  const state: DiskState = {
    runs: new Map(),
    index: RunIndex.make(),
    log: [],
    meta: new Map(),
    artifacts: new Map(),
    instances: new Set(),
    nextOwner: 1,
    nextTerm: 1
  }
  return {
    state,
    cutPower: () => {
      for (const instance of state.instances) {
        instance.alive = false
        letGo(state, instance, true)
      }
      state.instances.clear()
    },
    lapse: (owner) => {
      for (const instance of state.instances) if (instance.owner === owner) letGo(state, instance, true)
    }
  }
}

/**
 * How a memory store behaves.
 *
 * - `disk`: the disk to share; a new one unless given
 * - `owner`: the name that stands in leases
 * - `flush`: `"background"` (the default) makes accepted entries durable soon even if nobody waits for them; with
 *   `"onSync"` they become durable only when somebody does, which is the worst a real disk may do
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly disk?: Disk | undefined
  readonly owner?: string | undefined
  readonly flush?: "background" | "onSync" | undefined
}

/** An entry as it comes back from where it was stored. What this store holds it has written itself. */
const entryOf = (line: string): Entry => Result.getOrThrow(parse(line))

/** At most so many accepted entries of a run wait for the background before they are made durable at once. */
const maxPendingBatches = 1024

/**
 * A store on a disk, released with the scope: its leases are let go in good order.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = /* @__PURE__ */ Effect.fnUntraced(function* (
  options?: Options
): Effect.fn.Return<Store.Store["Service"], never, Scope.Scope> {
  const disk = (options?.disk ?? makeDisk()).state
  const { hashBytes } = yield* Hasher
  const background = options?.flush !== "onSync"
  const instance: Instance = {
    owner: options?.owner ?? `memory-${disk.nextOwner++}`,
    hub: ChangeHub.make(),
    leases: new Set(),
    alive: true
  }
  disk.instances.add(instance)
  let isClosed = false

  /** Runs `body` in one step while the power is on; a dead store's operations never come back, a closed one's fail. */
  const operation = <Body extends Effect.Effect<any, any>>(
    body: () => Body
  ): Effect.Effect<Effect.Success<Body>, Effect.Error<Body> | Store.StoreError> =>
    Effect.suspend((): Effect.Effect<any, any> => {
      if (instance.alive) return body()
      return isClosed ? closed() : Effect.never
    })

  /** The same for a run that must exist. Nothing happens between the look-up and `body`. */
  const withRun = <A, E>(
    run: string,
    body: (known: Run) => Effect.Effect<A, E>
  ): Effect.Effect<A, E | Store.RunNotFound | Store.StoreError> =>
    operation((): Effect.Effect<A, E | Store.RunNotFound> => {
      const known = disk.runs.get(run)
      return known === undefined || known.lines.length === 0
        ? Effect.fail(new Store.RunNotFound({ run }))
        : body(known)
    })

  const holds = (run: Run | undefined, lease: Store.Lease): run is Run =>
    run?.lease !== undefined &&
    run.lease.epoch === lease.epoch &&
    run.lease.term === ((lease as Given).term ?? run.lease.term) &&
    run.lease.instance === instance

  const give = (run: Run, holder: string): Store.Lease => {
    const lease: Given = { run: run.id, owner: instance.owner, epoch: run.epoch, term: disk.nextTerm++ }
    run.lease = { ...lease, holder, instance }
    instance.leases.add(run)
    return lease
  }

  const commit = (run: Run): void => {
    let info = disk.index.get(run.id)
    for (const batch of run.pending) {
      for (const entry of batch.entries) {
        run.lines.push(entry.line)
        disk.log.push(entry.line)
        info = RunInfo.apply(info, entry.event)
      }
      run.head = { seq: info!.seq, hash: batch.head }
      if (run.lines.length === batch.entries.length) run.named = RunInfo.lastNamed(info!, "")
    }
    run.pending.length = 0
    disk.index.set(info!)
    publish(disk, { run: run.id, what: "journal" })
    advanced(disk, run.id, info!.seq)
  }

  const dirty = new Set<Run>()
  const flushAll = Effect.sync(() => {
    const runs = [...dirty]
    dirty.clear()
    for (const run of runs) if (run.pending.length > 0) commit(run)
  })
  const scope = yield* Effect.scope
  const scheduleFlush = (run: Run): Effect.Effect<void> => {
    if (!background) return Effect.void
    if (run.pending.length >= maxPendingBatches) {
      commit(run)
      return Effect.void
    }
    const scheduled = dirty.size > 0
    dirty.add(run)
    if (scheduled) return Effect.void
    return Effect.asVoid(Effect.forkIn(Effect.andThen(Effect.yieldNow, flushAll), scope))
  }

  const lastAccepted = (run: Run): number => {
    const batch = run.pending[run.pending.length - 1]
    return batch === undefined ? run.head.seq : batch.entries[batch.entries.length - 1]!.event.seq
  }

  /** The lines up to the one with which there are so many bytes. */
  const pageOf = (lines: ReadonlyArray<string>, bytes = Number.POSITIVE_INFINITY): ReadonlyArray<Entry> => {
    let size = 0
    const last = lines.findIndex((line) => (size += line.length) >= bytes)
    return lines.slice(0, last < 0 ? lines.length : last + 1).map(entryOf)
  }

  const bounded = (limit: number | undefined): number => Math.max(0, limit ?? 1000)

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      if (!instance.alive) return
      for (const run of instance.leases) if (run.pending.length > 0) commit(run)
      letGo(disk, instance, false)
      instance.alive = false
      isClosed = true
      disk.instances.delete(instance)
      instance.hub.close()
    })
  )

  return Store.Store.of({
    owner: instance.owner,

    create: (batch, createOptions) =>
      operation(() => {
        const id = batch.entries[0].event.run
        const known = disk.runs.get(id)
        if (known !== undefined) {
          // Whoever is told that it exists finds it.
          if (known.lines.length === 0) commit(known)
          return Effect.fail(new Store.RunExists({ run: id }))
        }
        const { epoch } = batch.entries[batch.entries.length - 1]!.event
        const run: Run = {
          id,
          lines: [],
          head: { seq: -1, hash: "" },
          pending: [batch],
          lease: undefined,
          epoch,
          crashed: false,
          inbox: [],
          named: 0,
          commands: new Set()
        }
        disk.runs.set(id, run)
        const holder = createOptions?.holder
        if (holder === undefined) {
          commit(run)
          return Effect.succeed({ run: id, owner: instance.owner, epoch })
        }
        const lease = give(run, holder)
        if (createOptions?.ahead === true) return Effect.as(scheduleFlush(run), lease)
        commit(run)
        return Effect.succeed(lease)
      }),

    append: (lease, expected, batch) =>
      operation(() => {
        const run = disk.runs.get(lease.run)
        if (!holds(run, lease))
          return Effect.fail(new Store.LeaseLost({ run: lease.run, epoch: lease.epoch }))
        const actual = lastAccepted(run)
        if (actual !== expected)
          return Effect.fail(new Store.SeqConflict({ run: lease.run, expected, actual }))
        run.pending.push(batch)
        return scheduleFlush(run)
      }),

    sync: (lease) =>
      operation(() => {
        const run = disk.runs.get(lease.run)
        if (!holds(run, lease))
          return Effect.fail(new Store.LeaseLost({ run: lease.run, epoch: lease.epoch }))
        if (run.pending.length > 0) commit(run)
        return Effect.void
      }),

    acquire: (run, holder) =>
      withRun(run, (known): Effect.Effect<Store.Acquired, Store.LeaseHeld> => {
        if (known.lease !== undefined)
          return Effect.fail(new Store.LeaseHeld({ run, owner: known.lease.owner }))
        known.epoch += 1
        const lease = give(known, holder)
        const previous = known.crashed ? "crash" : "handover"
        known.crashed = false
        return Effect.succeed({ lease, previous, info: disk.index.get(run)!, head: known.head })
      }),

    release: (lease) =>
      operation(() => {
        const run = disk.runs.get(lease.run)
        if (holds(run, lease)) {
          if (run.pending.length > 0) commit(run)
          run.lease = undefined
          instance.leases.delete(run)
          publish(disk, { run: lease.run, what: "lease" })
        }
        return Effect.void
      }),

    get: (run) =>
      withRun(run, (known) =>
        Effect.succeed({
          info: disk.index.get(run)!,
          head: known.head,
          ...(known.lease === undefined ? undefined : { owner: known.lease.owner })
        })
      ),

    read: (run, readOptions) =>
      withRun(run, ({ lines }) => {
        const limit = bounded(readOptions?.limit)
        const last = lines.length - 1
        if (readOptions?.direction === "backwards") {
          const from = Math.min(readOptions.from ?? last, last)
          const to = Math.max(readOptions.to ?? 0, from - limit + 1, 0)
          return Effect.succeed(pageOf(lines.slice(to, from + 1).reverse(), readOptions.bytes))
        }
        const from = Math.max(readOptions?.from ?? 0, 0)
        const to = Math.min(readOptions?.to ?? last, from + limit - 1, last)
        return Effect.succeed(pageOf(lines.slice(from, to + 1), readOptions?.bytes))
      }),

    list: (query) =>
      operation(() => {
        const page = disk.index.list(query, {
          isOwned: (run) => disk.runs.get(run)?.lease !== undefined,
          isCommanded: (info) =>
            disk.runs
              .get(info.run)!
              .inbox.some(({ position, source }) => !RunInfo.isHandled(info, source, position))
        })
        return page === undefined ? invalidCursor("list", query.cursor) : Effect.succeed(page)
      }),

    feed: (feedOptions) =>
      operation(() => {
        const cursor = feedOptions?.cursor ?? "0"
        let at = cursor === "now" ? disk.log.length : /^\d+$/.test(cursor) ? Number(cursor) : Number.NaN
        if (!(at <= disk.log.length)) return invalidCursor("feed", cursor)
        const limit = bounded(feedOptions?.limit)
        const bytes = feedOptions?.bytes ?? Number.POSITIVE_INFINITY
        const entries: Array<Entry> = []
        let size = 0
        // What was deleted does not count: an empty page means that there is nothing more.
        for (; at < disk.log.length && entries.length < limit && size < bytes; at++) {
          const line = disk.log[at]
          if (line === undefined) continue
          entries.push(entryOf(line))
          size += line.length
        }
        return Effect.succeed({ entries, cursor: String(at) })
      }),

    changes: Stream.filter(instance.hub.stream, () => instance.alive || isClosed),

    changed: (run, seq) =>
      withRun(run, (known) =>
        Effect.andThen(
          instance.hub.waitBeyond(run, seq, () => known.head.seq > seq || disk.runs.get(run) !== known),
          operation(() => Effect.void)
        )
      ),

    send: (command) =>
      withRun(command.run, (known) => {
        if (known.commands.has(command.id)) return Effect.void
        known.commands.add(command.id)
        known.inbox.push({ source: "", position: known.named + known.inbox.length + 1, command })
        publish(disk, { run: command.run, what: "inbox" })
        return Effect.void
      }),

    inbox: (run, cursor) =>
      withRun(run, (known) =>
        Effect.succeed(known.inbox.slice(Math.max(0, (cursor[""] ?? 0) - known.named)))
      ),

    delete: (run) =>
      withRun(run, (known) => {
        const info = disk.index.get(run)!
        if (!RunInfo.isTerminal(info.status)) {
          return Effect.fail(new Store.RunInUse({ run, detail: `it is ${info.status}; cancel it first` }))
        }
        for (const other of disk.index.values()) {
          if (other.forkOf?.run === run) {
            return Effect.fail(
              new Store.RunInUse({ run, detail: `run ${JSON.stringify(other.run)} is a fork of it` })
            )
          }
        }
        known.lease?.instance.leases.delete(known)
        known.lease = undefined
        // Or a flush that is under way would bring it back.
        known.pending.length = 0
        disk.runs.delete(run)
        disk.index.remove(run)
        const deleted: ReadonlySet<string | undefined> = new Set(known.lines)
        for (let i = disk.log.length - 1; i >= 0; i--) if (deleted.has(disk.log[i])) disk.log[i] = undefined
        publish(disk, { run, what: "deleted" })
        advanced(disk, run, Number.POSITIVE_INFINITY)
        return Effect.void
      }),

    getMeta: (key) => operation(() => Effect.succeed(disk.meta.get(key))),
    setMeta: (key, value) =>
      operation(() => {
        disk.meta.set(key, value)
        return Effect.void
      }),

    putArtifact: (bytes) =>
      operation(() => {
        const id = hashBytes(bytes)
        if (!disk.artifacts.has(id)) disk.artifacts.set(id, bytes.slice())
        return Effect.succeed(id)
      }),
    getArtifact: (id) => operation(() => Effect.succeed(disk.artifacts.get(id)?.slice()))
  })
})

/**
 * A store in memory, on a disk of its own unless told otherwise.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Store.Store> => Layer.effect(Store.Store, make(options))
