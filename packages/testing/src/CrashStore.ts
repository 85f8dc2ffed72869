/**
 * A store in memory whose power can be cut at every operation.
 *
 * Every operation that writes is a *crash point*, counted from 1: `create`, `append`, `sync`, `acquire`, `release`,
 * `send`, `delete`, `setMeta`, `putArtifact`. The power can be cut before it (it does not happen) or after it (it
 * happens, and nobody hears of it). Whatever was not synced is gone then, and no operation of the process ever comes
 * back: this store flushes only when somebody waits for it, which is the worst that a real disk may do.
 *
 * ```ts
 * import * as MemoryStore from "@waymark/core/MemoryStore"
 * import * as CrashStore from "@waymark/testing/CrashStore"
 * import * as Effect from "effect/Effect"
 *
 * export const program = Effect.gen(function*() {
 *   const disk = MemoryStore.makeDisk()
 *   const first = CrashStore.make({ disk, cutAt: { point: 4, when: "before" } })
 *   // Build a worker on `first.layer`, start a run, and wait for the cut:
 *   yield* first.cut
 *   // Another process finds what was durable:
 *   const second = CrashStore.make({ disk })
 *   return second.layer
 * })
 * ```
 *
 * `CrashExplorer` does this for every point of a scenario.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Hasher from "@waymark/core/Hasher"
import * as MemoryStore from "@waymark/core/MemoryStore"
import { Store } from "@waymark/core/Store"
import type { Batch } from "@waymark/core/Store"
import * as Ledger from "./internal/crash/ledger.ts"

/**
 * Where to cut the power: at the operation with this number, counted from 1, before it happens or after.
 *
 * @category models
 * @since 0.1.0
 */
export interface Cut {
  readonly point: number
  readonly when: "before" | "after"
}

/**
 * An operation that reached the store: its number, what it was, and for people, what it was about.
 *
 * @category models
 * @since 0.1.0
 */
export interface Operation {
  readonly point: number
  readonly operation: string
  readonly run: string | undefined
  readonly detail: string
}

/**
 * - `disk`: what outlives the process; share it with the stores of the processes that follow
 * - `cutAt`: where to cut the power; nowhere unless given
 * - `owner`: the name that stands in leases
 * - `onCut`: is called in the step in which the power is cut
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly disk: MemoryStore.Disk
  readonly cutAt?: Cut | undefined
  readonly owner?: string | undefined
  readonly onCut?: (() => void) | undefined
}

/**
 * The store of one process.
 *
 * @category models
 * @since 0.1.0
 */
export interface CrashStore {
  readonly layer: Layer.Layer<Store>
  /** How many crash points there were so far. */
  readonly points: Effect.Effect<number>
  /** The operations so far that were crash points, the one at which the power was cut included. */
  readonly operations: Effect.Effect<ReadonlyArray<Operation>>
  /** Completes when the power was cut. */
  readonly cut: Effect.Effect<void>
  /** Cuts the power now. It is that of the whole disk: every other store on it is dead, too. */
  readonly cutPower: Effect.Effect<void>
}

const ledgers = new WeakMap<MemoryStore.Disk, Ledger.Ledger>()

/**
 * What is durable on a disk, as far as crash stores wrote it.
 *
 * @internal
 */
export const ledgerOf = (
  disk: MemoryStore.Disk,
  hash: (text: string) => string = Hasher.Hasher.defaultValue().hash
): Ledger.Ledger => {
  let ledger = ledgers.get(disk)
  if (ledger === undefined) {
    ledger = Ledger.make(hash)
    ledgers.set(disk, ledger)
  }
  return ledger
}

const kindsOf = ({ entries }: Batch): string => entries.map(({ event }) => event.kind).join(" + ")

/**
 * The store of a new process on a disk.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): CrashStore => makeObserved(options, () => {})

/**
 * The same; `pass` is called at each moment at which the power might be cut.
 *
 * @internal
 */
export const makeObserved = (options: Options, pass: (cut: Cut) => void): CrashStore => {
  const { cutAt, disk } = options
  const ledger = ledgerOf(disk)
  const operations: Array<Operation> = []
  const cut = Deferred.makeUnsafe<void>()
  let dead = false

  const cutNow = (): void => {
    if (dead) return
    dead = true
    ledger.cut()
    disk.cutPower()
    options.onCut?.()
    Deferred.doneUnsafe(cut, Effect.void)
  }

  /** Makes an operation a crash point. `done` notes what became durable. */
  const point = <A, E>(
    operation: string,
    run: string | undefined,
    detail: string,
    effect: Effect.Effect<A, E>,
    done?: () => void
  ): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      if (dead) return Effect.never
      const number = operations.length + 1
      operations.push({ point: number, operation, run, detail })
      pass({ point: number, when: "before" })
      if (cutAt?.point === number && cutAt.when === "before") {
        cutNow()
        return Effect.never
      }
      return Effect.flatMap(Effect.exit(effect), (exit) => {
        if (Exit.isSuccess(exit)) done?.()
        pass({ point: number, when: "after" })
        if (cutAt?.point !== number) return exit
        cutNow()
        return Effect.never
      })
    })

  const makeStore = Effect.gen(function* () {
    const store = yield* MemoryStore.make({ disk, flush: "onSync", owner: options.owner })
    yield* Effect.addFinalizer(() => Effect.sync(() => (dead ? undefined : ledger.closed())))
    return Store.of({
      ...store,
      // Whoever is told of a change goes on in a turn of its own, when the operation that made it is over.
      changes: Stream.tap(store.changes, () => Effect.yieldNow),
      changed: (run, seq) => Effect.andThen(store.changed(run, seq), Effect.yieldNow),
      create: (batch, createOptions) => {
        const { run } = batch.entries[0].event
        const held = createOptions?.holder !== undefined
        const ahead = held && createOptions.ahead === true
        const created = Effect.tapError(store.create(batch, createOptions), () =>
          Effect.sync(() => ledger.found(run))
        )
        return point("create", run, kindsOf(batch), created, () => ledger.created(batch, held, ahead))
      },
      append: (lease, expected, batch) =>
        point("append", lease.run, kindsOf(batch), store.append(lease, expected, batch), () =>
          ledger.appended(batch)
        ),
      sync: (lease) => point("sync", lease.run, "", store.sync(lease), () => ledger.synced(lease.run)),
      acquire: (run, holder) =>
        point("acquire", run, "", store.acquire(run, holder), () => ledger.acquired(run)),
      release: (lease) =>
        point("release", lease.run, "", store.release(lease), () => ledger.released(lease.run)),
      send: (command) =>
        point("send", command.run, command.request.type, store.send(command), () =>
          ledger.sent(JSON.stringify([command.run, command.id, command.request]))
        ),
      delete: (run) => point("delete", run, "", store.delete(run), () => ledger.deleted(run)),
      setMeta: (key, value) => point("setMeta", undefined, key, store.setMeta(key, value)),
      putArtifact: (bytes) =>
        point("putArtifact", undefined, `${bytes.length} bytes`, store.putArtifact(bytes))
    })
  })

  return {
    layer: Layer.effect(Store, makeStore),
    points: Effect.sync(() => operations.length),
    operations: Effect.sync(() => [...operations]),
    cut: Deferred.await(cut),
    cutPower: Effect.sync(cutNow)
  }
}
