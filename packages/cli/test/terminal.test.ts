/** The command in a pseudo-terminal: that of `script`, which every Debian has (it is of util-linux, package bsdutils). */
import { spawn } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, beforeAll, it } from "vitest"
import { bin, environment, folder, node, project, removeFolders, seed } from "./support/command.ts"

const store = folder()
beforeAll(() => seed(store))
afterAll(removeFolders)

interface Session {
  readonly ended: Promise<{ readonly code: number | null; readonly screen: string }>
  /** Types something as soon as a text is on the screen. */
  readonly type: (when: string, keys: string) => Promise<void>
}

/** Executes the command in a terminal. Its exit code is that of the command. */
const terminal = (command: string, env: NodeJS.ProcessEnv = {}): Session => {
  const line = `stty cols 120 rows 40; ${node.join(" ")} ${bin} ${command}`
  const child = spawn("script", ["--quiet", "--return", "--flush", "--command", line, "/dev/null"], {
    cwd: project,
    env: { ...environment(store), ...env },
    stdio: "pipe"
  })
  let screen = ""
  const watchers = new Set<() => void>()
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    screen += text
    for (const watch of watchers) watch()
  })
  const ended = new Promise<{ code: number | null; screen: string }>((done, failed) => {
    child.on("error", failed)
    child.on("close", (code) => done({ code, screen }))
  })
  const type = (when: string, keys: string) =>
    Promise.race([
      new Promise<void>((done) => {
        const watch = () => {
          if (!screen.includes(when)) return
          watchers.delete(watch)
          child.stdin.write(keys)
          done()
        }
        watchers.add(watch)
        watch()
      }),
      ended.then(({ screen: all }) => {
        if (!all.includes(when)) throw new Error(`"${when}" was never on the screen:\n${all}`)
      })
    ])
  return { ended, type }
}

it("there are colours in a terminal, and none if nobody wants them", async () => {
  const coloured = await terminal(`runs --store ${store}`).ended
  assert.strictEqual(coloured.code, 0)
  assert.include(coloured.screen, "\u001b[31m✖ failed\u001b[39m")
  const plain = await terminal(`runs --store ${store}`, { NO_COLOR: "1" }).ended
  assert.include(plain.screen, "✖ failed")
  assert.notInclude(plain.screen, "\u001b[3")
})

it("a person is asked for the answer, sees how the run goes on, and what came of it", async () => {
  const session = terminal("answer waits-1 --work --actor ada")
  await session.type("Ship it?", "ship\r")
  const { code, screen } = await session.ended
  assert.strictEqual(code, 0, screen)
  assert.include(screen, "completed")
  assert.include(screen, '"verdict": "ship"')
})

it("a line tells where a run is, until it has ended; elsewhere it is printed", async () => {
  const gate = join(folder(), "open")
  const input = JSON.stringify({ ticket: `after:${gate}`, ask: false })
  const session = terminal(`run triage --id watched --input '${input}'`)
  await session.type("at gather, 0 steps", "")
  const piped = spawn(
    node[0],
    [...node.slice(1), bin, "run", "triage", "--id", "watched", "--input", input],
    {
      cwd: project,
      env: environment(store),
      stdio: ["ignore", "ignore", "pipe"]
    }
  )
  const closed = new Promise((done) => piped.on("close", done))
  let told = ""
  piped.stderr.setEncoding("utf8").on("data", (text: string) => {
    told += text
    // It sees the same run.
    if (told.includes("at gather, 0 steps\n")) writeFileSync(gate, "")
  })
  const { code, screen } = await session.ended
  assert.strictEqual(code, 0, screen)
  // The line is drawn anew in its place.
  const drawn = screen.split("\r\u001b[K")
  assert.isTrue(drawn.some((line) => line.includes("at gather, 0 steps")))
  assert.include(drawn.at(-1), "completed")
  assert.strictEqual(await closed, 0)
  assert.notInclude(told, "\u001b")
})

it("Ctrl-C ends a worker in good order", async () => {
  const session = terminal("worker")
  await session.type("executes triage", "\u0003")
  const { code, screen } = await session.ended
  assert.strictEqual(code, 130, screen)
})
