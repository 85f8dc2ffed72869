/** The power is cut at every system call of a scenario, and of what follows: nothing that was told is lost. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { Store } from "@waymark/core/Store"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import type { Machine } from "@waymark/store-kit/TestMachine"
import * as Faults from "@waymark/testing/Faults"
import * as Journal from "@waymark/testing/JournalBuilder"
import type { JournalBuilder } from "@waymark/testing/JournalBuilder"
import * as PowerLossFileSystem from "@waymark/testing/PowerLossFileSystem"
import { Maintenance } from "../src/Maintenance.ts"
import { openIn } from "./places.ts"

/** What the store has told of a run: it is there up to a position, and deleted or not. */
interface Told {
  readonly journal: JournalBuilder
  readonly ends: Set<number>
  durable: number
  deleted: "no" | "asked" | "yes"
  readonly commands: Array<string>
}

const file = "/disk/store/runs.sqlite"

const open = (disk: PowerLossFileSystem.Disk, machine: Machine) =>
  Effect.map(
    Layer.build(openIn({ file, machine }, disk.layer, machine.spawn(), { foldBytes: 1e9 })),
    (context) => ({ store: Context.get(context, Store), fold: Context.get(context, Maintenance).checkpoint })
  )

const scenario = (disk: PowerLossFileSystem.Disk, machine: Machine, told: Map<string, Told>) =>
  Effect.gen(function* () {
    const { fold, store } = yield* open(disk, machine)
    const begin = Effect.fnUntraced(function* (id: string, ahead = false) {
      const journal = yield* Journal.make(id, { time: 1 })
      const run: Told = { journal, ends: new Set(), durable: -1, deleted: "no", commands: [] }
      told.set(id, run)
      const batch = journal.batch(Journal.created())
      run.ends.add(journal.seq)
      const lease = yield* store.create(batch, { holder: "worker", ahead })
      if (!ahead) run.durable = 0
      return { run, lease }
    })
    type Begun = Effect.Success<ReturnType<typeof begin>>
    const append = (
      { lease, run }: Begun,
      ...steps: readonly [Journal.Step, ...ReadonlyArray<Journal.Step>]
    ) =>
      Effect.suspend(() => {
        const at = run.journal.seq
        const batch = run.journal.batch(...steps)
        run.ends.add(run.journal.seq)
        return store.append(lease, at, batch)
      })
    const sync = ({ lease, run }: Begun) =>
      Effect.suspend(() => {
        const upTo = run.journal.seq
        return Effect.map(store.sync(lease), () => void (run.durable = upTo))
      })
    const send = (id: string, command: string) =>
      Effect.map(store.send({ id: command, run: id, time: 1, request: { type: "resume" } }), () =>
        told.get(id)!.commands.push(command)
      )

    // So much stays as it is that changes are made in the file from then on.
    yield* store.putArtifact(new Uint8Array(600_000).fill(7))
    yield* fold
    const one = yield* begin("one")
    yield* append(one, Journal.visited())
    yield* append(one, Journal.visited(), Journal.annotated("together"))
    yield* sync(one)
    const two = yield* begin("two", true)
    yield* append(two, Journal.annotated("ahead"))
    yield* sync(two)
    yield* fold
    yield* append(one, Journal.visited())
    yield* sync(one)
    yield* send("one", "first")
    const doomed = yield* begin("doomed")
    yield* append(doomed, Journal.completed())
    yield* sync(doomed)
    yield* store.release(doomed.lease)
    yield* fold
    doomed.run.deleted = "asked"
    yield* store.delete("doomed")
    doomed.run.deleted = "yes"
    yield* append(two, Journal.visited())
    yield* store.release(two.lease)
    two.run.durable = two.run.journal.seq
    yield* send("two", "second")
    // While it is folded the log goes on.
    yield* Effect.all([fold, Effect.andThen(append(one, Journal.annotated("meanwhile")), sync(one))], {
      concurrency: 2
    })
    yield* append(one, Journal.completed())
    yield* sync(one)
  }).pipe(Effect.scoped)

/** What is wrong with what is left, if anything is. */
const check = (disk: PowerLossFileSystem.Disk, machine: Machine, told: ReadonlyMap<string, Told>) =>
  Effect.gen(function* () {
    const { store } = yield* open(disk, machine)
    const problems: Array<string> = []
    for (const [id, { commands, deleted, durable, ends, journal }] of told) {
      const found = yield* Effect.result(store.get(id))
      if (Result.isFailure(found)) {
        if (found.failure._tag !== "RunNotFound") problems.push(`${id}: ${found.failure.message}`)
        else if (durable >= 0 && deleted === "no") problems.push(`${id} is gone`)
        continue
      }
      if (deleted === "yes") problems.push(`${id} is there, though it was deleted`)
      const { head, owner } = found.success
      if (owner !== undefined) problems.push(`${id} is owned by one that is gone`)
      if (head.seq < durable)
        problems.push(`${id} was durable up to ${durable}, and is there up to ${head.seq}`)
      if (!ends.has(head.seq)) problems.push(`${id} ends at ${head.seq}, in the middle of a batch`)
      const lines = (yield* store.read(id)).map(({ line }) => line)
      const expected = journal.entries.slice(0, head.seq + 1).map(({ line }) => line)
      if (lines.join() !== expected.join()) problems.push(`${id} is not what was written`)
      const received = (yield* store.inbox(id, {})).map(({ command }) => command.id)
      for (const command of commands) {
        if (!received.includes(command)) problems.push(`command ${command} of ${id} is gone`)
      }
    }
    return problems
  }).pipe(
    Effect.scoped,
    Effect.catch((error) => Effect.succeed([`it cannot be opened: ${error.message}`]))
  )

describe("power loss at every system call", () => {
  it.live(
    "loses nothing that was told, whatever of the rest survives; and nothing when it goes again in the recovery",
    () =>
      Effect.gen(function* () {
        let cuts = 0
        const violations: Array<string> = []
        for (let k = 1; ; k++) {
          const disk = PowerLossFileSystem.makeDisk()
          const machine = makeMachine()
          const told = new Map<string, Told>()
          disk.cutPowerAt(k)
          const ended = yield* disk.untilCut(scenario(disk, machine, told))
          if (ended._tag === "Some") {
            assert.strictEqual(ended.value._tag, "Success", String(ended.value))
            break
          }
          cuts += 1
          machine.reboot()
          for (const survival of PowerLossFileSystem.survivals) {
            const left = disk.surviving(survival)
            const report = (problems: ReadonlyArray<string>) =>
              violations.push(
                ...problems.map((problem) => `cut ${k}, ${JSON.stringify(survival)}: ${problem}`)
              )
            if (k % 7 === 0) {
              left.cutPowerAt(1 + (k % 5))
              yield* left.untilCut(check(left, machine, told))
              machine.reboot()
              left.reboot(survival)
            }
            report(yield* check(left, machine, told))
          }
        }
        assert.deepStrictEqual(violations, [])
        assert.isAbove(cuts, 40)
      }),
    600_000
  )
})

describe("a process that dies before it has synced what it wrote", () => {
  it.live("leaves nothing that its successor shows and a power cut then takes away", () =>
    Effect.gen(function* () {
      const disk = PowerLossFileSystem.makeDisk()
      const machine = makeMachine()
      const faults = Faults.make([])
      const first = machine.spawn()
      // What has died is not closed: nothing of it ever comes back.
      const scope = yield* Scope.make()
      const layer = openIn({ file, machine }, faults.fileSystem(disk.layer), first, { foldBytes: 1e9 })
      const dying = Context.get(yield* Layer.buildWithScope(layer, scope), Store)
      const journal = yield* Journal.make("one", { time: 1 })
      const lease = yield* dying.create(journal.batch(Journal.created()), { holder: "worker" })
      faults.use([Faults.at(1, Faults.crashBefore, { of: ({ kind }) => kind === "sync" })])
      yield* dying.append(lease, 0, journal.batch(Journal.visited()))
      yield* Effect.forkDetach(dying.sync(lease))
      yield* faults.crashed
      first.vanish()

      const shown = yield* Effect.scoped(
        Effect.gen(function* () {
          const { store } = yield* open(disk, machine)
          const { length } = yield* store.read("one")
          // The power goes before it is closed.
          return [length, disk.surviving(PowerLossFileSystem.dropped)] as const
        })
      )
      assert.strictEqual(shown[0], 2)
      machine.reboot()
      const { store } = yield* open(shown[1], machine)
      assert.lengthOf(yield* store.read("one"), shown[0])
    }).pipe(Effect.scoped)
  )
})
