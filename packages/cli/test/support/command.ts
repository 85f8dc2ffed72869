/** The command as a process, and stores to try it on. */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { Runs, type Store, type Visit, Wait, Worker } from "@waymark/core"
import { FsStore } from "@waymark/store-fs"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer, Schema } from "effect"
import { Command, TerminalCapabilities } from "effect/cli"
import { endingOf } from "../../src/internal/ending.ts"
import { Streams } from "../../src/internal/output.ts"
import { root } from "../../src/internal/root.ts"
import { version } from "../../src/internal/version.ts"
import { Search, Triage, TriageLayer } from "../fixtures/project/flows.ts"

export const bin = resolve(import.meta.dirname, "../../src/bin.ts")
export const project = resolve(import.meta.dirname, "../fixtures/project")

/** How Node is called to execute the command's sources. */
export const node = [process.execPath, "--conditions=@waymark/source"] as const

const folders: Array<string> = []

/** A folder that is gone after the tests. */
export const folder = (): string => {
  const made = mkdtempSync(join(tmpdir(), "waymark-cli-"))
  folders.push(made)
  return made
}

export const removeFolders = (): void => {
  for (const one of folders) rmSync(one, { recursive: true, force: true })
}

/** Compiled once for all processes of a test file. */
const compiled = folder()

export const environment = (store?: string): NodeJS.ProcessEnv => {
  const { CI: _ci, FORCE_COLOR: _force, NO_COLOR: _no, ...rest } = process.env
  return {
    ...rest,
    TERM: "xterm",
    NODE_COMPILE_CACHE: compiled,
    ...(store === undefined ? undefined : { WAYMARK_TEST_STORE: store })
  }
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Options {
  readonly cwd?: string
  readonly store?: string
  readonly input?: string
  readonly env?: NodeJS.ProcessEnv
}

/** Executes a program with pipes, to its end. */
export const execute = (
  command: readonly [string, ...ReadonlyArray<string>],
  options: Options = {}
): Promise<Ended> =>
  new Promise((done, failed) => {
    const [program, ...args] = command
    const child = spawn(program, args, {
      cwd: options.cwd ?? project,
      env: { ...environment(options.store), ...options.env },
      stdio: "pipe"
    })
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text))
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text))
    child.on("error", failed)
    child.on("close", (code) => done({ code, stdout, stderr }))
    child.stdin.end(options.input ?? "")
  })

/** Executes the command. */
export const waymark = (args: ReadonlyArray<string>, options?: Options): Promise<Ended> =>
  execute([...node, bin, ...args], options)

/** Executes the command in this process, which is faster and comes to the same as long as no configuration is loaded. */
export const here = async (...args: ReadonlyArray<string>): Promise<Ended> => {
  let stdout = ""
  let stderr = ""
  const streams = {
    out: (text: string) => void (stdout += text),
    error: (text: string) => void (stderr += text),
    reserve: () => {}
  }
  const exit = await Effect.runPromiseExit(
    Command.runWith(root, { version })(args).pipe(
      Effect.provideService(Streams, streams),
      Effect.provideService(TerminalCapabilities.TerminalCapabilities, {
        canColor: false,
        canAnimate: false,
        canPrompt: false
      }),
      Effect.provide(NodeServices.layer)
    )
  )
  if (exit._tag === "Success") return { code: 0, stdout, stderr }
  const { code, told } = endingOf(exit.cause)
  return {
    code,
    stdout,
    stderr: told === undefined ? stderr : `${stderr}${JSON.stringify({ error: told })}\n`
  }
}

/** What a command prints for programs, executed in this process. */
export const jsonHere = async (...args: ReadonlyArray<string>): Promise<any> => {
  const { stderr, stdout } = await here(...args, "--json")
  if (stdout === "") throw new Error(`nothing on standard output; on standard error: ${stderr}`)
  return JSON.parse(stdout)
}

/** What a command prints for programs. */
export const json = async (args: ReadonlyArray<string>, options?: Options): Promise<any> => {
  const { stderr, stdout } = await waymark([...args, "--json"], options)
  if (stdout === "") throw new Error(`nothing on standard output; on standard error: ${stderr}`)
  return JSON.parse(stdout)
}

/** Works with a store in this process, with a worker for the flow of the project. */
export const within = <A, E>(
  directory: string,
  effect: Effect.Effect<A, E, Runs.Runs | Worker.Worker>,
  store: Layer.Layer<Store.Store, unknown> = FsStore.layer({ directory })
): Promise<A> =>
  Effect.runPromise(
    Effect.provide(
      effect,
      Worker.layer({ flows: [Triage] }).pipe(Layer.provide(TriageLayer), Layer.provide(store))
    )
  )

/** A store with a run that completed, one that asks, and one that failed. */
export const seed = (directory: string): Promise<void> =>
  within(
    directory,
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      yield* runs.execute(Triage, { ticket: "t1", ask: false }, { id: "done-1", tags: ["first"] })
      yield* runs.start(Triage, { ticket: "t2", ask: true }, { id: "waits-1" })
      yield* Runs.awaitUntil("waits-1", ({ status }) => status === "waiting")
      yield* Effect.flip(runs.execute(Triage, { ticket: "unknown", ask: true }, { id: "failed-1" }))
    })
  )

/** What the project's code did on other days: it searches for something else, and weighs without noting what. */
const older = (gather: Effect.Effect<unknown, never, Visit.Visit> = Effect.void) =>
  Triage.toLayer({
    gather: Effect.fnUntraced(function* ({ next, state }) {
      if (state.notes.length >= 1) return next.to("read")
      const found = yield* Search.call({ query: "all of it" })
      yield* gather
      return next.to("gather", { notes: found })
    }),
    read: ({ next, state }) => Effect.succeed(next.each(state.notes, "weigh")),
    weigh: ({ next }) => Effect.succeed(next.to("decide", { notes: ["weighed"] })),
    decide: ({ next }) => Effect.succeed(next.end({ verdict: "ship" })),
    escalate: ({ next }) => Effect.succeed(next.end({ verdict: "hold" }))
  }).pipe(Layer.provide(Search.toLayer(() => Effect.succeed(["one", "two"]))))

const withinOlder = (
  directory: string,
  effect: Effect.Effect<unknown, unknown, Runs.Runs>,
  handlers: ReturnType<typeof older>
): Promise<unknown> => {
  const worker = Worker.layer({ flows: [Triage] }).pipe(
    Layer.provide(handlers),
    Layer.provide(FsStore.layer({ directory }))
  )
  return Effect.runPromise(Effect.provide(effect, worker))
}

/** Executes a run with the code of other days. */
export const seedOlder = (directory: string, id: string): Promise<unknown> =>
  withinOlder(
    directory,
    Runs.Runs.use((runs) => runs.execute(Triage, { ticket: "t", ask: false }, { id })),
    older()
  )

/** A run that began with the code of other days, slept and waited, and is paused since the project's went on with it. */
export const seedDiverged = async (directory: string, id: string): Promise<void> => {
  const waiting = Wait.sleep("20 millis").pipe(Effect.andThen(Wait.event("go", { schema: Schema.String })))
  await withinOlder(
    directory,
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      yield* runs.start(Triage, { ticket: "t", ask: false }, { id })
      yield* Runs.awaitUntil(id, ({ waits }) => waits.some(({ type }) => type === "event"))
    }),
    older(waiting)
  )
  await within(
    directory,
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      yield* runs.signal(id, "go", "now")
      yield* Runs.awaitUntil(id, ({ status }) => status === "paused")
    })
  )
}

/** Starts a run that nobody executes. */
export const leave = (directory: string, id: string, ticket = "T"): Promise<unknown> =>
  Effect.runPromise(
    Runs.Runs.use((runs) => runs.start(Triage, { ticket, ask: false }, { id })).pipe(
      Effect.provide(Runs.layer.pipe(Layer.provide(FsStore.layer({ directory }))))
    )
  )
