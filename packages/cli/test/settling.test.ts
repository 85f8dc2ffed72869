import { spawn } from "node:child_process"
import { join } from "node:path"
import { afterAll, assert, it } from "vitest"
import {
  bin,
  environment,
  execute,
  folder,
  here,
  jsonHere,
  node,
  project,
  removeFolders
} from "./support/command.ts"

const payout = join(project, "../payout")
const store = folder()

afterAll(removeFolders)

const waymark = (...args: ReadonlyArray<string>) => execute([...node, bin, ...args], { cwd: payout, store })

/** Executes a command in which calls of a tool never come back, and kills it when one is under way. */
const killed = async (hangs: string, calls: number, ...args: ReadonlyArray<string>): Promise<void> => {
  const [program, ...options] = node
  const child = spawn(program, [...options, bin, ...args], {
    cwd: payout,
    env: { ...environment(store), WAYMARK_TEST_HANGS: hangs },
    stdio: "ignore"
  })
  const ended = new Promise<void>((done) => child.on("close", () => done()))
  try {
    for (let begun = 0; begun < calls;) {
      const { stdout } = await here("events", "p", "--store", store, "--json")
      begun = stdout.split("\n").filter((line) => line.includes('"kind":"callStarted"')).length
      assert.isNull(child.exitCode, "it ended before it was killed")
    }
  } finally {
    child.kill("SIGKILL")
    await ended
  }
}

it("calls in doubt are shown with what can be said of them, and settled", async () => {
  await killed("transfer", 1, "run", "payout", "--input", "5", "--id", "p")

  // Whoever starts it again executes it, up to where somebody has to decide.
  const paused = await waymark("run", "payout", "--input", "5", "--id", "p")
  assert.strictEqual(paused.code, 8, paused.stderr)
  assert.include(paused.stdout, 'nobody knows whether this call took effect: transfer {"amount":5}\n')
  assert.match(paused.stdout, /visit 1 of pay, begun .* ago\), idempotency key [0-9a-f]{32}\n/)
  assert.match(paused.stdout, / waymark resume p --settle again +it did not: it is made again/)
  assert.match(paused.stdout, / waymark resume p --settle failed +it did not, and/)
  assert.match(paused.stdout, / waymark resume p --settle '\{"output":…\}' +it did/)

  const shown = await here("show", "p", "--store", store)
  assert.include(shown.stdout, "is paused\n  nobody knows whether this call took effect")
  const [doubt] = (await jsonHere("show", "p", "--store", store)).inDoubt
  assert.deepInclude(doubt, { tool: "transfer", node: "pay", visit: 1, input: { amount: 5 } })

  const nonsense = await waymark("resume", "p", "--settle", `${doubt.call}=maybe`)
  assert.strictEqual(nonsense.code, 2)
  assert.include(nonsense.stderr, 'it is `again`, `failed` or {"output":…}')
  const unknown = await waymark("resume", "p", "--settle", "other=again")
  assert.strictEqual(unknown.code, 5)
  assert.include(unknown.stderr, `no open visit has a call other; in doubt: "${doubt.call}"`)
  assert.strictEqual((await jsonHere("show", "p", "--store", store)).run.status, "paused")

  // Its tool fails if it is in doubt: the run has failed then, and is retried.
  await killed("announce", 2, "resume", "p", "--settle", '{"output":"receipt 17"}', "--work")
  const failed = await waymark("run", "payout", "--input", "5", "--id", "p")
  assert.strictEqual(failed.code, 6, failed.stderr)
  assert.include(failed.stdout, 'took effect: announce {"text":"paid, receipt 17"}\n')
  assert.match(failed.stdout, / waymark retry p --settle again +it did not/)
  assert.include((await here("show", "p", "--store", store)).stdout, "\nis in doubt\n  nobody knows")

  const retried = await waymark("retry", "p", "--settle", '{"output":null}', "--work", "--json")
  assert.deepStrictEqual(JSON.parse(retried.stdout), { run: "p", status: "completed", output: "receipt 17" })
  const over = await waymark("retry", "p", "--settle", "again")
  assert.strictEqual(over.code, 2)
  assert.include(over.stderr, "no call of the run is in doubt")
})
