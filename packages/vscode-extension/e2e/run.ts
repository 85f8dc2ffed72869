// Tests the extension in a real VS Code: a suite inside its extension host, then scenarios on the packaged VSIX, as a person
// would do them. Installs what it needs. Leaves test-results/e2e.json, which the totals count.
//
//   node e2e/run.ts [--only pattern]
import { execFileSync } from "node:child_process"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { build } from "esbuild"
import type { Browser } from "playwright-core"
import { openBrowser, openWindow } from "./harness/browser.ts"
import { ensure } from "./harness/install.ts"
import { startServer } from "./harness/server.ts"
import type { Server } from "./harness/server.ts"
import { scenarios } from "./scenarios/index.ts"

interface Result {
  readonly title: string
  readonly status: string
  readonly message?: string
}

const { values } = parseArgs({
  options: { only: { type: "string", default: "" } }
})
const only = new RegExp(values.only)
const here = import.meta.dirname
const root = resolve(here, "..")
const out = resolve(root, "build/e2e")
const results: Array<Result> = []
const started = performance.now()
const say = (text: string) => console.log(`[${((performance.now() - started) / 1000).toFixed(1)} s] ${text}`)

/** The stores are made once; each test gets a copy of the workspace. */
const prototype = join(out, "workspace")
const makeWorkspace = (): void => {
  rmSync(out, { recursive: true, force: true })
  cpSync(join(here, "workspace"), prototype, { recursive: true })
  execFileSync(
    process.execPath,
    ["--conditions=@waymark/source", join(here, "fixtures.ts"), prototype, "--steps", "100000"],
    { stdio: "inherit" }
  )
}
const copies: Array<string> = []
const copyWorkspace = (): string => {
  const copy = realpathSync(mkdtempSync(join(tmpdir(), "wmw-")))
  copies.push(copy)
  const workspace = join(copy, "ws")
  cpSync(prototype, workspace, { recursive: true })
  return workspace
}

const bundleSuite = (): Promise<unknown> =>
  build({
    entryPoints: [join(here, "suite/index.ts")],
    outfile: join(out, "suite.cjs"),
    bundle: true,
    platform: "node",
    format: "cjs",
    external: ["vscode", "mocha"],
    logLevel: "warning"
  })

const runSuite = async (browser: Browser): Promise<void> => {
  const file = join(out, "suite.json")
  const server = await startServer({ name: "suite", out, suites: true, env: { WAYMARK_E2E_RESULTS: file } })
  const uri = (path: string) => `vscode-remote://remote${path}`
  try {
    let code: number | undefined
    const window = await openWindow(browser, server, copyWorkspace(), {
      out,
      payload: [
        ["extensionDevelopmentPath", uri(root)],
        ["extensionTestsPath", uri(join(out, "suite.cjs"))]
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

/** Plays a scenario in a workspace and a window of its own, and says why it failed if it did. */
const attempt = async (
  browser: Browser,
  server: Server,
  name: string,
  run: (typeof scenarios)[number]["run"]
): Promise<string | undefined> => {
  const began = performance.now()
  const workspace = copyWorkspace()
  const window = await openWindow(browser, server, workspace, { out })
  try {
    await run({ ...window, workspace, say })
    say(`${name}: ${((performance.now() - began) / 1000).toFixed(1)} s`)
    return undefined
  } catch (error) {
    await window.shot(`failed-${name.replaceAll(/\W+/g, "-")}`)
    return String((error as Error).stack ?? error)
  } finally {
    await window.close()
  }
}

const runScenarios = async (browser: Browser, vsix: string): Promise<void> => {
  const servers = new Map<boolean, Server>()
  try {
    for (const { name, run, trust = false } of scenarios) {
      const title = `scenario: ${name}`
      if (!only.test(title)) continue
      let server = servers.get(trust)
      if (server === undefined) {
        server = await startServer({ name: trust ? "untrusted" : "trusted", out, vsix, trust })
        servers.set(trust, server)
      }
      let failure = await attempt(browser, server, name, run)
      if (failure !== undefined) {
        // A window on a busy machine may be too slow once; what is wrong is so twice.
        say(`failed at first: ${title}\n${failure}`)
        failure = await attempt(browser, server, name, run)
      }
      results.push({
        title,
        ...(failure === undefined ? { status: "passed" } : { status: "failed", message: failure })
      })
      say(failure === undefined ? `passed: ${title}` : `FAILED: ${title}\n${failure}`)
    }
  } finally {
    for (const server of servers.values()) await server.stop()
  }
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
ensure()
makeWorkspace()
say("workspace made")
execFileSync(process.execPath, ["package.ts"], { cwd: root, stdio: ["ignore", "ignore", "inherit"] })
await bundleSuite()
const browser = await openBrowser()
try {
  if (only.test("suite")) await runSuite(browser)
  await runScenarios(browser, join(root, "build/waymark.vsix"))
} finally {
  await browser.close()
  for (const copy of copies) rmSync(copy, { recursive: true, force: true })
}
process.exit(report() ? 0 : 1)
