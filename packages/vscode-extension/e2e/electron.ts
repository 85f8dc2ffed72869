// Runs the suite of the extension host in a desktop VS Code, which is downloaded if none is named:
//
//   node e2e/electron.ts [--vscode path-of-its-executable | --version 1.101.0]
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { downloadAndUnzipVSCode, runTests } from "@vscode/test-electron"
import { bundle, bundleSuite, copyWorkspace, makeWorkspace, out, root } from "./prepare.ts"

const { values } = parseArgs({
  options: { vscode: { type: "string" }, version: { type: "string", default: "stable" } }
})

/** The path of the executable, or the end of this process. */
const desktop = async (): Promise<string> => {
  if (values.vscode !== undefined) {
    const path = resolve(values.vscode)
    if (existsSync(path)) return path
    console.error(`There is no VS Code at ${path}.`)
    process.exit(2)
  }
  try {
    return await downloadAndUnzipVSCode({
      version: values.version,
      cachePath: join(root, "build/vscode-desktop"),
      extensionDevelopmentPath: root
    })
  } catch (error) {
    console.error(
      [
        `VS Code (${values.version}) could not be downloaded: ${error instanceof Error ? error.message : String(error)}`,
        "Is this machine connected to the internet? An installed one can be named:",
        "  npm run test:electron -- --vscode /path/to/its/executable",
        "The same suite runs without a desktop in `npm run check:editor`."
      ].join("\n")
    )
    process.exit(2)
  }
}

const vscodeExecutablePath = await desktop()
await makeWorkspace(1000)
await bundle()
const suite = await bundleSuite()
const results = join(out, "electron.json")
// Short, since sockets lie in it, and gone afterwards.
const profile = mkdtempSync(join(tmpdir(), "wm-"))
let problem: unknown
try {
  await runTests({
    vscodeExecutablePath,
    extensionDevelopmentPath: root,
    extensionTestsPath: suite,
    extensionTestsEnv: { WAYMARK_E2E_RESULTS: results },
    launchArgs: [
      copyWorkspace(),
      `--user-data-dir=${join(profile, "user")}`,
      `--extensions-dir=${join(profile, "extensions")}`,
      "--disable-workspace-trust",
      "--disable-updates",
      "--skip-welcome",
      "--skip-release-notes"
    ]
  })
} catch (error) {
  problem = error
} finally {
  rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
}

// What counts is what the suite wrote: VS Code also ends with 0 if its extension host crashed.
const found: ReadonlyArray<{ readonly title: string; readonly status: string; readonly message?: string }> =
  existsSync(results) ? JSON.parse(readFileSync(results, "utf8")) : []
for (const { message, status, title } of found)
  console.log(`${status}: ${title}${message === undefined ? "" : `\n${message}`}`)
const passed = found.filter(({ status }) => status === "passed").length
console.log(`${passed} passed, ${found.length - passed} failed`)
if (found.length === 0) console.error("The suite did not run to its end.")
if (problem !== undefined) console.error(problem)
process.exitCode = problem === undefined && found.length > 0 && passed === found.length ? 0 : 1
