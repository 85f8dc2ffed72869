/** What the tests in a real VS Code need before they begin: the editor, the packaged extension, a workspace with runs. */
import { spawn } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { build } from "esbuild"
import { ensure } from "./harness/install.ts"

const here = import.meta.dirname
/** The package. */
export const root = resolve(here, "..")
/** Where logs and pictures go. */
export const out = join(root, "build/e2e")
export const vsix = join(root, "build/waymark.vsix")

const started = performance.now()
export const say = (text: string): void =>
  console.log(`[${((performance.now() - started) / 1000).toFixed(1)} s] ${text}`)

/** Executes a module, and says nothing unless it goes wrong. */
const node = (args: ReadonlyArray<string>, what: string): Promise<void> =>
  new Promise((done, fail) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] })
    child.on("error", fail)
    child.on("exit", (code) => {
      if (code !== 0) fail(new Error(`${what} failed with ${code}`))
      else {
        say(what)
        done()
      }
    })
  })

const prototype = join(out, "workspace")
/** The stores are made once, each test gets a copy; `steps` is the length of the long run. A plain one has nothing odd in it. */
export const makeWorkspace = (steps: number, plain = false): Promise<void> => {
  rmSync(out, { recursive: true, force: true })
  cpSync(join(here, "workspace"), prototype, { recursive: true })
  const fixtures = join(here, "fixtures.ts")
  return node(
    [
      "--conditions=@waymark/source",
      fixtures,
      prototype,
      "--steps",
      String(steps),
      ...(plain ? ["--plain"] : [])
    ],
    "workspace made"
  )
}

const copies: Array<string> = []
/** A workspace of its own; it is gone when this process ends. */
export const copyWorkspace = (name = "ws"): string => {
  const copy = realpathSync(mkdtempSync(join(tmpdir(), "wmw-")))
  copies.push(copy)
  const workspace = join(copy, name)
  cpSync(prototype, workspace, { recursive: true })
  // What the workspace's own code needs is installed there: `waymark` and the packages, as they were built.
  symlinkSync(resolve(root, "../../node_modules"), join(workspace, "node_modules"), "dir")
  return workspace
}
/** One with nothing in it. */
export const emptyWorkspace = (name: string): string => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "wmw-")))
  copies.push(folder)
  const workspace = join(folder, name)
  mkdirSync(workspace)
  return workspace
}
process.on("exit", () => {
  for (const copy of copies) rmSync(copy, { recursive: true, force: true })
})

/** The suite that is executed inside the extension host, as one file. */
export const bundleSuite = async (): Promise<string> => {
  const outfile = join(out, "suite.cjs")
  await build({
    entryPoints: [join(here, "suite/index.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "cjs",
    external: ["vscode", "mocha"],
    logLevel: "warning"
  })
  return outfile
}

/** The extension, to be run from its folder. */
export const bundle = (): Promise<void> => node(["build.ts"], "extension bundled")

/** For a real VS Code that needs no display: installs it, and packages the extension. */
export const prepare = async (steps: number, plain = false): Promise<void> => {
  // The installation mostly waits for the network, the others do not.
  await Promise.all([
    makeWorkspace(steps, plain),
    ensure().then(() => node(["package.ts"], "extension packaged"))
  ])
}
