/**
 * A browser for tests, whose parts can be killed, and a server on this machine for what it shows.
 */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { createInterface } from "node:readline"
import { build } from "esbuild"
import { chromium } from "playwright-core"
import type { Browser, Page } from "playwright-core"

/** Where Chromium is: what `CHROMIUM` says, or one that is installed (see scripts/install-chromium.sh). */
const findChromium = (): string => {
  const names = ["chromium", "chromium-browser", "google-chrome"]
  const installed = (process.env["PATH"] ?? "")
    .split(":")
    .flatMap((directory) => names.map((name) => join(directory, name)))
  for (const path of [process.env["CHROMIUM"] ?? "", ...installed]) {
    if (path !== "" && statSync(path, { throwIfNoEntry: false })?.isFile() === true) return path
  }
  throw new Error("there is no Chromium: run scripts/install-chromium.sh, or name one in CHROMIUM")
}

export interface Site {
  readonly url: string
  readonly close: () => Promise<void>
}

/** Serves a page that starts the program in a worker, and the program. */
export const serve = async (): Promise<Site> => {
  const { outputFiles } = await build({
    entryPoints: [resolve(import.meta.dirname, "program.ts")],
    bundle: true,
    write: false,
    platform: "browser",
    format: "esm",
    target: "es2022",
    conditions: ["@waymark/source"]
  })
  const wasm = createRequire(import.meta.url).resolve("sql.js/dist/sql-wasm-browser.wasm")
  const page = `<!doctype html><title>store</title><script type="module">
    const worker = new Worker("/program.js", { type: "module" })
    worker.onmessage = ({ data }) => window.told(data)
    worker.onerror = ({ message }) => window.told({ what: "failed", message })
    window.ask = (asked) => worker.postMessage(asked)
  </script>`
  const files = new Map<string, readonly [type: string, content: string | Uint8Array]>([
    ["/", ["text/html", page]],
    ["/program.js", ["text/javascript", outputFiles[0]!.text]],
    ["/sql-wasm-browser.wasm", ["application/wasm", await readFile(wasm)]]
  ])
  const server = createServer(({ url }, response) => {
    const found = files.get(url ?? "")
    if (found === undefined) return void response.writeHead(404).end()
    response.writeHead(200, { "content-type": found[0] }).end(found[1])
  })
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        server.closeAllConnections()
      })
  }
}

/** What the program in a tab told. */
export interface Tab<Told> {
  readonly told: ReadonlyArray<Told>
  /** Waits until something that it told is like this. */
  readonly until: (matches: (told: Told) => boolean) => Promise<Told>
  readonly ask: (asked: unknown) => Promise<void>
}

export interface Profile {
  /** Starts a browser with what the one before it left. */
  readonly start: () => Promise<Running>
  readonly remove: () => void
}

export interface Running {
  readonly open: <Told>(url: string) => Promise<Tab<Told>>
  /** Kills the processes that show pages, with all that runs in them. */
  readonly killTabs: () => Promise<void>
  /** Kills the browser itself, and everything that belongs to it. */
  readonly kill: () => Promise<void>
}

const makeTab = async <Told>(page: Page, url: string): Promise<Tab<Told>> => {
  const told: Array<Told> = []
  let look = (): void => {}
  await page.exposeFunction("told", (each: Told) => {
    told.push(each)
    look()
  })
  await page.goto(url)
  return {
    told,
    until: (matches) =>
      new Promise((done) => {
        look = () => {
          const found = told.find(matches)
          if (found === undefined) return
          look = () => {}
          done(found)
        }
        look()
      }),
    ask: async (asked) => {
      await page.evaluate(
        (each) => (globalThis as unknown as { ask: (asked: unknown) => void }).ask(each),
        asked
      )
    }
  }
}

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((done) => {
    if (child.exitCode !== null || child.signalCode !== null) return done()
    child.once("exit", () => done())
  })

/** Everything that a browser keeps, in a directory of its own. */
export const makeProfile = (): Profile => {
  const directory = mkdtempSync(join(tmpdir(), "waymark-browser-"))

  const start = async (): Promise<Running> => {
    const child = spawn(
      findChromium(),
      [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
        "--remote-debugging-port=0",
        `--user-data-dir=${directory}`,
        "about:blank"
      ],
      { detached: true, stdio: ["ignore", "ignore", "pipe"] }
    )
    const address = await new Promise<string>((done, failed) => {
      const lines: Array<string> = []
      createInterface(child.stderr).on("line", (line) => {
        lines.push(line)
        const found = /^DevTools listening on (ws:.*)$/.exec(line)?.[1]
        if (found !== undefined) done(found)
      })
      child.once("error", failed)
      child.once("exit", () => failed(new Error(`Chromium did not start:\n${lines.slice(-20).join("\n")}`)))
    })
    const browser: Browser = await chromium.connectOverCDP(address)
    return {
      open: async (url) => {
        const page = await browser.contexts()[0]!.newPage()
        return makeTab(page, url)
      },
      killTabs: async () => {
        const session = await browser.newBrowserCDPSession()
        const renderers = async (): Promise<ReadonlyArray<number>> => {
          const { processInfo } = await session.send("SystemInfo.getProcessInfo")
          return processInfo.filter(({ type }) => type === "renderer").map(({ id }) => id)
        }
        const killed = await renderers()
        for (const id of killed) process.kill(id, "SIGKILL")
        // Until the browser knows, too: it would open the next tab in one of them.
        while ((await renderers()).some((id) => killed.includes(id)));
      },
      kill: async () => {
        process.kill(-child.pid!, "SIGKILL")
        await ended(child)
        await browser.close()
      }
    }
  }

  return {
    start,
    remove: () => rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  }
}
