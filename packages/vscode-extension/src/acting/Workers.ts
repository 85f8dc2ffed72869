/**
 * The workers of this window: `waymark worker --stdio` of the user's own project, one for each store whose runs somebody
 * wants to have executed. One is started when it is needed, is kept while it is used and a while after, and executes only
 * the runs that it is asked for.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as RcMap from "effect/RcMap"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Path from "node:path"
import type { Manifest } from "@waymark/core/Manifest"
import * as WorkerClient from "@waymark/cli/WorkerClient"
import type { ProtocolMismatch, RequestFailed } from "@waymark/cli/WorkerProtocol"
import { Editor } from "../Editor.ts"
import { Stores } from "../reading/Stores.ts"
import { commandOf, Projects } from "./Project.ts"
import type { NoProject, Project } from "./Project.ts"

/** A worker that was greeted. */
export interface Running {
  readonly project: Project
  readonly client: WorkerClient.WorkerClient
}

/** Why no worker could be had. */
export type NoWorker = NoProject | WorkerClient.WorkerDied | ProtocolMismatch | RequestFailed

/** How runs of a store would be executed: by a worker that is there, by one that is started, or not, and why. */
export type Prospect =
  | { readonly _tag: "Running" | "Startable"; readonly project: Project }
  | { readonly _tag: "None"; readonly problem: NoProject }

/** A command of the project failed; `detail` is what it said. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  command: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `waymark ${this.command}: ${this.detail}`
  }
}

export class Workers extends Context.Service<
  Workers,
  {
    readonly prospect: (store: string) => Effect.Effect<Prospect>
    /** The worker of a store that is there now. */
    readonly running: (store: string) => Running | undefined
    /** Uses the worker of a store, which is started if there is none; `undefined` if somebody stops it from starting. */
    readonly use: <A, E>(
      store: string,
      body: (running: Running) => Effect.Effect<A, E>
    ) => Effect.Effect<A | undefined, E | NoWorker>
    /** What the code of the project says of a flow, as it was when it was last asked. */
    readonly manifest: (store: string, flow: string) => Manifest | undefined
    /** Flows became known, or other than they were. */
    readonly manifests: Stream.Stream<string>
    /** Executes a command of the project that only reads the store: what it prints for programs. */
    readonly command: (
      store: string,
      name: string,
      args: ReadonlyArray<string>
    ) => Effect.Effect<string, NoProject | CommandFailed>
    /** Ends all workers in good order; those that are in use, too. The answer is how many. */
    readonly stop: Effect.Effect<number>
  }
>()("waymark-vscode/Workers") {}

/** How long a worker is kept that nobody uses; one that keeps all others from writing its store, not as long. */
const keepFor = { directory: "5 minutes", file: "20 seconds" } as const

/** Files whose change makes a worker execute something else than what is there. */
const isCode = (file: string): boolean => /\.(?:[cm]?[jt]sx?|json)$/.test(file)

/** Exit codes with which a command has done what it was to do: the second says that it found a difference. */
const fine = new Set([0, 9])

const LastLine = Schema.fromJsonString(Schema.Struct({ error: Schema.Struct({ message: Schema.String }) }))
const decodeLast = Schema.decodeUnknownOption(LastLine)

/** What a command said went wrong. */
const problemIn = (stderr: string, code: number): string => {
  const lines = stderr.trimEnd().split("\n")
  for (const line of lines.toReversed()) {
    const decoded = decodeLast(line)
    if (decoded._tag === "Some") return decoded.value.error.message
  }
  return stderr.trim() === "" ? `it ended with ${code}` : stderr.trim().slice(-2000)
}

const make = Effect.gen(function* () {
  const editor = yield* Editor
  const projects = yield* Projects
  const spawner = yield* ChildProcessSpawner
  const stores = yield* Stores
  const there = new Map<string, Running & { uses: number }>()
  const known = new Map<string, ReadonlyMap<string, Manifest>>()
  const told = yield* PubSub.unbounded<string>()
  const outdated = new Set<string>()
  const stopped = new Set<number>()

  const log = (text: string) => editor.log("info", `worker: ${text.trimEnd()}`)
  const report = (message: string) =>
    Effect.gen(function* () {
      yield* editor.log("error", message)
      if ((yield* editor.warn(message, "Show Log")) !== undefined) yield* editor.showLog
    })

  /** A worker is there no longer; another of the same store may be there by then. */
  const forget = (store: string, { client }: Running): boolean =>
    there.get(store)?.client === client && there.delete(store)

  /** Says why a worker is gone that nobody was waiting for; who waits is told by what they asked for. */
  const watch = (store: string, running: Running) =>
    Effect.gen(function* () {
      const died = yield* running.client.died
      const uses = there.get(store)?.client === running.client ? there.get(store)!.uses : 0
      if (forget(store, running)) yield* RcMap.invalidate(workers, store)
      if (stopped.has(running.client.welcome.pid) || uses > 0) return
      yield* Effect.forkDetach(report(`The worker of ${running.project.label} is gone. ${died.message}`))
    })

  const start = Effect.fnUntraced(function* (
    store: string
  ): Effect.fn.Return<Running, NoWorker, Scope.Scope> {
    const project = yield* projects.of(store)
    outdated.delete(store)
    yield* editor.log("info", `starts a worker for ${project.label}, with ${project.node}, on ${store}`)
    const client = yield* WorkerClient.spawn({
      name: "the Waymark extension",
      command: commandOf(project, store, "worker", ["--stdio", "--asked"]),
      onOutput: log
    }).pipe(Effect.provideService(ChildProcessSpawner, spawner))
    const running = { project, client }
    there.set(store, { ...running, uses: 0 })
    known.set(store, new Map(client.welcome.flows.map((flow) => [flow.id, flow])))
    yield* PubSub.publish(told, store)
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        forget(store, running)
        return editor.log("info", `ends the worker of ${project.label}`)
      })
    )
    yield* Effect.forkScoped(watch(store, running))
    return running
  })

  const workers: RcMap.RcMap<string, Running, NoWorker> = yield* RcMap.make({
    lookup: start,
    idleTimeToLive: (store) => keepFor[stores.source(store)?.place.kind ?? "directory"]
  })

  /** A worker has the code in memory: the next use is to have the code that is there. */
  yield* editor.saved.pipe(
    Stream.filter(isCode),
    Stream.runForEach((file) =>
      Effect.sync(() => {
        for (const [store, { project }] of there) {
          if (file.startsWith(Path.dirname(project.config) + Path.sep)) outdated.add(store)
        }
      })
    ),
    Effect.forkScoped
  )

  const get = (store: string) =>
    Effect.gen(function* () {
      const entry = there.get(store)
      if (entry !== undefined && outdated.has(store)) {
        if (entry.uses === 0) {
          there.delete(store)
          yield* RcMap.invalidate(workers, store)
        } else {
          const text = `The worker of ${entry.project.label} still executes a run with the code as it was: end it first (Waymark: Stop Workers) to use what you changed.`
          yield* Effect.forkDetach(editor.warn(text))
        }
      }
      const scope = yield* Effect.scope
      const getting = Effect.provideService(RcMap.get(workers, store), Scope.Scope, scope).pipe(
        Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : RcMap.invalidate(workers, store)))
      )
      return there.has(store) ? yield* getting : yield* editor.progress("Starting a worker", getting)
    })

  return Workers.of({
    prospect: (store) => {
      const entry = there.get(store)
      if (entry !== undefined) return Effect.succeed({ _tag: "Running", project: entry.project })
      return projects.of(store).pipe(
        Effect.map((project): Prospect => ({ _tag: "Startable", project })),
        Effect.catch((problem) => Effect.succeed<Prospect>({ _tag: "None", problem }))
      )
    },
    running: (store) => there.get(store),
    use: <A, E>(store: string, body: (running: Running) => Effect.Effect<A, E>) =>
      Effect.scoped(
        Effect.gen(function* () {
          const running = yield* get(store)
          if (running === undefined) return undefined
          const entry = there.get(store)
          if (entry !== undefined) entry.uses++
          const died = Effect.flatMap(running.client.died, (error) =>
            stopped.has(running.client.welcome.pid) ? Effect.undefined : Effect.fail(error)
          )
          return yield* Effect.raceFirst(body(running), died).pipe(
            Effect.ensuring(
              Effect.sync(() => {
                if (entry !== undefined) entry.uses--
              })
            )
          )
        })
      ),
    manifest: (store, flow) => known.get(store)?.get(flow),
    manifests: Stream.fromPubSub(told),
    command: (store, name, args) =>
      Effect.scoped(
        Effect.gen(function* () {
          const project = yield* projects.of(store)
          const failed = (detail: string) => new CommandFailed({ command: name, detail })
          const [code, stdout, stderr] = yield* Effect.gen(function* () {
            const child = yield* spawner.spawn(commandOf(project, store, name, ["--json", ...args]))
            return yield* Effect.all(
              [
                child.exitCode,
                Stream.mkString(Stream.decodeText(child.stdout)),
                Stream.mkString(Stream.decodeText(child.stderr))
              ],
              { concurrency: 3 }
            )
          }).pipe(Effect.mapError(({ message }) => failed(message)))
          if (stderr.trim() !== "") yield* editor.log("info", `waymark ${name}: ${stderr.trimEnd()}`)
          return fine.has(code) ? stdout : yield* failed(problemIn(stderr, code))
        })
      ),
    stop: Effect.suspend(() => {
      const all = [...there]
      const end = ([store, { client, uses }]: (typeof all)[number]) => {
        const { pid } = client.welcome
        if (uses === 0) return RcMap.invalidate(workers, store)
        return Effect.sync(() => {
          stopped.add(pid)
          there.delete(store)
          process.kill(pid, "SIGTERM")
          // Who asks for a worker from now on gets another one.
        }).pipe(Effect.andThen(RcMap.invalidate(workers, store)), Effect.andThen(client.died), Effect.asVoid)
      }
      return Effect.as(Effect.forEach(all, end, { concurrency: "unbounded", discard: true }), all.length)
    })
  })
})

export const layer: Layer.Layer<Workers, never, Editor | Projects | Stores | ChildProcessSpawner> =
  Layer.effect(Workers, make)
