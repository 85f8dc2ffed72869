import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Runs } from "@waymark/core"
import { Effect } from "effect"
import { afterAll, assert, it } from "vitest"
import { Triage } from "./fixtures/project/flows.ts"
import {
  folder,
  json,
  jsonHere,
  leave,
  removeFolders,
  seed,
  seedOlder,
  waymark,
  within
} from "./support/command.ts"

afterAll(removeFolders)

it("a run is executed until somebody has to answer, answered, and then executed to its end", async () => {
  const here = { store: folder() }
  const input = join(folder(), "input.json")
  // Whoever executes one run leaves those of others alone.
  await leave(here.store, "other")
  writeFileSync(input, JSON.stringify({ ticket: "T", ask: true }))
  const started = await waymark(["run", "triage", "--input", `@${input}`, "--id", "t", "--json"], here)
  assert.strictEqual(started.code, 8, started.stderr)
  const outcome = JSON.parse(started.stdout)
  assert.deepInclude(outcome, { run: "t", status: "waiting" })
  assert.deepInclude(outcome.waits[0], { type: "user", name: "verdict", prompt: "Ship it?" })
  // What the handlers print is not lost, and not between the documents.
  assert.include(started.stderr, "searching T 0")

  const wrong = await waymark(["answer", "t", "verdict", "hodl"], here)
  assert.deepStrictEqual([wrong.code, wrong.stdout], [5, ""])
  assert.include(wrong.stderr, 'Expected "ship" | "hold"')
  const unknown = await waymark(["answer", "t", "vredict", "hold"], here)
  assert.strictEqual(unknown.code, 3)
  assert.include(unknown.stderr, 'did you mean "verdict"')

  const answered = await waymark(["answer", "t", "verdict", "hold", "--actor", "ada", "--work"], here)
  assert.strictEqual(answered.code, 8, answered.stderr)
  assert.include(answered.stdout, "waymark signal t decided <json>")
  const signalled = await json(["signal", "t", "decided", "grace", "--work"], here)
  assert.deepStrictEqual(signalled, {
    run: "t",
    status: "completed",
    output: { verdict: "hold, says grace" }
  })
  const replayed = await json(["replay", "t"], here)
  assert.strictEqual(replayed.visits, 8)
  assert.deepStrictEqual(replayed.divergences, [])
  const { checkpoints } = await jsonHere("history", "t", "--store", here.store)
  const { seq } = checkpoints.find(({ kind }: any) => kind === "joined")
  assert.deepStrictEqual(await json(["replay", `t@${seq}`], here), {
    run: "t",
    visits: 2,
    divergences: []
  })
  const beyond = await waymark(["replay", "t@999"], here)
  assert.strictEqual(beyond.code, 4)
  assert.include(beyond.stderr, "the journal ends at seq")
  const { runs } = await jsonHere("runs", "--store", here.store)
  assert.deepStrictEqual(
    runs.map(({ run, status }: any) => [run, status]),
    [
      ["t", "completed"],
      ["other", "pending"]
    ]
  )
})

it("a replay tells all that comes out otherwise, as far as it is asked to, and ends with 9", async () => {
  const store = folder()
  await seedOlder(store, "older")
  const all = await waymark(["replay", "older", "--json"], { store })
  assert.strictEqual(all.code, 9, all.stderr)
  const { divergences, ...report } = JSON.parse(all.stdout)
  assert.deepStrictEqual(report, { run: "older", visits: 6 })
  assert.deepStrictEqual(
    divergences.map(({ branch, node, visit }: any) => [node, visit, branch !== undefined]),
    [
      ["gather", 1, false],
      ["weigh", 1, true],
      ["weigh", 1, true]
    ]
  )
  assert.deepInclude(divergences[0].got, { tool: "search", input: { query: "t 0" } })
  assert.deepInclude(divergences[0].expected, { tool: "search" })
  assert.deepInclude(divergences[1].got, { ops: { notes: { append: ["weighed: one"] } } })

  // As many as are looked for: there may be more.
  const text = await waymark(["replay", "older", "-n", "3"], { store })
  assert.strictEqual(text.code, 9, text.stderr)
  assert.match(
    text.stdout,
    /^✖ \d visits replayed; 3 not as recorded\. It ended there; there may be more, .* --limit 6\n/
  )
  assert.match(
    text.stdout,
    /\n\nseq 1, visit 1 of gather\nrecorded:\n{[^]*"tool": "search"[^]*\nnow:\n{[^]*"query": "t 0"/
  )
  assert.match(
    text.stdout,
    /seq \d+, visit 1 of weigh, branch \S+\nrecorded:\n[^]*"weighed"[^]*\nnow:\n[^]*"weighed: two"/
  )
})

it("a run that failed is told by the exit code, and retried", async () => {
  const store = folder()
  const here = { store }
  const failed = await waymark(["run", "triage", "-i", '{"ticket":"unknown","ask":false}', "--id", "f"], here)
  assert.strictEqual(failed.code, 6)
  assert.include(failed.stdout, "NothingFound: nothing is known of unknown 0")
  // Two notes are enough for the node that failed to go on.
  const retried = await json(["retry", "f", "--edit", 'notes=["a","b"]', "--actor", "ada", "--work"], here)
  assert.deepStrictEqual(retried, { run: "f", status: "completed", output: { verdict: "ship" } })
  const again = await waymark(["retry", "f", "--json"], here)
  assert.strictEqual(again.code, 5)
  assert.deepInclude(JSON.parse(again.stderr).error, { tag: "CommandRefused", reason: "ended" })
})

it("events are followed until their run has ended, whoever executes it", async () => {
  const store = folder()
  await seed(store)
  const following = waymark(["events", "waits-1", "--follow", "--json"], { store })
  await within(
    store,
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      yield* runs.answer("waits-1", "verdict", "ship")
      yield* runs.await(Runs.ref(Triage, "waits-1"))
    })
  )
  const { code, stdout } = await following
  assert.strictEqual(code, 0)
  const kinds = stdout
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { readonly kind: string }).kind)
  assert.deepStrictEqual([kinds[0], kinds.at(-1)], ["created", "completed"])
})

it("a run is forked with another state, and the original stays as it was", async () => {
  const store = folder()
  await seed(store)
  const here = { store }
  const forked = await waymark(
    ["fork", "done-1@3", "--edit", 'notes=["x","y"]', "--id", "other", "--work"],
    here
  )
  assert.strictEqual(forked.code, 0, forked.stderr)
  const { run } = await json(["show", "other"], here)
  assert.deepStrictEqual(run.forkOf, { run: "done-1", seq: 3 })
  const { state } = await json(["state", "other"], here)
  assert.deepStrictEqual(state.notes, ["x", "y", "weighed: x", "weighed: y"])
  const checked = await waymark(["check", "--json", "--all"], here)
  assert.deepInclude(JSON.parse(checked.stdout), { flow: "triage", _tag: "Continues", run: "waits-1" })
})

it("a run is paused, resumed and cancelled", async () => {
  const here = { store: folder() }
  const detached = await json(
    ["run", "triage", "-i", '{"ticket":"T","ask":true}', "--id", "p", "--detach"],
    here
  )
  assert.deepStrictEqual(detached, { run: "p", status: "pending" })
  await json(["pause", "p", "--note", "lunch"], here)
  const resumedTooEarly = await waymark(["resume", "p"], here)
  assert.strictEqual(resumedTooEarly.code, 5)
  const cancelled = await waymark(["cancel", "p", "--reason", "no longer wanted", "--work"], here)
  assert.strictEqual(cancelled.code, 7, cancelled.stderr)
  assert.include(cancelled.stdout, "no longer wanted")
})

it("input that does not fit is told with all that is wrong", async () => {
  const { code, stderr } = await waymark(["run", "triage", "-i", '{"tiket":"T"}'], { store: folder() })
  assert.strictEqual(code, 4)
  assert.include(stderr, '["ticket"]')
  assert.include(stderr, '["ask"]')
  assert.notInclude(stderr, "--input")
})

it("a run becomes a test, which imports what the project exports", async () => {
  const store = folder()
  await seed(store)
  const here = { store }
  const { text } = await json(["test-from", "done-1", "--out", "-"], here)
  assert.include(text, 'import { Search, Triage, TriageHandlers } from "../flows.ts"')
  assert.include(text, "FakeTools.recorded(Search, [")
  const out = join(folder(), "done.test.ts")
  const written = await json(["test-from", "waits-1", "--out", out, "--name", "asks"], here)
  assert.deepStrictEqual(written, { run: "waits-1", file: out })
  assert.include(readFileSync(out, "utf8"), 'it.effect("asks", ')
  const again = await waymark(["test-from", "waits-1", "--out", out], here)
  assert.strictEqual(again.code, 2)
  assert.include(again.stderr, "--force")
})

it("the doctor finds nothing wrong with the project", async () => {
  const store = folder()
  await seed(store)
  const { findings } = await json(["doctor"], { store })
  assert.deepStrictEqual(
    findings.filter(({ level }: any) => level === "problem"),
    []
  )
  assert.include(
    findings.map(({ name }: any) => name),
    "flow triage"
  )
})
