import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as NodeFs from "node:fs"
import * as Path from "node:path"
import { Store } from "@waymark/core/Store"
import * as NodeFiles from "@waymark/store-kit/NodeFiles"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import * as Journal from "@waymark/testing/JournalBuilder"
import { Maintenance } from "../src/Maintenance.ts"
import * as Repair from "../src/Repair.ts"
import { openIn, temporaryDirectory } from "./places.ts"

/** A store in which `folded` runs are in the database, and then each run had something more, in the redo log. */
const left = (folded: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const file = `${yield* temporaryDirectory}/runs.sqlite`
    const machine = makeMachine()
    const journals = new Map<string, Journal.JournalBuilder>()
    const open = (process = machine.spawn()) =>
      Layer.build(openIn({ file, machine }, NodeFiles.layer, process, { foldBytes: 1e9 }))
    const scope = yield* Scope.make()
    const process = machine.spawn()
    const context = yield* Scope.provide(open(process), scope)
    const store = Context.get(context, Store)
    for (const run of folded) {
      const journal = yield* Journal.make(run)
      journals.set(run, journal)
      const lease = yield* store.create(journal.batch(Journal.created()), { holder: "worker" })
      for (let i = 0; i < 20; i++) yield* store.append(lease, journal.seq, journal.batch(Journal.visited()))
      yield* store.sync(lease)
      if (run === folded[0]) yield* Context.get(context, Maintenance).checkpoint
    }
    // The process is gone before it can be closed: what its redo log holds is in no database.
    const copies = NodeFs.readdirSync(Path.dirname(file)).map((name) => {
      const path = `${Path.dirname(file)}/${name}`
      return [path, NodeFs.readFileSync(path)] as const
    })
    yield* Scope.close(scope, Exit.void)
    for (const name of NodeFs.readdirSync(Path.dirname(file))) NodeFs.rmSync(`${Path.dirname(file)}/${name}`)
    for (const [path, bytes] of copies) NodeFs.writeFileSync(path, bytes)
    const repair = Effect.provide(Repair.repairFileSystem({ file }), [NodeFiles.layer, machine.spawn().layer])
    return { file, journals, open, process, repair }
  })

const files = (file: string, directory = Path.dirname(file)) =>
  new Map(
    NodeFs.readdirSync(directory)
      .filter((name) => name.startsWith(Path.basename(file)))
      .map((name) => [name, NodeFs.readFileSync(`${directory}/${name}`, "latin1")])
  )

/** Alters a text wherever it stands: SQLite leaves copies behind on pages that were split. */
const overwrite = (path: string, wanted: string, text: string): void => {
  const content = NodeFs.readFileSync(path, "latin1")
  assert.include(content, wanted)
  NodeFs.writeFileSync(path, content.replaceAll(wanted, text), "latin1")
}

describe("repair", () => {
  it.live(
    "of a redo log that is damaged saves all runs that the damage is not about, and keeps the damaged files as they were",
    () =>
      Effect.gen(function* () {
        const { file, journals, open, process, repair } = yield* left(["one", "two", "three"])
        process.vanish()
        const log = [...files(file).keys()]
          .filter((name) => name.includes("-redo."))
          .sort()
          .pop()!
        // In a frame that others follow.
        overwrite(`${Path.dirname(file)}/${log}`, `"run":"two","seq":20`, `"run":"tww","seq":20`)
        const error = yield* Effect.flip(Effect.scoped(open()))
        assert.strictEqual(error.reason._tag, "Corrupt")
        assert.include(error.message, `(${Path.dirname(file)}/${log}), byte `)
        const before = files(file)
        const report = yield* repair
        assert.lengthOf(report.damaged, 1)
        assert.strictEqual(report.damaged[0]!.path, `${Path.dirname(file)}/${log}`)
        assert.strictEqual(report.unreadable, undefined)
        assert.deepStrictEqual(files(file, report.aside), before)
        const store = Context.get(yield* open(), Store)
        // What it was about is known; whether it was entries or commands is not.
        assert.deepStrictEqual(
          report.losses.map(({ kept, run }) => [run, kept]),
          [
            ["two", 1],
            ["two", 1]
          ]
        )
        for (const run of ["one", "three"]) {
          const lines = (yield* store.read(run)).map(({ line }) => line)
          assert.deepStrictEqual(
            lines,
            journals.get(run)!.entries.map(({ line }) => line)
          )
          yield* store.acquire(run, "holder")
        }
        assert.lengthOf(yield* store.read("two"), 1)
      }).pipe(Effect.scoped)
  )

  it.live("of an entry that is not what was written saves those before it", () =>
    Effect.gen(function* () {
      const { file, journals, open, process, repair } = yield* left(["one"])
      process.vanish()
      overwrite(file, `"seq":10,"epoch":0,"time":1000010,`, `"seq":10,"epoch":0,"time":1000011,`)
      const report = yield* repair
      assert.deepStrictEqual(
        report.losses.map(({ kept, run }) => [run, kept]),
        [["one", 10]]
      )
      const store = Context.get(yield* open(), Store)
      const lines = (yield* store.read("one")).map(({ line }) => line)
      assert.deepStrictEqual(
        lines,
        journals
          .get("one")!
          .entries.slice(0, 10)
          .map(({ line }) => line)
      )
    }).pipe(Effect.scoped)
  )

  it.live("of a page of commands saves the others, and says which run has lost some", () =>
    Effect.gen(function* () {
      const { file, open, process, repair } = yield* left(["one", "two"])
      process.vanish()
      const first = yield* Scope.make()
      const store = Context.get(yield* Scope.provide(open(), first), Store)
      for (const run of ["one", "two"])
        yield* store.send({ id: `to-${run}`, run, time: 0, request: { type: "resume" } })
      yield* Scope.close(first, Exit.void)
      overwrite(file, `{"id":"to-one"`, `{"id":"to-oen"`)
      const report = yield* repair
      assert.deepStrictEqual(
        report.losses.map(({ kept, run }) => [run, kept]),
        [
          ["one", 21],
          ["two", 21]
        ]
      )
      assert.isAbove(report.damaged.length, 0)
      for (const { offset, path } of report.damaged) {
        assert.strictEqual(path, file)
        assert.strictEqual(offset % 4096, 0)
      }
      const repaired = Context.get(yield* open(), Store)
      // Nobody is told to do what nobody has sent.
      assert.deepStrictEqual(yield* repaired.inbox("one", {}), [])
    }).pipe(Effect.scoped)
  )

  it.live("is refused while a process writes the store, and touches nothing", () =>
    Effect.gen(function* () {
      const { file, process, repair } = yield* left(["one", "two"])
      const before = files(file)
      const error = yield* Effect.flip(repair)
      assert.strictEqual(error.reason._tag, "Busy")
      assert.deepStrictEqual(files(file), before)
      process.vanish()
      const report = yield* repair
      assert.deepStrictEqual([report.runs, report.entries, report.losses], [2, 42, []])
    }).pipe(Effect.scoped)
  )
})
