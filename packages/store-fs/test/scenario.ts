/**
 * What a store told its users, and whether it keeps it: for cutting the power at every system call.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Crypto from "node:crypto"
import type { Body } from "@waymark/core/Event"
import * as Journal from "@waymark/core/Journal"
import type { Entry } from "@waymark/core/Journal"
import { Store } from "@waymark/core/Store"
import type { Batch, Lease } from "@waymark/core/Store"
import * as PowerLossFileSystem from "@waymark/testing/PowerLossFileSystem"
import * as NodeHasher from "@waymark/store-kit/NodeHasher"
import * as FsStore from "../src/FsStore.ts"
import { Maintenance } from "../src/Maintenance.ts"
import type { Machine, MachineProcess } from "@waymark/store-kit/TestMachine"
import { makeMachine } from "@waymark/store-kit/TestMachine"

export type Instance = Store["Service"]

/** A journal as its writer has it. */
export interface Log {
  readonly run: string
  readonly epoch: number
  readonly entries: ReadonlyArray<Entry>
}

export const hashOf = (text: string): string => Crypto.hash("sha256", text, "hex")

const headOf = (log: Log): string =>
  log.entries.length === 0 ? Journal.genesis : hashOf(log.entries[log.entries.length - 1]!.line)

export const lastOf = (log: Log): number => log.entries.length - 1

export const created: Body = {
  kind: "created",
  flow: "flow",
  version: 1,
  fingerprint: "",
  start: "work",
  input: null,
  state: {},
  durability: "pipelined",
  maxSteps: 100,
  maxRecoveries: 10
}

export const noted = (note: string): Body => ({ kind: "annotated", note })
export const completed: Body = { kind: "completed", output: null }

/** Adds events that belong together. */
export const extend = (
  log: Log,
  bodies: ReadonlyArray<Body>
): { readonly log: Log; readonly batch: Batch } => {
  const added: Array<Entry> = []
  let prev = headOf(log)
  for (const body of bodies) {
    const seq = log.entries.length + added.length
    const entry = Journal.entry({ run: log.run, seq, epoch: log.epoch, time: 1_000_000 + seq, prev }, body)
    prev = hashOf(entry.line)
    added.push(entry)
  }
  const batch = { entries: added as unknown as Batch["entries"], head: prev }
  return { batch, log: { ...log, entries: [...log.entries, ...added] } }
}

/** What is known outside of the store, from its answers. */
export interface Told {
  /** The journals as they were appended; what was appended may be there or not. */
  readonly journals: Map<string, Log>
  /** Where batches end. */
  readonly ends: Map<string, Set<number>>
  /** Up to where a run was said to be durable. */
  readonly durable: Map<string, number>
  readonly epochs: Map<string, number>
  /** Commands that were said to be in an inbox, and those that were sent. */
  readonly sent: Map<string, Set<string>>
  readonly tried: Map<string, Set<string>>
  readonly deleting: Set<string>
  readonly deleted: Set<string>
  /** The last value that was said to be set, and those that may be there instead. */
  readonly meta: Map<string, { value: string | undefined; maybe: Set<string> }>
  readonly artifacts: Map<string, Uint8Array>
}

export const nothingTold = (): Told => ({
  journals: new Map(),
  ends: new Map(),
  durable: new Map(),
  epochs: new Map(),
  sent: new Map(),
  tried: new Map(),
  deleting: new Set(),
  deleted: new Set(),
  meta: new Map(),
  artifacts: new Map()
})

/** A promise of the store that it did not keep. */
export class Broken extends Schema.TaggedError<Broken>()("Broken", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

const broken = (detail: string): Effect.Effect<never, Broken> => Effect.fail(new Broken({ detail }))

/** A user of a store who notes what it is told. */
export const makeUser = (store: Instance, told: Told) => {
  const write = (log: Log, bodies: ReadonlyArray<Body>): Batch => {
    const extended = extend(log, bodies)
    told.journals.set(log.run, extended.log)
    const ends = told.ends.get(log.run) ?? new Set()
    told.ends.set(log.run, ends.add(lastOf(extended.log)))
    return extended.batch
  }
  const logOf = (run: string): Log => told.journals.get(run)!

  return {
    store,
    create: Effect.fnUntraced(function* (run: string, holder?: string) {
      const batch = write({ run, epoch: 0, entries: [] }, [created, noted("first")])
      const lease = yield* store.create(batch, holder === undefined ? undefined : { holder })
      told.durable.set(run, lastOf(logOf(run)))
      told.epochs.set(run, 0)
      return lease
    }),
    /** Creates a run ahead of the disk: nothing is told of it yet. */
    begin: Effect.fnUntraced(function* (run: string, holder: string) {
      const batch = write({ run, epoch: 0, entries: [] }, [created, noted("first")])
      const lease = yield* store.create(batch, { holder, ahead: true })
      told.epochs.set(run, 0)
      return lease
    }),
    fork: Effect.fnUntraced(function* (run: string, origin: string) {
      const from = logOf(origin)
      const forked: Body = { kind: "forked", from: { run: origin, seq: 1 }, flow: "flow", version: 1 }
      const header = { run, seq: 0, epoch: 0, time: 1_000_000, prev: hashOf(from.entries[1]!.line) }
      const entry = Journal.entry(header, forked)
      told.journals.set(run, { run, epoch: 0, entries: [entry] })
      told.ends.set(run, new Set([0]))
      yield* store.create({ entries: [entry], head: hashOf(entry.line) })
      told.durable.set(run, 0)
      told.epochs.set(run, 0)
    }),
    append: Effect.fnUntraced(function* (lease: Lease, ...bodies: ReadonlyArray<Body>) {
      const log = logOf(lease.run)
      yield* store.append(lease, lastOf(log), write(log, bodies))
    }),
    sync: Effect.fnUntraced(function* (lease: Lease) {
      const last = lastOf(logOf(lease.run))
      yield* store.sync(lease)
      told.durable.set(lease.run, last)
    }),
    acquire: Effect.fnUntraced(function* (run: string) {
      const { head, lease, previous } = yield* store.acquire(run, "holder")
      if (lease.epoch <= (told.epochs.get(run) ?? -1)) {
        return yield* broken(`run ${run}: epoch ${lease.epoch} was given twice`)
      }
      told.epochs.set(run, lease.epoch)
      const log = logOf(run)
      const before = log.entries[head.seq]
      if (before === undefined || hashOf(before.line) !== head.hash) {
        return yield* broken(`run ${run} was given at ${head.seq}, with another head than was appended`)
      }
      const claimed: Body = {
        kind: "claimed",
        owner: lease.owner,
        cause: previous,
        previous: { epoch: before.event.epoch, seq: head.seq, hash: head.hash }
      }
      const batch = write({ run, epoch: lease.epoch, entries: log.entries.slice(0, head.seq + 1) }, [claimed])
      yield* store.append(lease, head.seq, batch)
      return lease
    }),
    /** Lets go of a run; what was appended is durable then. */
    release: Effect.fnUntraced(function* (lease: Lease) {
      const last = lastOf(logOf(lease.run))
      yield* store.release(lease)
      told.durable.set(lease.run, last)
    }),
    send: Effect.fnUntraced(function* (run: string, id: string) {
      told.tried.set(run, new Set([...(told.tried.get(run) ?? []), id]))
      yield* store.send({ id, run, time: 0, request: { type: "resume" } })
      told.sent.set(run, new Set([...(told.sent.get(run) ?? []), id]))
    }),
    delete: Effect.fnUntraced(function* (run: string) {
      told.deleting.add(run)
      yield* store.delete(run)
      told.deleted.add(run)
    }),
    setMeta: Effect.fnUntraced(function* (key: string, value: string) {
      const known = told.meta.get(key) ?? { value: undefined, maybe: new Set<string>() }
      told.meta.set(key, known)
      known.maybe.add(value)
      yield* store.setMeta(key, value)
      known.value = value
      known.maybe.clear()
    }),
    putArtifact: Effect.fnUntraced(function* (bytes: Uint8Array) {
      told.artifacts.set(yield* store.putArtifact(bytes), bytes)
    })
  }
}

/** Compares what a store shows with what users were told. */
export const check = Effect.fnUntraced(function* (store: Instance, told: Told) {
  for (const [run, journal] of told.journals) {
    const found = yield* Effect.result(store.get(run))
    if (Result.isFailure(found)) {
      if (found.failure._tag !== "RunNotFound") return yield* Effect.fail(found.failure)
      if (told.durable.has(run) && !told.deleting.has(run)) return yield* broken(`run ${run} is gone`)
      continue
    }
    if (told.deleted.has(run)) return yield* broken(`run ${run} was deleted, and is there`)
    const { head, info } = found.success
    const durable = told.durable.get(run) ?? 0
    if (head.seq < durable)
      return yield* broken(`run ${run} was durable up to ${durable}, and ends at ${head.seq}`)
    if (told.ends.get(run)?.has(head.seq) !== true) {
      return yield* broken(`run ${run} ends at ${head.seq}, where no batch ends`)
    }
    const entries = yield* store.read(run)
    const lines = entries.map((entry) => entry.line).join("\n")
    const expected = journal.entries
      .slice(0, head.seq + 1)
      .map((entry) => entry.line)
      .join("\n")
    if (lines !== expected) return yield* broken(`run ${run} has other entries than were appended`)
    if (head.hash !== hashOf(journal.entries[head.seq]!.line))
      return yield* broken(`run ${run} has another head`)
    if (info.seq !== head.seq) return yield* broken(`run ${run} has a row of another position`)
    const ids = (yield* store.inbox(run, {})).map((received) => received.command.id)
    if (new Set(ids).size !== ids.length) return yield* broken(`run ${run} has a command twice`)
    for (const id of told.sent.get(run) ?? []) {
      if (!ids.includes(id)) return yield* broken(`run ${run} has lost command ${id}`)
    }
    for (const id of ids) {
      if (told.tried.get(run)?.has(id) !== true)
        return yield* broken(`run ${run} has command ${id}, which nobody sent`)
    }
  }
  for (const [key, { maybe, value }] of told.meta) {
    const found = yield* store.getMeta(key)
    if (found !== value && !maybe.has(found ?? ""))
      return yield* broken(`value ${key} is ${found}, not ${value}`)
  }
  for (const [hash, bytes] of told.artifacts) {
    const found = yield* store.getArtifact(hash)
    if (found === undefined || !Buffer.from(found).equals(bytes))
      return yield* broken(`artifact ${hash} is not what it was`)
  }
})

/** Opens a store as a process of a machine (one more, unless one is given), in a scope. */
export const open = (
  fileSystem: Layer.Layer<FileSystem.FileSystem>,
  machine: Machine,
  options?: FsStore.Options,
  process: MachineProcess = machine.spawn()
): Effect.Effect<
  { readonly store: Instance; readonly maintenance: Maintenance["Service"]; readonly vanish: () => void },
  unknown,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const layer = FsStore.layerFileSystem({
      directory: "/disk/store",
      pollInterval: 5,
      segmentSize: 2000,
      ...options
    }).pipe(Layer.provide([fileSystem, process.layer]), Layer.provide(NodeHasher.layer))
    const context = yield* Layer.buildWithMemoMap(layer, Layer.makeMemoMapUnsafe(), yield* Effect.scope)
    return {
      store: Context.get(context, Store),
      maintenance: Context.get(context, Maintenance),
      vanish: process.vanish
    }
  })

/** What happens on a disk; it notes in `told` what it is told. */
export type Scenario = (
  disk: PowerLossFileSystem.Disk,
  machine: Machine,
  told: Told,
  wrap: Wrap
) => Effect.Effect<void, unknown, Scope.Scope>

/** Stands between the store and the disk. */
export type Wrap = (fileSystem: Layer.Layer<FileSystem.FileSystem>) => Layer.Layer<FileSystem.FileSystem>

/** After the power came back: everything told is there, and work goes on. */
const recover = (
  disk: PowerLossFileSystem.Disk,
  machine: Machine,
  told: Told,
  wrap: Wrap
): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const { store } = yield* Scope.provide(open(wrap(disk.layer), machine), scope)
    yield* check(store, told)
    const user = makeUser(store, told)
    for (const run of told.journals.keys()) {
      if (Exit.isFailure(yield* Effect.exit(store.get(run)))) continue
      const lease = yield* user.acquire(run)
      yield* user.append(lease, noted("recovered"))
      yield* user.sync(lease)
    }
    yield* check(store, told)
    yield* Scope.close(scope, Exit.void)
    // What was told after the recovery holds for the next process as well.
    const again = yield* Scope.make()
    yield* check((yield* Scope.provide(open(wrap(disk.layer), machine), again)).store, told)
    yield* Scope.close(again, Exit.void)
  })

export interface Explored {
  /** At how many system calls the power was cut. */
  readonly cuts: number
  readonly violations: ReadonlyArray<string>
}

const copy = (told: Told): Told => ({
  journals: new Map(told.journals),
  ends: new Map([...told.ends].map(([run, ends]) => [run, new Set(ends)])),
  durable: new Map(told.durable),
  epochs: new Map(told.epochs),
  sent: new Map(told.sent),
  tried: new Map(told.tried),
  deleting: new Set(told.deleting),
  deleted: new Set(told.deleted),
  meta: new Map([...told.meta].map(([key, { maybe, value }]) => [key, { value, maybe: new Set(maybe) }])),
  artifacts: new Map(told.artifacts)
})

export interface ExploreOptions {
  readonly wrap?: Wrap
  readonly stopAtFirst?: boolean
  /** Cuts the power at every so manieth call only. */
  readonly step?: number
  /** Cuts it in the recovery as well, at every so manieth call of that. */
  readonly again?: number
}

const wasCut = (exit: Option.Option<Exit.Exit<void, unknown>>): boolean =>
  Option.isNone(exit) || (Exit.isFailure(exit.value) && Cause.hasInterruptsOnly(exit.value.cause))

const unwrap = (exit: Option.Option<Exit.Exit<void, unknown>>): Effect.Effect<void, unknown> =>
  Option.isSome(exit) && Exit.isFailure(exit.value) ? Effect.failCause(exit.value.cause) : Effect.void

/** Cuts the power in the recovery; what was told until then holds as well. How often it was cut. */
const recoverTwice = (
  disk: PowerLossFileSystem.Disk,
  machine: Machine,
  told: Told,
  wrap: Wrap,
  step: number
): Effect.Effect<number, unknown> =>
  Effect.gen(function* () {
    let cuts = 0
    for (let k = 1; ; k += step) {
      const same = disk.surviving(PowerLossFileSystem.kept)
      const known = copy(told)
      same.cutPowerAt(k)
      const exit = yield* same.untilCut(recover(same, machine, known, wrap))
      if (!wasCut(exit)) {
        yield* unwrap(exit)
        return cuts
      }
      cuts += 1
      for (const survival of [PowerLossFileSystem.dropped, PowerLossFileSystem.kept, { seed: k }]) {
        machine.reboot()
        yield* recover(same.surviving(survival), machine, copy(known), wrap)
      }
    }
  })

/** Cuts the power at system calls of a scenario, and tries out what may be left of the disk each time. */
export const explore = (scenario: Scenario, options?: ExploreOptions): Effect.Effect<Explored, unknown> =>
  Effect.gen(function* () {
    const wrap = options?.wrap ?? ((fileSystem) => fileSystem)
    const violations: Array<string> = []
    let cuts = 0
    for (let k = 1; ; k += options?.step ?? 1) {
      const disk = PowerLossFileSystem.makeDisk()
      const machine = makeMachine()
      const told = nothingTold()
      disk.cutPowerAt(k)
      const exit = yield* disk.untilCut(Effect.scoped(scenario(disk, machine, told, wrap)))
      if (!wasCut(exit)) {
        yield* unwrap(exit)
        return { cuts, violations }
      }
      cuts += 1
      for (const survival of PowerLossFileSystem.survivals) {
        const left = disk.surviving(survival)
        machine.reboot()
        const outcome = yield* Effect.exit(
          options?.again === undefined
            ? recover(left, machine, copy(told), wrap)
            : Effect.map(recoverTwice(left, machine, told, wrap, options.again), (more) => {
                cuts += more
              })
        )
        if (Exit.isSuccess(outcome)) continue
        const at = disk.operations[disk.operations.length - 1]
        const what = Cause.pretty(outcome.cause).split("\n")[0]
        violations.push(
          `cut at call ${k} (${at?.name} ${at?.path}), left ${JSON.stringify(survival)}: ${what}`
        )
        if (options?.stopAtFirst === true) return { cuts, violations }
      }
    }
  })
