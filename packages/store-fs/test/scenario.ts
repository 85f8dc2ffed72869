/**
 * What a store told its users, and whether it keeps it: for cutting the power at every system call.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { Store } from "@waymark/core/Store"
import type { Lease } from "@waymark/core/Store"
import * as Journal from "@waymark/testing/JournalBuilder"
import * as PowerLossFileSystem from "@waymark/testing/PowerLossFileSystem"
import * as FsStore from "../src/FsStore.ts"
import { Maintenance } from "../src/Maintenance.ts"
import type { Machine } from "./machine.ts"
import { makeMachine } from "./machine.ts"

export type Instance = Store["Service"]

/** What is known outside of the store, from its answers. */
export interface Told {
  /** The journals as they were appended; what was appended may be there or not. */
  readonly journals: Map<string, Journal.JournalBuilder>
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
  const note = (run: string, journal: Journal.JournalBuilder): void => {
    told.journals.set(run, journal)
    const ends = told.ends.get(run) ?? new Set()
    ends.add(journal.seq)
    told.ends.set(run, ends)
  }
  return {
    store,
    create: Effect.fnUntraced(function*(run: string, holder?: string) {
      const journal = yield* Journal.make(run)
      const batch = journal.batch(Journal.created(), Journal.visited())
      note(run, journal)
      const lease = yield* store.create(batch, holder === undefined ? undefined : { holder })
      told.durable.set(run, journal.seq)
      told.epochs.set(run, 0)
      return { lease, journal }
    }),
    append: Effect.fnUntraced(function*(lease: Lease, journal: Journal.JournalBuilder, ...steps: ReadonlyArray<Journal.Step>) {
      const expected = journal.seq
      const [first, ...rest] = steps
      const batch = journal.batch(first!, ...rest)
      note(lease.run, journal)
      yield* store.append(lease, expected, batch)
    }),
    sync: Effect.fnUntraced(function*(lease: Lease, journal: Journal.JournalBuilder) {
      const { seq } = journal
      yield* store.sync(lease)
      told.durable.set(lease.run, seq)
    }),
    acquire: Effect.fnUntraced(function*(run: string, journal: Journal.JournalBuilder) {
      const acquired = yield* store.acquire(run, "holder")
      if (acquired.lease.epoch <= (told.epochs.get(run) ?? -1)) {
        return yield* broken(`run ${run}: epoch ${acquired.lease.epoch} was given twice`)
      }
      told.epochs.set(run, acquired.lease.epoch)
      journal.rewind(acquired.head.seq)
      const expected = journal.seq
      const batch = journal.claim(acquired)
      note(run, journal)
      yield* store.append(acquired.lease, expected, batch)
      return acquired.lease
    }),
    send: Effect.fnUntraced(function*(run: string, id: string) {
      told.tried.set(run, new Set([...(told.tried.get(run) ?? []), id]))
      yield* store.send({ id, run, time: 0, request: { type: "resume" } })
      told.sent.set(run, new Set([...(told.sent.get(run) ?? []), id]))
    }),
    delete: Effect.fnUntraced(function*(run: string) {
      told.deleting.add(run)
      yield* store.delete(run)
      told.deleted.add(run)
    }),
    setMeta: Effect.fnUntraced(function*(key: string, value: string) {
      const known = told.meta.get(key) ?? { value: undefined, maybe: new Set<string>() }
      told.meta.set(key, known)
      known.maybe.add(value)
      yield* store.setMeta(key, value)
      known.value = value
      known.maybe.clear()
    }),
    putArtifact: Effect.fnUntraced(function*(bytes: Uint8Array) {
      told.artifacts.set(yield* store.putArtifact(bytes), bytes)
    })
  }
}

/** Compares what a store shows with what users were told. */
export const check = Effect.fnUntraced(function*(store: Instance, told: Told) {
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
    if (head.seq < durable) return yield* broken(`run ${run} was durable up to ${durable}, and ends at ${head.seq}`)
    if (told.ends.get(run)?.has(head.seq) !== true) {
      return yield* broken(`run ${run} ends at ${head.seq}, where no batch ends`)
    }
    const entries = yield* store.read(run)
    const lines = entries.map((entry) => entry.line).join("\n")
    const expected = journal.entries.slice(0, head.seq + 1).map((entry) => entry.line).join("\n")
    if (lines !== expected) return yield* broken(`run ${run} has other entries than were appended`)
    if (head.hash !== journal.headAt(head.seq).hash) return yield* broken(`run ${run} has another head`)
    if (info.seq !== head.seq) return yield* broken(`run ${run} has a row of another position`)
    const ids = (yield* store.inbox(run, {})).map((received) => received.command.id)
    if (new Set(ids).size !== ids.length) return yield* broken(`run ${run} has a command twice`)
    for (const id of told.sent.get(run) ?? []) {
      if (!ids.includes(id)) return yield* broken(`run ${run} has lost command ${id}`)
    }
    for (const id of ids) {
      if (told.tried.get(run)?.has(id) !== true) return yield* broken(`run ${run} has command ${id}, which nobody sent`)
    }
  }
  for (const [key, { maybe, value }] of told.meta) {
    const found = yield* store.getMeta(key)
    if (found !== value && !maybe.has(found ?? "")) return yield* broken(`value ${key} is ${found}, not ${value}`)
  }
  for (const [hash, bytes] of told.artifacts) {
    const found = yield* store.getArtifact(hash)
    if (found === undefined || !Buffer.from(found).equals(bytes)) return yield* broken(`artifact ${hash} is not what it was`)
  }
})

/** Opens a store as a process of a machine, in a scope. */
export const open = (
  fileSystem: Layer.Layer<FileSystem.FileSystem>,
  machine: Machine,
  options?: FsStore.Options
): Effect.Effect<
  { readonly store: Instance; readonly maintenance: Maintenance["Service"]; readonly vanish: () => void },
  unknown,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const process = machine.spawn()
    const layer = FsStore.layerFileSystem({ directory: "/work/store", pollInterval: 5, segmentSize: 2000, ...options }).pipe(
      Layer.provide([fileSystem, process.layer]),
      Layer.provide(FsStore.layerHasher)
    )
    const context = yield* Layer.buildWithMemoMap(layer, Layer.makeMemoMapUnsafe(), yield* Effect.scope)
    return { store: Context.get(context, Store), maintenance: Context.get(context, Maintenance), vanish: process.vanish }
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
const recover = (disk: PowerLossFileSystem.Disk, machine: Machine, told: Told, wrap: Wrap): Effect.Effect<void, unknown> =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const { store } = yield* Scope.provide(open(wrap(disk.layer), machine), scope)
    yield* check(store, told)
    const user = makeUser(store, told)
    for (const [run, journal] of told.journals) {
      if (Exit.isFailure(yield* Effect.exit(store.get(run)))) continue
      const lease = yield* user.acquire(run, journal)
      yield* user.append(lease, journal, Journal.annotated("recovered"))
      yield* user.sync(lease, journal)
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

const copy = (told: Told): Told => structuredCloneOf(told)

/** Journals are built on in each recovery, so each one gets its own. */
const structuredCloneOf = (told: Told): Told => ({
  journals: new Map([...told.journals].map(([run, journal]) => [run, cloneJournal(journal)])),
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

const cloneJournal = (journal: Journal.JournalBuilder): Journal.JournalBuilder => {
  const cloned = Effect.runSync(Journal.make(journal.run))
  ;(cloned.entries as Array<unknown>).push(...journal.entries)
  return cloned
}

/** Cuts the power at every system call of a scenario, and tries out what may be left of the disk each time. */
export const explore = (
  scenario: Scenario,
  options?: { readonly wrap?: Wrap; readonly stopAtFirst?: boolean; readonly from?: number; readonly step?: number }
): Effect.Effect<Explored, unknown> =>
  Effect.gen(function*() {
    const wrap = options?.wrap ?? ((fileSystem) => fileSystem)
    const violations: Array<string> = []
    let cuts = 0
    for (let k = options?.from ?? 1; ; k += options?.step ?? 1) {
      const disk = PowerLossFileSystem.makeDisk()
      const machine = makeMachine()
      const told = nothingTold()
      disk.cutPowerAt(k)
      const scope = yield* Scope.make()
      const exit = yield* disk.untilCut(Scope.provide(scenario(disk, machine, told, wrap), scope))
      if (Option.isSome(exit)) {
        if (Exit.isFailure(exit.value)) return yield* exit.value
        yield* Scope.close(scope, Exit.void)
        break
      }
      cuts += 1
      for (const survival of PowerLossFileSystem.survivals) {
        const left = disk.surviving(survival)
        machine.reboot()
        const outcome = yield* Effect.exit(recover(left, machine, copy(told), wrap))
        if (Exit.isSuccess(outcome)) continue
        const at = disk.operations[disk.operations.length - 1]
        const what = Option.match(Exit.findErrorOption(outcome), {
          onNone: () => String(outcome.cause),
          onSome: (error) => (error instanceof Error ? error.message : String(error))
        })
        violations.push(`cut at call ${k} (${at?.name} ${at?.path}), left ${JSON.stringify(survival)}: ${what}`)
        if (options?.stopAtFirst === true) return { cuts, violations }
      }
    }
    return { cuts, violations }
  })
