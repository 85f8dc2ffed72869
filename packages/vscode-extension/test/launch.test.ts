import { assert, describe, it } from "@effect/vitest"
import { MemoryStore } from "@waymark/core"
import type { Runs } from "@waymark/core"
import { Effect, Schema } from "effect"
import { beginningAt } from "../src/debugging/Beginning.ts"
import { argumentsOf, nodeConfiguration, Request } from "../src/debugging/Launch.ts"
import { readAll, readOne } from "../src/reading/Journals.ts"
import * as Stores from "../src/reading/Stores.ts"
import { layerOn, order, place } from "./orders.ts"

const command = {
  config: "/p/waymark.config.ts",
  program: "/opt/node",
  args: ["/p/node_modules/@waymark/cli/dist/bin.js"]
}
const replay: Request = { mode: "replay", run: "r 1", checkpoint: 7 }

describe("a launch configuration of a replay", () => {
  it("becomes one of the Node debugger, for the project's own command", () => {
    const given = { type: "waymark", request: "launch", name: "n", ...replay }
    assert.deepStrictEqual(nodeConfiguration(given, replay, command, "/p/.waymark", 5), {
      name: "n",
      type: "node",
      request: "launch",
      runtimeExecutable: "/opt/node",
      program: "/p/node_modules/@waymark/cli/dist/bin.js",
      args: ["replay", "--config", "/p/waymark.config.ts", "--store", "/p/.waymark", "--", "r 1@5"],
      cwd: "/p",
      skipFiles: ["<node_internals>/**", "**/node_modules/**"],
      autoAttachChildProcesses: true,
      outputCapture: "std",
      internalConsoleOptions: "openOnSessionStart",
      waymark: { mode: "replay", store: "/p/.waymark", run: "r 1", seq: 5 }
    })
  })

  it("keeps what is for the Node debugger, and nothing that would execute something else", () => {
    const given = {
      ...replay,
      env: { A: "1" },
      skipFiles: [],
      program: "/elsewhere.js",
      runtimeExecutable: "/bin/sh",
      args: ["x"]
    }
    const made = nodeConfiguration(given, replay, command, "/p/.waymark", 5)
    assert.deepStrictEqual(made["env"], { A: "1" })
    assert.deepStrictEqual(made["skipFiles"], [])
    assert.strictEqual(made["program"], command.args[0])
    assert.strictEqual(made["runtimeExecutable"], "/opt/node")
    assert.isFalse("run" in made || "checkpoint" in made || "mode" in made)
  })

  it("tells a fork what is changed in it, as JSON", () => {
    const fork: Request = { mode: "fork", run: "-r", edits: { card: "@4711", total: 3, note: null }, id: "f" }
    assert.deepStrictEqual(argumentsOf(fork, 4, "/s", "/c.ts"), [
      "fork",
      "--work",
      "--edit",
      'card="@4711"',
      "--edit",
      "total=3",
      "--edit",
      "note=null",
      "--id",
      "f",
      "--config",
      "/c.ts",
      "--store",
      "/s",
      "--",
      "-r@4"
    ])
  })

  it("is refused if it is none", () => {
    const decode = Schema.decodeUnknownSync(Request)
    assert.throws(() => decode({ mode: "replay", run: "" }))
    assert.throws(() => decode({ mode: "rewind", run: "r" }))
    assert.throws(() => decode({ mode: "fork", run: "r", checkpoint: -1 }))
  })
})

describe("where code is executed from", () => {
  const of = (seq: number | undefined, node?: string) =>
    Effect.gen(function* () {
      const stores = yield* Stores.Stores
      yield* stores.use([place])
      const open = yield* stores.open("/s")
      const found = yield* beginningAt(
        {
          info: Effect.map(open.store.get("o"), ({ info }) => info),
          event: (at) => readOne(open, "o", at),
          stateAt: (at) => open.runs.stateAt("o", at),
          scan: (from, direction, take) => readAll(open, "o", { from, direction }, take),
          sites: Effect.succeed([])
        },
        seq,
        node
      )
      if (found === undefined) return undefined
      const { kind } = yield* readOne(open, "o", found.seq)
      return { kind, nodes: found.nodes }
    })
  const on = <A, E>(body: Effect.Effect<A, E, Stores.Stores | Runs.Runs>) =>
    Effect.provide(body, layerOn(MemoryStore.makeDisk()))

  it.live("is the checkpoint that was chosen, and before the last visit of a run that ended", () =>
    on(
      Effect.gen(function* () {
        yield* order("o", "bad", true)
        assert.deepStrictEqual(yield* of(0), { kind: "created", nodes: ["receive"] })
        // The failure of `pay`: from before it.
        assert.deepStrictEqual(yield* of(undefined), { kind: "visited", nodes: ["pay"] })
        assert.deepStrictEqual(yield* of(undefined, "price"), { kind: "visited", nodes: ["price"] })
        assert.isUndefined(yield* of(undefined, "ship"))
      })
    )
  )
})
