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
 * It stands on `Faults`. `CrashExplorer` does this for every point of a scenario.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Hasher from "@waymark/core/Hasher"
import * as MemoryStore from "@waymark/core/MemoryStore"
import { Store } from "@waymark/core/Store"
import type { Lease } from "@waymark/core/Store"
import * as Faults from "./Faults.ts"
import * as Ledger from "./internal/crash/ledger.ts"
import * as Injector from "./internal/faults/injector.ts"
import { wrap } from "./internal/faults/store.ts"
import * as Given from "./internal/given.ts"
import type { Change } from "./internal/faults/store.ts"

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

/**
 * The store of a new process on a disk.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): CrashStore => {
  const { cutAt } = Given.isObject(options) ? options : {}
  Given.refuse("CrashStore.make", [
    ...Given.problemsOf<Options>(options, kinds),
    ...(cutAt === undefined ? [] : Given.problemsOf<Cut>(cutAt, cutKinds, "cutAt."))
  ])
  return makeObserved(options, () => {})
}

const kinds: Given.Kinds<Options> = {
  disk: Given.aDisk,
  cutAt: Given.kind("a crash point", () => true),
  owner: Given.optional(Given.aText),
  onCut: Given.optional(Given.aFunction)
}

const cutKinds: Given.Kinds<Cut> = { point: Given.aCount(1), when: Given.oneOf("before", "after") }

/**
 * The same; `pass` is called at each moment at which the power might be cut.
 *
 * @internal
 */
export const makeObserved = (options: Options, pass: (cut: Cut) => void): CrashStore => {
  const { cutAt, disk } = options
  const ledger = ledgerOf(disk)
  const operations: Array<Operation> = []
  const rules =
    cutAt === undefined
      ? []
      : [Faults.at(cutAt.point, cutAt.when === "before" ? Faults.crashBefore : Faults.crashAfter)]
  const injector = Injector.make(rules, () => {
    ledger.cut()
    disk.cutPower()
    options.onCut?.()
  })

  /** Makes an operation a crash point, and notes what became durable by it. */
  const observe = (change: Change): Injector.Observer => {
    const point = operations.length + 1
    return {
      before: () => {
        operations.push({ point, operation: change.name, run: runOf(change), detail: detailOf(change) })
        pass({ point, when: "before" })
      },
      after: (_, succeeded) => {
        note(ledger, change, succeeded)
        pass({ point, when: "after" })
      }
    }
  }

  const makeStore = Effect.gen(function* () {
    const memory = yield* MemoryStore.make({ disk, flush: "onSync", owner: options.owner })
    yield* Effect.addFinalizer(() => Effect.sync(() => (injector.isDead() ? undefined : ledger.closed())))
    // A release is a crash point of its own.
    const synced = { ...memory, sync: (lease: Lease) => memory.sync(lease) }
    return Store.of({
      ...wrap(synced, injector, { observe, reads: false }),
      // Whoever is told of a change goes on in a turn of its own, when the operation that made it is over.
      changes: Stream.tap(memory.changes, () => Effect.yieldNow),
      changed: (run, seq) => Effect.andThen(memory.changed(run, seq), Effect.yieldNow)
    })
  })

  return {
    layer: Layer.effect(Store, makeStore),
    points: Effect.sync(() => operations.length),
    operations: Effect.sync(() => [...operations]),
    cut: injector.crashed,
    cutPower: Effect.sync(injector.crash)
  }
}

const runOf = (change: Change): string | undefined =>
  change.name === "setMeta" || change.name === "putArtifact" ? undefined : change.run

/** What an operation was about, for people. */
const detailOf = (change: Change): string => {
  switch (change.name) {
    case "create":
    case "append":
      return change.batch.entries.map(({ event }) => event.kind).join(" + ")
    case "send":
      return change.command.request.type
    case "setMeta":
      return change.key
    case "putArtifact":
      return `${change.bytes.length} bytes`
    default:
      return ""
  }
}

/** Notes what is durable, and who holds what, after an operation. */
const note = (ledger: Ledger.Ledger, change: Change, succeeded: boolean): void => {
  if (!succeeded) {
    if (change.name === "create") ledger.found(change.run)
    return
  }
  switch (change.name) {
    case "create":
      return ledger.created(change.batch, change.held, change.held && change.ahead)
    case "append":
      return ledger.appended(change.batch)
    case "sync":
      return ledger.synced(change.run)
    case "acquire":
      return ledger.acquired(change.run)
    case "release":
      return ledger.released(change.run)
    case "send":
      return ledger.sent(change.command)
    case "delete":
      return ledger.deleted(change.run)
  }
}
