// Tests the extension in a real VS Code: a suite inside its extension host, and scenarios on the packaged VSIX, as a person
// would do them; two at a time. Installs what it needs. Leaves test-results/e2e.json, which the totals count.
//
//   node e2e/run.ts [--only pattern] [--lanes n]
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import type { Browser } from "playwright-core"
import { openBrowser, openWindow } from "./harness/browser.ts"
import { startServer } from "./harness/server.ts"
import type { Server } from "./harness/server.ts"
import { bundleSuite, copyWorkspace, out, prepare, root, say, vsix } from "./prepare.ts"
import { scenarios } from "./scenarios/index.ts"
import type { Scenario } from "./scenarios/index.ts"

interface Result {
  readonly title: string
  readonly status: string
  readonly message?: string
}

const { values } = parseArgs({
  options: { only: { type: "string", default: "" }, lanes: { type: "string", default: "2" } }
})
const only = new RegExp(values.only)
const results: Array<Result> = []
/** The flows of the workspace are executed with this Node, and not with that of the editor. */
const settings = { "waymark.node": process.execPath }

const runSuite = async (browser: Browser, suite: string): Promise<void> => {
  const file = join(out, "suite.json")
  const env = { WAYMARK_E2E_RESULTS: file }
  const server = await startServer({ name: "suite", out, suites: true, settings, env })
  const uri = (path: string) => `vscode-remote://remote${path}`
  try {
    let code: number | undefined
    const window = await openWindow(browser, server, copyWorkspace(), {
      out,
      payload: [
        ["extensionDevelopmentPath", uri(root)],
        ["extensionTestsPath", uri(suite)]
      ],
      // VS Code tells so that the extension host has ended, also if it crashed: what counts is the file of results.
      prepare: (page) => page.exposeFunction("codeAutomationExit", (ended: number) => void (code = ended))
    })
    for (let i = 0; code === undefined && i < 3000; i++) await sleep(100)
    await window.shot("suite")
    await window.close()
    if (!existsSync(file)) {
      const why = `the suite did not run to its end (code ${code}): see ${server.log}`
      results.push({ title: "suite in the extension host", status: "failed", message: why })
      return
    }
    const found: ReadonlyArray<Result> = JSON.parse(readFileSync(file, "utf8"))
    for (const result of found) {
      results.push({ ...result, title: `suite: ${result.title}` })
      say(`${result.status}: suite: ${result.title}`)
      if (result.message !== undefined) console.log(result.message)
    }
  } finally {
    await server.stop()
  }
}

/** Those that scenarios share: each has a window, an extension host and a workspace of its own. */
const servers = new Map<boolean, Promise<Server>>()
const serverFor = (trust: boolean): Promise<Server> => {
  let server = servers.get(trust)
  if (server === undefined) {
    server = startServer({ name: trust ? "untrusted" : "trusted", out, vsix, trust, settings })
    servers.set(trust, server)
  }
  return server
}

/** Plays a scenario, and says why it failed if it did. */
const attempt = async (
  browser: Browser,
  { name, run, trust = false }: Scenario
): Promise<string | undefined> => {
  const server = await serverFor(trust)
  const began = performance.now()
  const workspace = copyWorkspace()
  const window = await openWindow(browser, server, workspace, { out })
  try {
    await run({ ...window, workspace, say })
    say(`${name}: ${((performance.now() - began) / 1000).toFixed(1)} s`)
    return undefined
  } catch (error) {
    // What was said shows why, more often than not.
    await window.page
      .locator('.statusbar-item[id="status.notifications"]')
      .click({ timeout: 5000 })
      .catch(String)
    await window.shot(`failed-${name.replaceAll(/\W+/g, "-")}`)
    return String((error as Error).stack ?? error)
  } finally {
    await window.close()
  }
}

const conclude = (name: string, failure: string | undefined): void => {
  const title = `scenario: ${name}`
  results.push({
    title,
    ...(failure === undefined ? { status: "passed" } : { status: "failed", message: failure })
  })
  say(failure === undefined ? `passed: ${title}` : `FAILED: ${title}\n${failure}`)
}

/** Takes one after the other, in as many lanes. */
const inLanes = async (lanes: number, jobs: ReadonlyArray<() => Promise<void>>): Promise<void> => {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < jobs.length) await jobs[next++]!()
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}

const runAll = async (browser: Browser): Promise<void> => {
  const chosen = scenarios.filter(({ name }) => only.test(`scenario: ${name}`))
  const again: Array<Scenario> = []
  const jobs = chosen.map((scenario) => async () => {
    const failure = await attempt(browser, scenario)
    if (failure === undefined) return conclude(scenario.name, undefined)
    say(`failed at first: scenario: ${scenario.name}\n${failure}`)
    again.push(scenario)
  })
  if (only.test("suite")) {
    const suite = await bundleSuite()
    jobs.unshift(() => runSuite(browser, suite))
  }
  await inLanes(Number(values.lanes), jobs)
  // A window on a busy machine may be too slow once. What is wrong is so twice, also when nothing runs beside it.
  for (const scenario of again) conclude(scenario.name, await attempt(browser, scenario))
  if (again.length > 0) say(`tried twice: ${again.map(({ name }) => name).join("; ")}`)
}

/** Like the reports of Vitest, so that the totals can add them up. */
const report = (): boolean => {
  const success = results.length > 0 && results.every(({ status }) => status === "passed")
  mkdirSync(join(root, "test-results"), { recursive: true })
  const testResults = [{ name: "e2e", status: success ? "passed" : "failed", assertionResults: results }]
  writeFileSync(join(root, "test-results/e2e.json"), JSON.stringify({ success, testResults }, null, 2))
  const passed = results.filter(({ status }) => status === "passed").length
  say(`${passed} passed, ${results.length - passed} failed`)
  return success
}

rmSync(join(root, "test-results/e2e.json"), { force: true })
await prepare(100_000)
const browser = await openBrowser()
try {
  await runAll(browser)
} finally {
  await browser.close()
  for (const server of servers.values()) await (await server).stop()
}
process.exit(report() ? 0 : 1)
