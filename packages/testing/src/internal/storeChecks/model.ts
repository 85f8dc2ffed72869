/**
 * Random sequences of operations, compared with what a simple model says must come of them.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { isTerminal } from "@waymark/core/RunInfo"
import type { Lease } from "@waymark/core/Store"
import type { Check } from "../../StoreHarness.ts"
import * as Journal from "../../JournalBuilder.ts"
import type { JournalBuilder } from "../../JournalBuilder.ts"
import { listAll, shownUpTo, stray } from "./observation.ts"
import type { Instance, Trial } from "./trial.ts"
import { check, describeCause, holds, same, violated } from "./trial.ts"

const small = (below: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: below - 1 }))
const run = small(2)
const at = small(2)

const Operation = Schema.TaggedUnion({
  Create: { run, at, size: small(3), held: Schema.Boolean, ahead: Schema.Boolean },
  Append: { run, size: small(3) },
  End: { run },
  Sync: { run },
  Release: { run },
  Acquire: { run, at },
  Stale: { run },
  Send: { run, at, id: small(4) },
  Delete: { run, at },
  Look: { run, at },
  Reopen: { at },
  Lapse: { at },
  Crash: {}
})
type Operation = typeof Operation.Type

/** What the model knows of a run that exists. */
interface Known {
  readonly journal: JournalBuilder
  /** The positions at which batches end. */
  readonly ends: Set<number>
  /** Up to here it is durable for certain, -1 if it may not even be there; what was accepted beyond may be. */
  durable: number
  /** The end of the batch that it was created from. */
  readonly first: number
  epoch: number
  /** `lapsed`: its owner was frozen, and anyone may take it over. */
  writer: { readonly at: number; readonly lease: Lease; readonly lapsed: boolean } | undefined
  /** How the last owner let go, where that is certain. */
  previous: "crash" | "handover" | undefined
  readonly stale: Array<{ readonly store: Instance; readonly lease: Lease }>
  readonly commands: Set<string>
}

const isMissing = (store: Instance, run: string) =>
  Effect.map(
    Effect.result(store.get(run)),
    (result) => Result.isFailure(result) && result.failure._tag === "RunNotFound"
  )

class Model {
  readonly runs = new Map<string, Known>()
  readonly frozen = new Set<number>()
  private readonly trial: Trial
  private readonly several: boolean
  private readonly persists: boolean
  private stores: Array<Instance> = []
  private time = 0

  constructor(trial: Trial, several: boolean, persists: boolean) {
    this.trial = trial
    this.several = several
    this.persists = persists
  }

  get instances(): ReadonlyArray<Instance> {
    return this.stores
  }

  private index(instance: number): number {
    return this.several ? instance : 0
  }

  readonly open = Effect.suspend(() =>
    Effect.map(
      Effect.all(this.several ? [this.trial.open, this.trial.open] : [this.trial.open]),
      (stores) => {
        this.stores = stores
        this.frozen.clear()
      }
    )
  )

  /** How far the run is shown is taken down: what was shown stays. */
  look(id: string, instance: number) {
    const known = this.runs.get(id)
    const store = this.stores[this.index(instance)]!
    if (known === undefined) {
      return this.trial.eventually(
        Effect.flatMap(Effect.result(store.get(id)), (result) =>
          Result.isFailure(result) && result.failure._tag === "RunNotFound"
            ? Effect.void
            : violated(`get of run ${id}, which does not exist`)
        )
      )
    }
    return this.trial.eventually(
      Effect.gen(function* () {
        if (known.durable < 0 && (yield* isMissing(store, id))) return
        const seq = yield* shownUpTo(store, known.journal, known.ends)
        if (seq < known.durable) {
          return yield* violated(`run ${id} is durable up to ${known.durable}, and shown up to ${seq} only`)
        }
        known.durable = seq
        const inbox = yield* store.inbox(id, {})
        yield* same(
          `inbox of run ${id}`,
          inbox.map(({ command }) => command.id).sort(),
          [...known.commands].sort()
        )
      })
    )
  }

  /** After a loss: goes back to where the run really ends. */
  private settle(known: Known, seq: number) {
    return Effect.gen(function* () {
      yield* holds(
        `run ${known.journal.run} was durable up to ${known.durable}, it ends at ${seq}`,
        seq >= known.durable && seq <= known.journal.seq
      )
      yield* holds(`run ${known.journal.run} ends at ${seq}, in the middle of a batch`, known.ends.has(seq))
      known.journal.rewind(seq)
      for (const end of known.ends) if (end > seq) known.ends.delete(end)
      known.durable = seq
    })
  }

  private batch(known: Known, size: number, end: boolean) {
    const expected = known.journal.seq
    const ended = known.journal.entries.some(({ event }) => event.kind === "completed")
    const first = end ? Journal.completed() : ended ? Journal.annotated("after the end") : Journal.visited()
    const batch = known.journal.batch(first, ...Array.from({ length: size }, () => Journal.annotated("more")))
    known.ends.add(known.journal.seq)
    return { expected, batch }
  }

  /** What was created ahead of the disk is made durable: then it is certain that it is there. */
  private ensure(known: Known | undefined): Effect.Effect<unknown, unknown> {
    return known === undefined || known.durable >= 0 ? Effect.void : this.sync(known)
  }

  readonly ensureAll = Effect.suspend(() => Effect.forEach(this.runs.values(), (known) => this.ensure(known)))

  private create(id: string, instance: number, size: number, held: boolean, ahead: boolean) {
    const self = this
    const store = this.stores[this.index(instance)]!
    return Effect.gen(function* () {
      const journal = yield* Journal.make(id, { time: (self.time += 1000) })
      const steps = Array.from({ length: size }, () => Journal.visited())
      const result = yield* Effect.result(
        store.create(
          journal.batch(Journal.created(), ...steps),
          held ? { holder: "worker", ahead } : undefined
        )
      )
      const known = self.runs.get(id)
      if (known !== undefined) {
        yield* same(
          `creating run ${id}, which exists`,
          Result.isFailure(result) && result.failure._tag,
          "RunExists"
        )
        known.durable = Math.max(known.durable, known.first)
        return
      }
      if (Result.isFailure(result)) return yield* violated(`creating run ${id}: ${result.failure.message}`)
      self.runs.set(id, {
        journal,
        ends: new Set([journal.seq]),
        durable: held && ahead ? -1 : journal.seq,
        first: journal.seq,
        epoch: 0,
        writer: held ? { at: self.index(instance), lease: result.success, lapsed: false } : undefined,
        previous: "handover",
        stale: [],
        commands: new Set()
      })
    })
  }

  private append(known: Known, size: number, end: boolean) {
    const { writer } = known
    if (writer === undefined) return Effect.void
    if (end && known.journal.entries.some(({ event }) => event.kind === "completed")) return Effect.void
    const { expected, batch } = this.batch(known, size, end)
    return this.stores[writer.at]!.append(writer.lease, expected, batch)
  }

  private sync(known: Known) {
    const { writer } = known
    if (writer === undefined) return Effect.void
    const upTo = known.journal.seq
    return Effect.map(this.stores[writer.at]!.sync(writer.lease), () => {
      known.durable = upTo
    })
  }

  private release(known: Known) {
    const { writer } = known
    if (writer === undefined) return Effect.void
    const store = this.stores[writer.at]!
    return Effect.map(store.release(writer.lease), () => {
      known.durable = known.journal.seq
      known.stale.push({ store, lease: writer.lease })
      known.writer = undefined
      known.previous = "handover"
    })
  }

  private acquire(id: string, instance: number) {
    const self = this
    const number = this.index(instance)
    if (this.frozen.has(number)) return Effect.void
    const store = this.stores[number]!
    const known = this.runs.get(id)
    const attempt = store.acquire(id, "another")
    return Effect.gen(function* () {
      if (known === undefined || (known.writer !== undefined && !known.writer.lapsed)) {
        const expected = known === undefined ? "RunNotFound" : "LeaseHeld"
        // Another instance may not have learnt of it yet; but it must never get the run.
        let given = false
        const result = yield* self.trial.eventually(
          Effect.gen(function* () {
            const tried = yield* Effect.result(attempt)
            if (Result.isSuccess(tried)) given = true
            else if (tried.failure._tag !== expected)
              return yield* violated(`acquiring run ${id}: ${tried.failure._tag}`)
          })
        )
        if (given) return yield* violated(`run ${id} was given away, ${expected} was expected`)
        return result
      }
      const { lease, previous, head, info } = yield* self.trial.eventually(attempt)
      yield* holds(`run ${id}: epoch ${lease.epoch} comes after ${known.epoch}`, lease.epoch > known.epoch)
      if (known.previous !== undefined)
        yield* same(`run ${id}: how the owner before let go`, previous, known.previous)
      if (known.writer !== undefined) {
        known.stale.push({ store: self.stores[known.writer.at]!, lease: known.writer.lease })
      }
      yield* self.settle(known, head.seq)
      yield* same(`run ${id}: the index row that comes with the lease`, info, known.journal.info)
      known.epoch = lease.epoch
      known.writer = { at: number, lease, lapsed: false }
      known.previous = undefined
      const batch = known.journal.claim({ lease, previous, head, info })
      known.ends.add(known.journal.seq)
      yield* store.append(lease, head.seq, batch)
    })
  }

  /** Leases that are lost confirm nothing, whatever is tried with them. */
  private stale(known: Known) {
    const last = known.stale[known.stale.length - 1]
    if (last === undefined) return Effect.void
    return Effect.gen(function* () {
      const late = yield* stray(known.journal.run, known.journal.seq)
      yield* Effect.result(last.store.append(last.lease, known.journal.seq, late))
      const result = yield* Effect.result(last.store.sync(last.lease))
      yield* same(
        `run ${known.journal.run}: syncing under epoch ${last.lease.epoch}, which is over`,
        Result.isFailure(result) && result.failure._tag,
        "LeaseLost"
      )
      yield* last.store.release(last.lease)
    })
  }

  private send(id: string, instance: number, command: string) {
    const store = this.stores[this.index(instance)]!
    const known = this.runs.get(id)
    const attempt = store.send({ id: command, run: id, time: 1, request: { type: "resume" } })
    if (known === undefined) {
      return this.trial.eventually(
        Effect.flatMap(Effect.result(attempt), (result) =>
          same(
            `sending to run ${id}, which does not exist`,
            Result.isFailure(result) && result.failure._tag,
            "RunNotFound"
          )
        )
      )
    }
    // An instance that does not know of a command yet may put it there again: it has to look first.
    return Effect.andThen(
      this.look(id, instance),
      Effect.map(this.trial.eventually(attempt), () => void known.commands.add(command))
    )
  }

  private remove(id: string, instance: number) {
    const self = this
    const number = this.index(instance)
    const store = this.stores[number]!
    const known = this.runs.get(id)
    if (known?.writer !== undefined && (known.writer.lapsed || known.writer.at !== number)) return Effect.void
    return Effect.gen(function* () {
      yield* self.look(id, instance)
      const ended = known !== undefined && isTerminal(known.journal.infoAt(known.durable).status)
      const mayBe = known !== undefined && isTerminal(known.journal.info.status)
      const result = yield* Effect.result(store.delete(id))
      const outcome = Result.isSuccess(result) ? "deleted" : result.failure._tag
      if (known === undefined) yield* same(`deleting run ${id}, which does not exist`, outcome, "RunNotFound")
      else if (ended) yield* same(`deleting run ${id}, which has ended`, outcome, "deleted")
      else if (!mayBe) yield* same(`deleting run ${id}, which has not ended`, outcome, "RunInUse")
      if (outcome === "deleted") self.runs.delete(id)
    })
  }

  private reopen(instance: number) {
    const self = this
    const number = this.index(instance)
    if (!this.persists) return Effect.void
    return Effect.gen(function* () {
      yield* self.trial.close(self.stores[number]!)
      for (const known of self.runs.values()) {
        known.stale.splice(
          0,
          known.stale.length,
          ...known.stale.filter(({ store }) => store !== self.stores[number])
        )
        if (known.writer?.at !== number) continue
        known.previous = known.writer.lapsed ? undefined : "handover"
        known.writer = undefined
      }
      self.stores[number] = yield* self.trial.open
      self.frozen.delete(number)
      for (const [id, known] of self.runs) {
        if (known.writer === undefined) {
          const store = self.stores[number]
          yield* self.settle(known, yield* self.trial.eventually(shownUpTo(store, known.journal, known.ends)))
          yield* self.look(id, number)
        }
      }
    })
  }

  private lapse(instance: number) {
    const self = this
    if (!this.several) return Effect.void
    return Effect.map(Effect.andThen(this.ensureAll, this.trial.lapse(this.stores[instance]!.owner)), () => {
      self.frozen.add(instance)
      for (const known of self.runs.values()) {
        if (known.writer?.at !== instance || known.writer.lapsed) continue
        known.writer = { ...known.writer, lapsed: true }
        known.previous = "crash"
      }
    })
  }

  private crash() {
    const self = this
    if (!this.persists) return Effect.void
    return Effect.gen(function* () {
      yield* self.trial.crash
      yield* self.open
      for (const [id, known] of self.runs) {
        const store = self.stores[0]!
        if (known.durable < 0 && (yield* isMissing(store, id))) {
          self.runs.delete(id)
          continue
        }
        yield* self.settle(known, yield* shownUpTo(store, known.journal, known.ends))
        known.stale.length = 0
        if (known.writer === undefined) continue
        known.writer = undefined
        known.previous = "crash"
      }
    })
  }

  /** What needs a writer gets one first, so that few operations of a sequence come to nothing. */
  private writing(
    known: Known | undefined,
    id: string,
    number: number,
    body: (known: Known) => Effect.Effect<unknown, unknown>
  ): Effect.Effect<unknown, unknown> {
    const instance = this.frozen.has(this.index(number % 2)) ? 1 : number % 2
    if (this.frozen.has(this.index(instance))) return Effect.void
    if (known === undefined) return this.create(id, instance, number, true, number % 2 === 1)
    if (known.writer === undefined || known.writer.lapsed) return this.acquire(id, instance)
    return body(known)
  }

  run(operation: Operation): Effect.Effect<unknown, unknown> {
    const id = "run" in operation ? `run-${operation.run}` : ""
    const known = this.runs.get(id)
    if ("at" in operation && this.frozen.has(this.index(operation.at)) && operation._tag !== "Reopen")
      return Effect.void
    switch (operation._tag) {
      case "Create":
        return this.create(id, operation.at, operation.size, operation.held, operation.ahead)
      case "Append":
        return this.writing(known, id, operation.size, (run) => this.append(run, operation.size, false))
      case "End":
        return this.writing(known, id, 0, (run) => this.append(run, 0, true))
      case "Sync":
        return this.writing(known, id, 1, (run) => this.sync(run))
      case "Release":
        return this.writing(known, id, 2, (run) => this.release(run))
      case "Acquire":
        return Effect.andThen(this.ensure(known), this.acquire(id, operation.at))
      case "Stale":
        return known === undefined ? Effect.void : this.stale(known)
      case "Send":
        return Effect.andThen(this.ensure(known), this.send(id, operation.at, `command-${operation.id}`))
      case "Delete":
        return Effect.andThen(this.ensure(known), this.remove(id, operation.at))
      case "Look":
        return this.look(id, operation.at)
      case "Reopen":
        return this.reopen(operation.at)
      case "Lapse":
        return this.lapse(operation.at)
      case "Crash":
        return this.crash()
    }
  }
}

const behaves =
  (trial: Trial, several: boolean, persists: boolean) => (operations: ReadonlyArray<Operation>) =>
    trial
      .afresh((fresh) =>
        Effect.gen(function* () {
          const model = new Model(fresh, several, persists)
          yield* model.open
          for (const operation of operations) yield* model.run(operation)
          yield* model.ensureAll
          for (const [index, store] of model.instances.entries()) {
            for (const id of model.runs.keys()) yield* model.look(id, index)
            yield* fresh.eventually(
              Effect.flatMap(listAll(store, {}), (rows) =>
                same(
                  "the runs that are listed",
                  rows.map((info) => info.run).sort(),
                  [...model.runs.keys()].sort()
                )
              )
            )
          }
          return true
        })
      )
      .pipe(
        Effect.catchCause((cause) =>
          Cause.hasInterrupts(cause) ? Effect.failCause(cause) : Effect.fail(describeCause(cause))
        )
      )

// One array would mostly be short: three in a row are about fifty operations long.
const part = Arbitrary.array(Arbitrary.schema(Operation), { maxLength: 40 })
const sequences = Arbitrary.map(Arbitrary.all([part, part, part]), (parts) => parts.flat())

const property = (trial: Trial, several: boolean, persists: boolean) =>
  Effect.gen(function* () {
    const result = yield* Arbitrary.checkEffect(sequences, behaves(trial, several, persists), {
      size: 100,
      ...trial.property
    })
    const failure = Arbitrary.formatCheckFailure(result)
    if (failure !== undefined) return yield* violated(failure)
  })

export const modelChecks: ReadonlyArray<Check> = [
  check(
    "model",
    "random operations of one instance do what a simple model says",
    [],
    (trial) => property(trial, false, false),
    10
  ),
  check(
    "model",
    "random operations, with power cuts between them, do what a simple model says",
    ["reopen", "crash"],
    (trial) => property(trial, false, true),
    10
  ),
  check(
    "model",
    "random operations of two instances, with power cuts and frozen owners, do what a simple model says",
    ["several", "reopen", "crash", "lapse"],
    (trial) => property(trial, true, true),
    10
  )
]
