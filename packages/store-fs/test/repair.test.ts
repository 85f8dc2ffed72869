import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as NodeFs from "node:fs"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import * as Repair from "../src/Repair.ts"
import { temporaryDirectory } from "./places.ts"
import { makeUser, noted, nothingTold, open } from "./scenario.ts"

/** A store with three runs, whose process is gone. */
const left = Effect.gen(function* () {
  const parent = yield* temporaryDirectory
  const directory = `${parent}/store`
  const machine = makeMachine()
  const told = nothingTold()
  const scope = yield* Scope.make()
  const process = machine.spawn()
  const { store } = yield* Scope.provide(
    open(NodeFileSystem.layer, machine, { directory, segmentSize: 1e6 }, process),
    scope
  )
  const user = makeUser(store, told)
  for (const run of ["one", "two", "three"]) {
    const lease = yield* user.create(run, "holder")
    for (let i = 0; i < 20; i++) yield* user.append(lease, noted(`entry ${i}`))
    yield* user.sync(lease)
  }
  yield* user.send("one", "command")
  yield* user.putArtifact(new Uint8Array([1, 2, 3]))
  const close = Effect.andThen(Scope.close(scope, Exit.void), Effect.sync(process.vanish))
  const segment = () => `${directory}/segments/${NodeFs.readdirSync(`${directory}/segments`)[0]}`
  const repair = Effect.provide(Repair.repairFileSystem({ directory }), [
    NodeFileSystem.layer,
    machine.spawn().layer
  ])
  return { directory, machine, told, close, segment, repair, send: user.send }
})

const contents = (directory: string): ReadonlyMap<string, string> =>
  new Map(
    NodeFs.readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => {
        const path = `${entry.parentPath}/${entry.name}`
        return [path.slice(directory.length), NodeFs.readFileSync(path, "latin1")]
      })
  )

const overwrite = (path: string, wanted: string, text: string): void => {
  const content = NodeFs.readFileSync(path, "latin1")
  const at = content.indexOf(wanted)
  assert.isAtLeast(at, 0)
  NodeFs.writeFileSync(path, content.slice(0, at) + text + content.slice(at + text.length), "latin1")
}

describe("repair", () => {
  it.live(
    "saves what comes before the damage, says what is lost, and keeps the damaged store as it was",
    () =>
      Effect.gen(function* () {
        const { close, directory, machine, repair, segment, told } = yield* left
        yield* close
        overwrite(segment(), `{"run":"two","seq":9,`, "#")
        overwrite(segment(), `{"run":"three","seq":0,`, "#")
        overwrite(`${directory}/format.json`, "waymark", "wrymark")
        const before = contents(directory)
        const report = yield* repair
        assert.deepStrictEqual(
          report.losses.map(({ kept, run }) => [run, kept]),
          [
            ["two", 9],
            ["three", 0]
          ]
        )
        assert.include(report.losses[0]!.detail, "seq 9")
        assert.strictEqual(report.runs, 2)
        assert.deepStrictEqual(report.unreadable, [`${directory}/format.json`])
        assert.deepStrictEqual(contents(report.aside), before)
        assert.deepStrictEqual(JSON.parse(NodeFs.readFileSync(`${directory}/repair.json`, "utf8")), report)
        assert.deepStrictEqual(
          NodeFs.readdirSync(`${directory}/..`).filter((name) => name.includes("repair")),
          []
        )

        const { store } = yield* open(NodeFileSystem.layer, machine, { directory })
        for (const [run, kept] of [
          ["one", 22],
          ["two", 9]
        ] as const) {
          const lines = (yield* store.read(run)).map(({ line }) => line)
          assert.deepStrictEqual(
            lines,
            told.journals
              .get(run)!
              .entries.slice(0, kept)
              .map(({ line }) => line)
          )
          yield* store.acquire(run, "holder")
        }
        assert.strictEqual((yield* Effect.flip(store.get("three")))._tag, "RunNotFound")
        assert.deepStrictEqual(
          (yield* store.inbox("one", {})).map(({ command }) => command.id),
          ["command"]
        )
      }).pipe(Effect.scoped)
  )

  it.live("saves the commands that are what was sent, and says that others are not", () =>
    Effect.gen(function* () {
      const { close, directory, machine, repair, segment, send } = yield* left
      yield* send("one", "command-2")
      yield* close
      overwrite(segment(), `"command":{"id":"command","run":"one"`, `"command":{"id":"cummand","run":"uno"`)
      const path = segment()
      const report = yield* repair
      assert.deepStrictEqual(
        report.losses.map(({ kept, run }) => [run, kept]),
        [["one", 22]]
      )
      assert.include(report.losses[0]!.detail, "commands")
      assert.lengthOf(report.damaged, 1)
      assert.include(report.damaged[0], { path })
      const { store } = yield* open(NodeFileSystem.layer, machine, { directory })
      assert.deepStrictEqual(
        (yield* store.inbox("one", {})).map(({ command }) => command.id),
        ["command-2"]
      )
    }).pipe(Effect.scoped)
  )

  it.live("of a store that is whole loses nothing", () =>
    Effect.gen(function* () {
      const { close, repair } = yield* left
      yield* close
      const report = yield* repair
      assert.deepStrictEqual([report.runs, report.entries, report.losses], [3, 66, []])
    }).pipe(Effect.scoped)
  )

  it.live("is refused while a process has the store, and touches nothing", () =>
    Effect.gen(function* () {
      const { close, directory, repair } = yield* left
      const before = contents(directory)
      const error = yield* Effect.flip(repair)
      assert.strictEqual(error._tag === "StoreError" && error.reason._tag, "Busy")
      assert.deepStrictEqual([...contents(directory).keys()], [...before.keys()])
      assert.deepStrictEqual(NodeFs.readdirSync(`${directory}/..`), ["store"])
      yield* close
      yield* repair
    }).pipe(Effect.scoped)
  )

  it.live("says when there is nothing to repair", () =>
    Effect.gen(function* () {
      const directory = `${yield* temporaryDirectory}/nothing`
      const error = yield* Effect.flip(Repair.repair({ directory }))
      assert.strictEqual(error.reason._tag, "Invalid")
    }).pipe(Effect.scoped)
  )
})
