/** A VS Code server with a profile of its own, and its certain end. */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  closeSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { home } from "./install.ts"

export interface ServerOptions {
  /** What its output is called. */
  readonly name: string
  /** Where logs go. */
  readonly out: string
  /** A packaged extension to install. */
  readonly vsix?: string
  readonly settings?: { readonly [key: string]: unknown }
  /** Whether folders have to be trusted first. */
  readonly trust?: boolean
  /** For suites inside the extension host; it shows no notifications then. */
  readonly suites?: boolean
  readonly env?: { readonly [key: string]: string }
}

export interface Server {
  readonly port: number
  /** A short temporary folder that is gone with the server. */
  readonly folder: string
  readonly log: string
  readonly stop: () => Promise<void>
}

const settings = {
  "workbench.startupEditor": "none",
  "workbench.tips.enabled": false,
  "workbench.enableExperiments": false,
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "chat.disableAIFeatures": true,
  "window.commandCenter": false,
  "telemetry.telemetryLevel": "off",
  "update.mode": "none",
  "extensions.autoUpdate": false,
  "extensions.autoCheckUpdates": false,
  "git.enabled": false,
  "remote.autoForwardPorts": false,
  "files.autoSave": "off"
}

const groups = new Set<number>()
const signal = (pid: number, name: NodeJS.Signals | 0): boolean => {
  try {
    process.kill(-pid, name)
    return true
  } catch {
    groups.delete(pid)
    return false
  }
}
/** The file watcher and the extension hosts outlive their server: the whole group is ended. */
process.on("exit", () => {
  for (const pid of groups) signal(pid, "SIGKILL")
})

const end = async (pid: number): Promise<void> => {
  for (const name of ["SIGTERM", "SIGKILL"] as const) {
    signal(pid, name)
    for (let i = 0; i < 30 && signal(pid, 0); i++) await sleep(100)
  }
}

export const startServer = async (options: ServerOptions): Promise<Server> => {
  // Short, since sockets lie in it.
  const folder = mkdtempSync(join(tmpdir(), "wm-"))
  const put = (path: string, text: string) => {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  for (const name of ["extensions", "t"]) mkdirSync(join(folder, name))
  const all = { ...settings, "security.workspace.trust.enabled": options.trust === true, ...options.settings }
  // Those of the person, and those of the machine, which the former cannot set.
  for (const scope of ["User", "Machine"])
    put(join(folder, `server/data/${scope}/settings.json`), JSON.stringify(all, null, 2))
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    ...options.env,
    XDG_RUNTIME_DIR: folder,
    TMPDIR: join(folder, "t"),
    EXTENSIONS_GALLERY: "{}"
  }
  for (const key of Object.keys(env)) {
    if (/^(VSCODE_(?!TEST_)|ELECTRON_|NODE_OPTIONS$)/.test(key)) delete env[key]
  }
  mkdirSync(options.out, { recursive: true })
  const log = join(options.out, `${options.name}.log`)
  rmSync(log, { force: true })
  const start = (...args: ReadonlyArray<string>): ChildProcess => {
    const output = openSync(log, "a")
    const dirs = ["--server-data-dir", join(folder, "server"), "--extensions-dir", join(folder, "extensions")]
    const child = spawn(
      join(home, "node/bin/node"),
      [join(home, "vscode/out/server-main.js"), ...args, ...dirs],
      {
        cwd: folder,
        env,
        detached: true,
        stdio: ["ignore", output, output]
      }
    )
    closeSync(output)
    if (child.pid !== undefined) groups.add(child.pid)
    return child
  }

  if (options.vsix !== undefined) {
    const code = await new Promise((done) =>
      start("--install-extension", options.vsix!, "--force").on("exit", done)
    )
    if (code !== 0) throw new Error(`${options.vsix} cannot be installed: see ${log}`)
  }
  const server = start(
    "--host",
    "127.0.0.1",
    "--port",
    "0",
    "--without-connection-token",
    "--accept-server-license-terms",
    "--disable-telemetry",
    "--disable-experiments",
    "--disable-getting-started-override",
    "--disable-update-check",
    ...(options.trust === true ? [] : ["--disable-workspace-trust"]),
    // Without it a built VS Code ignores which suite to run; with it, it shows no notifications.
    ...(options.suites === true ? ["--enable-smoke-test-driver"] : [])
  )
  let port: string | undefined
  for (let i = 0; port === undefined; i++) {
    if (server.exitCode !== null || i > 600) throw new Error(`the server did not start: see ${log}`)
    await sleep(50)
    port = /Extension host agent listening on (\d+)/.exec(readFileSync(log, "utf8"))?.[1]
  }
  return {
    port: Number(port),
    folder,
    log,
    stop: async () => {
      if (server.pid !== undefined) await end(server.pid)
      const logs = join(folder, "server/data/logs")
      if (existsSync(logs)) cpSync(logs, join(options.out, `${options.name}-logs`), { recursive: true })
      rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
    }
  }
}
