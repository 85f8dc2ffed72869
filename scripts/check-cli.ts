// Begins a project as a user does: in an empty folder, with the packages as they would be published, `waymark init`, then
// the commands that it names. Needs the packages built, and a registry for what they need.
import { spawnSync } from "node:child_process"
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

const root = resolve(import.meta.dirname, "..")
const packed = ["core", "store-kit", "store-fs", "store-sqljs", "testing", "cli"]

/** The versions that this repository is tested with, so that a new release of others breaks nothing here. */
const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly devDependencies: { readonly [name: string]: string }
}
const pinned = [
  "effect",
  "@effect/platform-node",
  "@effect/vitest",
  "vitest",
  "typescript",
  "@types/node"
].map((name) => `${name}@${devDependencies[name]}`)

const folder = mkdtempSync(join(tmpdir(), "waymark-init-"))

class Failed extends Error {}

/** Executes a program, and gives what it printed on standard output. */
const run = (cwd: string, program: string, ...args: ReadonlyArray<string>): string => {
  const { error, status, stderr, stdout } = spawnSync(program, args, {
    cwd,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, NODE_OPTIONS: "" }
  })
  const line = [program, ...args].join(" ").slice(0, 200)
  if (status !== 0) throw new Failed(`${line}\nended with ${status ?? error}:\n${stdout}\n${stderr}`)
  return stdout
}

const expect = (what: string, holds: boolean, seen: string): void => {
  if (!holds) throw new Failed(`${what}:\n${seen}`)
  console.log(`${what}: yes`)
}

const main = (): void => {
  const tarballs = join(folder, "tarballs")
  const project = join(folder, "my-flows")
  for (const one of [tarballs, project]) mkdirSync(one)
  const workspaces = packed.flatMap((name) => ["--workspace", `@waymark/${name}`])
  run(root, "npm", "pack", "--silent", "--pack-destination", tarballs, ...workspaces)
  const files = globSync("*.tgz", { cwd: tarballs }).map((file) => join(tarballs, file))
  expect("all packages are packed", files.length === packed.length, files.join("\n"))

  run(
    project,
    "npm",
    "install",
    "--prefer-offline",
    "--no-audit",
    "--no-fund",
    "--save-dev",
    ...files,
    ...pinned
  )
  run(project, "npx", "--no-install", "waymark", "init")
  const output = run(project, "npm", "start", "--silent")
  expect("the flow of the new project is executed", output.includes('"verdict": "accepted"'), output)
  const { runs } = JSON.parse(run(project, "npx", "--no-install", "waymark", "runs", "--json")) as {
    readonly runs: ReadonlyArray<{ readonly run: string; readonly status: string }>
  }
  expect("its run is there", runs.length === 1 && runs[0]!.status === "completed", JSON.stringify(runs))
  run(project, "npx", "--no-install", "waymark", "test-from", runs[0]!.run)
  const tests = run(project, "npm", "test")
  expect("its tests pass, and that which was made of the run", /Tests.*3 passed/.test(tests), tests)
  run(project, "npm", "run", "typecheck")
  expect("its code is well typed", true, "")
  const doctor = run(project, "npx", "--no-install", "waymark", "doctor")
  expect("the doctor finds one copy of each package", doctor.split("one copy").length === 3, doctor)
}

try {
  main()
} catch (error) {
  if (!(error instanceof Failed)) throw error
  console.error(error.message)
  process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
