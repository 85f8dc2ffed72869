import { type ChildProcess, spawn } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Runs } from "@waymark/core"
import { Effect } from "effect"
import { afterAll, assert, it } from "vitest"
import { Triage } from "./fixtures/project/flows.ts"
import {
  bin,
  environment,
  folder,
  here,
  json,
  jsonHere,
  leave,
  node,
  project,
  removeFolders,
  within
} from "./support/command.ts"

const children = new Set<ChildProcess>()

afterAll(() => {
  for (const child of children) child.kill("SIGKILL")
  removeFolders()
})

/** The command as a process that is to be stopped: its exit code or the signal that ended it, and what it printed. */
const started = (store: string, ...args: ReadonlyArray<string>) => {
  const [program, ...options] = node
  const child = spawn(program, [...options, bin, ...args], {
    cwd: project,
    env: environment(store),
    stdio: ["ignore", "pipe", "inherit"]
  })
  children.add(child)
  let stdout = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text))
  const ended = new Promise<{ readonly how: number | string | null; readonly stdout: string }>((done) =>
    child.on("close", (code, signal) => done({ how: code ?? signal, stdout }))
  )
  return { child, ended }
}

const kindsOf = async (store: string, run: string): Promise<ReadonlyArray<string>> => {
  const { stdout } = await here("events", run, "--store", store, "--json")
  const lines = stdout === "" ? [] : stdout.trimEnd().split("\n")
  return lines.map((line) => (JSON.parse(line) as { readonly kind: string }).kind)
}

/** Waits until a run is in its first call, in so many processes by now. */
const calling = async (store: string, run: string, times = 1): Promise<void> => {
  for (;;) {
    const kinds = await kindsOf(store, run)
    if (kinds.filter((kind) => kind === "callStarted" || kind === "callRepeated").length >= times) return
  }
}

const statusOf = async (store: string, run: string): Promise<string> =>
  (await jsonHere("show", run, "--store", store)).run.status

it("a run in progress is handed over when its process is stopped or killed, and another finishes it", async () => {
  const store = folder()
  const gate = join(folder(), "open")
  const ticket = `after:${gate}`
  const input = JSON.stringify({ ticket, ask: false })
  const run = (id: string) => started(store, "run", "triage", "--input", input, "--id", id, "--json")

  const stopped = run("stopped")
  await calling(store, "stopped")
  stopped.child.kill("SIGTERM")
  assert.deepStrictEqual(await stopped.ended, { how: 143, stdout: "" })

  const killed = run("killed")
  await calling(store, "killed")
  killed.child.kill("SIGKILL")
  assert.deepStrictEqual(await killed.ended, { how: "SIGKILL", stdout: "" })
  for (const id of ["stopped", "killed"]) assert.strictEqual(await statusOf(store, id), "running")

  // A worker takes up all three, and hands them over in its turn.
  await leave(store, "left", ticket)
  const worker = started(store, "worker", "--json")
  await Promise.all([calling(store, "stopped", 2), calling(store, "killed", 2), calling(store, "left")])
  worker.child.kill("SIGTERM")
  const { how, stdout } = await worker.ended
  assert.strictEqual(how, 143)
  const [first, ...lines] = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { readonly [name: string]: unknown })
  assert.deepStrictEqual(first!["flows"], ["triage"])
  for (const id of ["stopped", "killed", "left"]) {
    const told = lines.filter(({ run: of }) => of === id)
    assert.deepStrictEqual(
      told.map(({ status, what }) => [what, status]),
      [
        ["takenUp", id === "left" ? "pending" : "running"],
        ["atRest", "running"]
      ]
    )
  }

  writeFileSync(gate, "")
  // Joined by whoever starts it again, which leaves the others alone.
  const joined = await json(["run", "triage", "--input", input, "--id", "stopped"], { store })
  assert.deepStrictEqual(joined, { run: "stopped", status: "completed", output: { verdict: "ship" } })
  assert.strictEqual(await statusOf(store, "left"), "running")
  await within(
    store,
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      for (const id of ["killed", "left"]) {
        assert.deepStrictEqual(yield* runs.await(Runs.ref(Triage, id)), { verdict: "ship" })
      }
    })
  )
  for (const id of ["stopped", "killed", "left"]) {
    const { code, stderr } = await here("verify", id, "--store", store)
    assert.strictEqual(code, 0, stderr)
  }
  const claims = async (id: string) => {
    const { stdout: events } = await here("events", id, "--store", store, "--json")
    return events
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { readonly kind: string; readonly cause?: string })
      .filter(({ kind }) => kind === "claimed")
      .map(({ cause }) => cause)
  }
  assert.notInclude(await claims("stopped"), "crash")
  assert.deepStrictEqual((await claims("killed")).filter((cause) => cause === "crash").length, 1)
})
