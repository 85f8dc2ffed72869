import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Option, Schedule, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { afterAll } from "vitest"
import * as WorkerClient from "../src/WorkerClient.ts"
import { version } from "../src/WorkerProtocol.ts"
import {
  bin,
  environment,
  folder,
  leave,
  node,
  project,
  removeFolders,
  seed,
  seedOlder
} from "./support/command.ts"

afterAll(removeFolders)

const commandFor = (args: ReadonlyArray<string>, store: string, cwd = project) => {
  const [program, ...options] = node
  return ChildProcess.make(program, [...options, bin, "worker", ...args], {
    cwd,
    env: environment(store),
    extendEnv: false
  })
}

const spawned = (store: string, cwd?: string) =>
  WorkerClient.spawn({ name: "test", command: commandFor(["--stdio"], store, cwd) })

/** What the worker at a socket answers to a message, to a client that has not said hello. */
const said = (path: string, message: object) =>
  Effect.callback<{ readonly _tag: string; readonly exit: unknown }>((resume) => {
    const socket = connect(path, () => socket.write(`${JSON.stringify(message)}\n`))
    socket.setEncoding("utf8").once("data", (text: string) => {
      socket.destroy()
      resume(Effect.succeed(JSON.parse(text)))
    })
  })

/** The first row of a run that is as it should be. */
const until = ({ orDied, requests }: WorkerClient.WorkerClient, run: string, status: string) =>
  requests.progress({ run }).pipe(
    Stream.filter((row) => row.status === status),
    Stream.runHead,
    orDied
  )

/** Sends the signal that a run waits for at last, and looks for its bookmark. */
const steered = ({ orDied, requests }: WorkerClient.WorkerClient, run: string) =>
  Effect.gen(function* () {
    const atLast = requests.progress({ run }).pipe(
      Stream.filter(({ node, status }) => node === "escalate" && status === "waiting"),
      Stream.runHead,
      orDied
    )
    const { bookmarks } = Option.getOrThrow(yield* atLast)
    assert.deepStrictEqual(bookmarks, [{ at: 0, name: "start" }])
    yield* orDied(requests.signal({ run, name: "decided", payload: "grace" }))
  })

it.live(
  "a worker is greeted, executes, forks, replays, and lets go of everything when its input closes",
  () =>
    Effect.gen(function* () {
      const store = folder()
      yield* Effect.promise(() => seedOlder(store, "older"))
      const died = yield* Effect.scoped(
        Effect.gen(function* () {
          const worker = yield* spawned(store)
          const { orDied, requests, welcome } = worker
          assert.deepInclude(welcome, { protocol: version, config: join(project, "waymark.config.ts") })
          assert.deepStrictEqual(
            welcome.flows.map(({ id }) => id),
            ["triage"]
          )

          const { run } = yield* orDied(
            requests.start({ flow: "triage", input: { ticket: "T", ask: true }, actor: "ada" })
          )
          assert.isTrue(Option.isSome(yield* until(worker, run, "waiting")))
          yield* orDied(requests.answer({ run, wait: "verdict", value: "ship", actor: "ada" }))
          // The stream ends with the run.
          const events = yield* orDied(Stream.runCollect(requests.events({ run })))
          assert.strictEqual(events[0]!.kind, "created")
          assert.strictEqual(events.at(-1)!.kind, "completed")

          const report = yield* orDied(requests.replay({ run }))
          assert.deepInclude(report, { run, visits: 7 })
          const [last] = events.filter(({ kind }) => kind === "joined")
          const rest = yield* orDied(requests.replay({ run, from: last!.seq }))
          assert.deepStrictEqual(rest, { run, visits: 1, divergences: [] })
          const first = yield* orDied(requests.replay({ run: "older" }))
          assert.deepStrictEqual([first.visits, first.divergences.map(({ node }) => node)], [1, ["gather"]])
          const more = yield* orDied(requests.replay({ run: "older", most: 100 }))
          assert.deepStrictEqual(
            more.divergences.map(({ node }) => node),
            ["gather", "weigh", "weigh"]
          )
          const forked = yield* orDied(
            requests.fork({
              run,
              seq: 3,
              edits: { set: { notes: ["x", "y"] }, empty: ["verdict"] },
              id: "other"
            })
          )
          assert.deepStrictEqual(forked, { run: "other", from: { run, seq: 3 } })
          assert.isTrue(Option.isSome(yield* until(worker, "other", "waiting")))
          const { running } = yield* orDied(requests.status())
          assert.deepStrictEqual(running, [])

          yield* orDied(requests.pause({ run: "other", note: "lunch" }))
          assert.isTrue(Option.isSome(yield* until(worker, "other", "paused")))
          yield* orDied(requests.resume({ run: "other" }))
          assert.isTrue(Option.isSome(yield* until(worker, "other", "waiting")))
          yield* orDied(requests.cancel({ run: "other", reason: "enough" }))
          assert.isTrue(Option.isSome(yield* until(worker, "other", "cancelled")))
          return worker.died
        })
      )
      const { exit, lastError } = yield* died
      assert.strictEqual(exit, "exit code 0")
      assert.isUndefined(lastError)
    }).pipe(Effect.provide(NodeServices.layer))
)

it.live("what is wrong with a request is told, and the worker goes on", () =>
  Effect.gen(function* () {
    const { orDied, requests } = yield* spawned(folder())
    const invalid = yield* Effect.flip(orDied(requests.start({ flow: "triage", input: { ticket: 1 } })))
    assert.deepInclude(invalid, { _tag: "RequestFailed", tag: "InvalidValue" })
    const unknown = yield* Effect.flip(orDied(requests.start({ flow: "triag", input: {} })))
    assert.include(unknown.message, 'did you mean "triage"?')
    const { problems } = yield* orDied(
      requests.validate({ flow: "triage", input: { ticket: "T", ask: true }, edits: { set: { notes: [1] } } })
    )
    assert.strictEqual(problems.length, 1)
    assert.include(problems[0], 'channel "notes"')
    const noRun = yield* Effect.flip(orDied(Stream.runDrain(requests.events({ run: "none" }))))
    assert.deepInclude(noRun, { _tag: "RequestFailed", tag: "RunNotFound" })

    // A stream that its reader has enough of ends, and so does a request.
    const { run } = yield* orDied(requests.start({ flow: "triage", input: { ticket: "T", ask: true } }))
    const following = yield* Effect.forkChild(Stream.runDrain(requests.events({ run })))
    yield* Fiber.interrupt(following)
    yield* orDied(requests.status())
    const mismatch = yield* Effect.flip(orDied(requests.hello({ protocol: version + 1, client: "newer" })))
    assert.deepInclude(mismatch, { _tag: "ProtocolMismatch", worker: version, client: version + 1 })
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)

it.live("a worker that takes up only what it is asked for leaves other runs alone", () =>
  Effect.gen(function* () {
    const store = folder()
    yield* Effect.promise(() => seed(store))
    const left = ["left-1", "left-2"]
    for (const id of left) yield* Effect.promise(() => leave(store, id))
    const worker = yield* WorkerClient.spawn({
      name: "test",
      command: commandFor(["--stdio", "--asked"], store)
    })
    const { orDied, requests } = worker
    const status = (run: string) =>
      requests.progress({ run }).pipe(Stream.runHead, Effect.map(Option.getOrThrow), orDied)
    const { run } = yield* orDied(requests.start({ flow: "triage", input: { ticket: "T", ask: false } }))
    assert.isTrue(Option.isSome(yield* until(worker, run, "completed")))
    yield* orDied(requests.bookmark({ run: "waits-1", seq: 0, name: "start" }))
    yield* orDied(requests.answer({ run: "waits-1", wait: "verdict", value: "hold" }))
    yield* steered(worker, "waits-1")
    assert.isTrue(Option.isSome(yield* until(worker, "waits-1", "completed")))
    yield* orDied(requests.retry({ run: "failed-1", edits: { set: { notes: ["a", "b"] } } }))
    assert.isTrue(Option.isSome(yield* until(worker, "failed-1", "waiting")))
    for (const id of left) assert.strictEqual((yield* status(id)).status, "pending")

    yield* orDied(requests.takeUp({ run: "left-1" }))
    assert.isTrue(Option.isSome(yield* until(worker, "left-1", "completed")))
    assert.strictEqual((yield* status("left-2")).status, "pending")
    const unknown = yield* Effect.flip(orDied(requests.takeUp({ run: "none" })))
    assert.deepInclude(unknown, { _tag: "RequestFailed", tag: "RunNotFound" })
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)

it.live("a worker that cannot begin says why", () =>
  Effect.gen(function* () {
    const cwd = folder()
    writeFileSync(join(cwd, "waymark.config.ts"), "throw new Error('no database today')\n")
    const died = yield* Effect.flip(spawned(folder(), cwd))
    assert.strictEqual(died._tag, "WorkerDied")
    assert.deepInclude((died as WorkerClient.WorkerDied).lastError, {
      tag: "ConfigError",
      reason: "Threw",
      exitCode: 4
    })
    assert.include(died.message, "no database today")
    assert.include(died.message, "waymark.config.ts:1:")

    // Nobody reads the standard error of one that listens at a socket: it leaves a file.
    const path = join(folder(), "worker.sock")
    const spawner = yield* ChildProcessSpawner
    const listener = yield* spawner.spawn(commandFor(["--socket", path], folder(), cwd))
    assert.strictEqual(yield* listener.exitCode, 4)
    const left = JSON.parse(readFileSync(`${path}.error.json`, "utf8")) as { readonly error: unknown }
    assert.deepInclude(left.error, { tag: "ConfigError", reason: "Threw", exitCode: 4 })
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)

it.live("a worker that dies on the way says why; one that is killed cannot, and its end is told", () =>
  Effect.gen(function* () {
    const cwd = folder()
    const config = readFileSync(join(project, "waymark.config.ts"), "utf8")
    const crash = `process.on("SIGUSR2", () => { throw new TypeError("lost it") })\n`
    writeFileSync(
      join(cwd, "waymark.config.ts"),
      config
        .replace('"./flows.ts"', JSON.stringify(join(project, "flows.ts")))
        .replace('"@waymark/cli"', JSON.stringify(join(project, "../../../src/index.ts"))) + crash
    )
    const crashed = yield* spawned(folder(), cwd)
    const lost = yield* Effect.forkChild(
      Effect.flip(crashed.orDied(Stream.runDrain(crashed.requests.log()))),
      {
        startImmediately: true
      }
    )
    process.kill(crashed.welcome.pid, "SIGUSR2")
    const died = yield* Fiber.join(lost)
    assert.strictEqual(died._tag, "WorkerDied")
    const { lastError } = died as WorkerClient.WorkerDied
    assert.deepInclude(lastError, { tag: "TypeError", message: "lost it", exitCode: 1 })
    assert.include(lastError?.stack, "waymark.config.ts")

    const killed = yield* spawned(folder(), cwd)
    const waiting = yield* Effect.forkChild(
      Effect.flip(killed.orDied(Stream.runDrain(killed.requests.log()))),
      { startImmediately: true }
    )
    process.kill(killed.welcome.pid, "SIGKILL")
    const end = yield* Fiber.join(waiting)
    assert.strictEqual(end._tag, "WorkerDied")
    assert.include(end.message, "SIGKILL")
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)

it.live(
  "a worker listens at a socket, for several clients and after one that was killed, until SIGTERM",
  () =>
    Effect.gen(function* () {
      const place = folder()
      const store = folder()
      const path = join(place, "worker.sock")
      const spawner = yield* ChildProcessSpawner
      const connected = WorkerClient.connect({ name: "test" }).pipe(
        Effect.provide(NodeSocket.layerNet({ path })),
        Effect.retry(Schedule.spaced("50 millis"))
      )
      const first = yield* spawner.spawn(commandFor(["--socket", path], store))
      yield* Effect.scoped(connected)
      yield* first.kill({ killSignal: "SIGKILL" }).pipe(Effect.ignore)
      assert.isTrue(existsSync(path))

      const second = yield* spawner.spawn(commandFor(["--socket", path], store))
      const ended = yield* Deferred.make<number>()
      yield* Effect.forkScoped(Effect.flatMap(second.exitCode, (code) => Deferred.succeed(ended, code)))
      yield* Effect.gen(function* () {
        const a = yield* connected
        const b = yield* connected
        assert.strictEqual(a.welcome.pid, b.welcome.pid)
        assert.strictEqual(statSync(path).mode & 0o077, 0)
        const stranger = yield* said(path, {
          _tag: "Request",
          id: "1",
          tag: "status",
          payload: null,
          headers: []
        })
        assert.strictEqual(stranger._tag, "Exit")
        assert.include(JSON.stringify(stranger.exit), '"ProtocolMismatch"')
        const { run } = yield* a.orDied(
          a.requests.start({ flow: "triage", input: { ticket: "T", ask: true } })
        )
        // What one client asks for, the other sees.
        assert.isTrue(Option.isSome(yield* until(b, run, "waiting")))
        yield* b.orDied(b.requests.pause({ run, note: "lunch" }))
        assert.isTrue(Option.isSome(yield* until(a, run, "paused")))
        yield* b.orDied(b.requests.resume({ run }))
        yield* a.orDied(a.requests.bookmark({ run, seq: 0, name: "start" }))
        yield* b.orDied(b.requests.answer({ run, wait: "verdict", value: "hold" }))
        yield* steered(a, run)
        assert.isTrue(Option.isSome(yield* until(b, run, "completed")))
        const failing = { flow: "triage", input: { ticket: "unknown", ask: true } }
        const failed = yield* a.orDied(a.requests.start(failing))
        assert.isTrue(Option.isSome(yield* until(b, failed.run, "failed")))
        yield* b.orDied(b.requests.retry({ run: failed.run, edits: { set: { notes: ["a", "b"] } } }))
        assert.isTrue(Option.isSome(yield* until(a, failed.run, "waiting")))
        yield* a.orDied(a.requests.cancel({ run: failed.run, reason: "enough" }))
        assert.isTrue(Option.isSome(yield* until(b, failed.run, "cancelled")))
        yield* second.kill({ killSignal: "SIGTERM" })
      }).pipe(Effect.scoped)
      assert.strictEqual(yield* Deferred.await(ended), 143)
      assert.isFalse(existsSync(`${path}.error.json`))
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)
