import { execFileSync, spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Runs } from "@waymark/core"
import * as NodeSqljsStore from "@waymark/store-sqljs/NodeSqljsStore"
import { Effect } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { Triage } from "./fixtures/project/flows.ts"
import {
  bin,
  folder,
  here,
  json,
  jsonHere,
  node,
  removeFolders,
  seed,
  seedDiverged,
  waymark,
  within
} from "./support/command.ts"

const store = folder()
/** Nothing but the store is here: no configuration. */
const elsewhere = folder()
const there = { cwd: elsewhere }
const at = ["--store", store]

beforeAll(() => seed(store))
afterAll(removeFolders)

describe("runs", () => {
  it("that have ended are not to be cancelled, and none are not to be listed", async () => {
    const { code, stdout } = await here("cancel", "done-1", ...at)
    assert.deepStrictEqual([code, stdout], [0, "has ended: done-1 (completed)\n"])
    for (const args of [["runs"], ["history", "done-1"], ["show", "done-1"]])
      assert.strictEqual((await here(...args, "--limit", "0", ...at)).code, 2)
  })

  it("lists the runs of a store that was named, newest first, page by page", async () => {
    const first = await jsonHere("runs", "--limit", "2", ...at)
    assert.deepStrictEqual(
      first.runs.map(({ run, status }: any) => [run, status]),
      [
        ["failed-1", "failed"],
        ["waits-1", "waiting"]
      ]
    )
    const second = await jsonHere("runs", "--cursor", first.cursor, ...at)
    assert.deepStrictEqual(
      second.runs.map(({ run }: any) => run),
      ["done-1"]
    )
  })

  it("says what failed and what is waited for", async () => {
    const { code, stderr, stdout } = await waymark(["runs", ...at], there)
    assert.strictEqual(code, 0, stderr)
    assert.match(
      stdout,
      /failed-1\s+✖ failed\s+triage\s+gather\s+0 steps\s+.*NothingFound: nothing is known of unknown 0/
    )
    assert.match(stdout, /waits-1\s+◔ waiting\s+triage\s+decide\s+6 steps\s+.*for user verdict/)
    // A pipe is no terminal.
    assert.notInclude(stdout, "\u001b")
  })

  it("narrows the list", async () => {
    const { runs } = await jsonHere(
      "runs",
      "--status",
      "completed",
      "--status",
      "failed",
      "--tag",
      "first",
      "--since",
      "1h",
      ...at
    )
    assert.deepStrictEqual(
      runs.map(({ run }: any) => run),
      ["done-1"]
    )
  })
})

describe("show", () => {
  it("shows what a run waits for, what it did, and nodes that it never visited, with nothing but the store", async () => {
    const { stdout } = await here("show", "waits-1", ...at)
    assert.include(stdout, "an answer to verdict: Ship it?\n    waymark answer waits-1 verdict <json>")
    assert.match(stdout, /✔ {2}gather #2 → gather/)
    assert.match(stdout, /✔ {2}weigh \[4\.1\] → decide/)
    assert.match(stdout, /◔ {2}decide #5\s+waiting/)
    assert.include(stdout, "┏─ ✔ gather completed ×3 ↻")
    assert.include(stdout, "○ escalate pending")
  })

  it("tells programs the same", async () => {
    const shown = await jsonHere("show", "failed", ...at)
    assert.strictEqual(shown.run.run, "failed-1")
    assert.strictEqual(shown.ending.error.tag, "NothingFound")
    assert.deepStrictEqual(
      shown.timeline.visits.map(({ calls, node, status }: any) => [
        node,
        status,
        calls.map((call: any) => call.status)
      ]),
      [["gather", "failed", ["failed"]]]
    )
    assert.strictEqual(shown.graph.known, "store")
    assert.deepStrictEqual(shown.graph.nodes.map(({ name, status }: any) => `${name} ${status}`).sort(), [
      "decide pending",
      "escalate pending",
      "gather failed",
      "read pending",
      "weigh pending"
    ])
  })
})

describe("a run that is paused because its code became another one", () => {
  it("says which call was recorded and which is asked for now, and how to look at it", async () => {
    const directory = folder()
    await seedDiverged(directory, "other")
    const { code, stdout } = await here("show", "other", "--store", directory)
    assert.strictEqual(code, 0)
    assert.include(
      stdout,
      [
        "is paused",
        "  visit 1 of node gather was executed again and asked for something else than is recorded: its code has changed, or depends on what is not recorded",
        '    recorded: search {"query":"all of it"}, seq 1',
        '    now:      search {"query":"t 0"}',
        "    waymark check triage: does it go on with the code as it is now?",
        "    waymark replay other: does what it did before come out otherwise, too?",
        "    waymark resume other"
      ].join("\n")
    )
    const replayed = await waymark(["replay", "other"], { store: directory })
    assert.strictEqual(replayed.code, 0)
    assert.match(
      replayed.stdout,
      /^✔ .*: as recorded\n1 visit has not ended and was not compared: waymark check looks at what is open\n/
    )
    // A time that has come is no timeout.
    assert.match(stdout, /◔ until .*, woke\n/)
    assert.match(stdout, /◔ event go .*, ended\n/)
  })
})

describe("a hostile run", () => {
  it("controls no terminal, whatever it is called and asks", async () => {
    const directory = folder()
    const evil = "\u001b[2J\u001b]0;owned\u0007"
    await within(
      directory,
      Effect.gen(function* () {
        const runs = yield* Runs.Runs
        yield* runs.start(Triage, { ticket: evil, ask: true }, { id: `x${evil}`, tags: [evil], actor: evil })
        yield* Runs.awaitUntil(`x${evil}`, ({ status }) => status === "waiting")
        yield* Runs.annotate(`x${evil}`, evil, { actor: evil, until: "applied" })
      })
    )
    for (const command of [
      ["runs"],
      ["show", "x"],
      ["history", "x"],
      ["state", "x"],
      ["blame", "x"],
      ["events", "x"],
      ["verify"]
    ]) {
      const { code, stderr, stdout } = await here(...command, "--store", directory)
      assert.strictEqual(code, 0, stderr)
      // Nothing of it is in what `blame` tells of this run.
      if (command[0] !== "blame") assert.include(`${stdout}${stderr}`, "\\u001b", command[0])
      for (const control of evil) {
        if (control < " ") assert.notInclude(`${stdout}${stderr}`, control, command[0])
      }
    }
  })
})

describe("the parts of a run", () => {
  it("are listed as checkpoints", async () => {
    const { checkpoints } = await jsonHere(
      "history",
      "done-1",
      "--node",
      "gather",
      "--order",
      "oldest",
      ...at
    )
    assert.deepStrictEqual(
      checkpoints.map(({ kind, seq, visit }: any) => [seq, kind, visit]),
      [
        [3, "visited", 1],
        [6, "visited", 2],
        [7, "visited", 3]
      ]
    )
  })

  it("are shown as they were", async () => {
    const { seq, state } = await jsonHere("state", "done-1@3", ...at)
    assert.deepStrictEqual([seq, state], [3, { notes: ["about t1 0"] }])
    const part = await here("state", "done-1", "--path", "notes.1", ...at)
    assert.strictEqual(part.stdout, '"about t1 1"\n')
  })

  it("are compared", async () => {
    const { code, stdout } = await here("diff", "done-1@3", "done-1@6", "--exit-code", ...at)
    assert.strictEqual(code, 9)
    assert.strictEqual(stdout, "+ /notes/1 about t1 1\n")
  })

  it("have somebody who wrote them", async () => {
    const { blame } = await jsonHere("blame", "done-1", "notes.2", ...at)
    assert.deepStrictEqual([blame[0].checkpoint.node, blame[0].checkpoint.branch], ["weigh", "4.0"])
  })

  it("are printed as events, one on each line", async () => {
    const { stdout } = await waymark(["events", "done-1", "--json", "--kind", "callCompleted", ...at], there)
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { readonly output: unknown })
    assert.deepStrictEqual(
      lines.map(({ output }) => output),
      [["about t1 0"], ["about t1 1"]]
    )
  })

  it("are verified", async () => {
    const { code, stdout } = await here("verify", "--json", ...at)
    assert.strictEqual(code, 0)
    const findings = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { readonly ok: boolean })
    assert.deepStrictEqual(
      findings.map(({ ok }) => ok),
      [true, true, true]
    )
    const known = await here("verify", "done-1", "--expect", `99:${"a".repeat(64)}`, ...at)
    assert.strictEqual(known.code, 9)
    assert.include(known.stdout, "it ends here, before seq 99")
  })

  it("are drawn for other tools", async () => {
    const { stdout } = await here("graph", "done-1", "--format", "mermaid", ...at)
    assert.match(stdout, /^flowchart TD\n/)
    assert.match(stdout, /n\d ==>\|"branch"\| n\d/)
  })
})

describe("a SQLite file", () => {
  it("is a store as a directory is, while another process writes to it, and says who has it", async () => {
    const file = join(folder(), "runs.sqlite")
    await within(
      file,
      Effect.gen(function* () {
        const runs = yield* Runs.Runs
        yield* runs.execute(Triage, { ticket: "T", ask: false }, { id: "in-sqlite" })
        const read = yield* Effect.promise(() => json(["state", "in-sqlite", "--store", file], there))
        assert.deepInclude(read, { run: "in-sqlite", status: "completed" })
        const busy = yield* Effect.promise(() =>
          waymark(["pause", "in-sqlite", "--store", file, "--json"], there)
        )
        assert.strictEqual(busy.code, 10)
        assert.deepInclude(JSON.parse(busy.stderr).error, { tag: "StoreError", reason: "Busy" })
      }),
      NodeSqljsStore.layer({ file })
    )
  })

  it("that is none is told as what it is", async () => {
    const file = join(folder(), "letter.sqlite")
    writeFileSync(file, "Dear Ada,\n".repeat(1000))
    const { code, stderr } = await waymark(["runs", "--store", file, "--json"], there)
    assert.strictEqual(code, 10)
    assert.deepInclude(JSON.parse(stderr).error, { tag: "StoreError", reason: "Corrupt" })
  })
})

describe("what cannot be read", () => {
  it("is told with what may be meant", async () => {
    const { code, stderr } = await waymark(["show", "doen-1", ...at], there)
    assert.strictEqual(code, 3)
    assert.strictEqual(stderr, `error: there is no run "doen-1" in ${store}; did you mean "done-1"?\n`)
  })

  it("is told to programs on standard error", async () => {
    const { code, stderr, stdout } = await waymark(["state", "done-1@99", "--json", ...at], there)
    assert.deepStrictEqual([code, stdout], [4, ""])
    assert.deepInclude(JSON.parse(stderr).error, { tag: "InvalidCheckpoint", exitCode: 4 })
  })

  it("says where it looked for a store", async () => {
    const { code, stderr } = await waymark(["runs"], there)
    assert.strictEqual(code, 3)
    assert.include(stderr, "no waymark.config.ts here or above, and no ")
    const empty = await here("runs", "--store", folder())
    assert.strictEqual(empty.code, 3)
    assert.include(empty.stderr, "it is made when a run is started")
    const other = await waymark(["runs", "--store", "nowhere"], there)
    assert.strictEqual(other.code, 3)
    assert.include(other.stderr, "there is no store at ")
  })

  it("says how it is called", async () => {
    const { code, stderr, stdout } = await waymark(["runs", "--stauts", "failed"], there)
    assert.deepStrictEqual([code, stdout], [2, ""])
    assert.include(stderr, "--status")
    const { stdout: completions } = await waymark(["--completions", "bash"], there)
    assert.include(completions, "verify")
    // A shell completes with it: a command, and a flag that every command has.
    const complete = (...words: ReadonlyArray<string>) =>
      execFileSync(
        "bash",
        [
          "-c",
          `${completions}
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=\${#COMP_LINE}
        _waymark; echo "\${COMPREPLY[@]}"`,
          "bash",
          "waymark",
          ...words
        ],
        { encoding: "utf8" }
      ).trim()
    assert.strictEqual(complete("veri"), "verify")
    assert.strictEqual(complete("show", "--sto"), "--store")
    const old = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "22.18.0" } })`
    const args = [...node.slice(1), "--import", `data:text/javascript,${old}`, bin, "runs"]
    const refused = spawnSync(node[0], args, { encoding: "utf8" })
    assert.deepStrictEqual([refused.status, refused.stdout], [2, ""])
    assert.match(refused.stderr, /^error: waymark needs Node [\d.]+ or later, and this is Node 22\.18\.0 /)
    const machine = await waymark(["shwo", "--json"], there)
    assert.deepInclude(JSON.parse(machine.stderr).error, { tag: "UnknownSubcommand", exitCode: 2 })
  })
})
