import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import { Echo, oneNode, program } from "./oneNode.ts"
import { idle, machine, until, untilStatus } from "./process.ts"

const world = () => {
  const how: { now: "hang" | "fail" | "end" } = { now: "hang" }
  const live = program(
    ({ next }) =>
      Effect.suspend(() =>
        how.now === "hang"
          ? Effect.as(Echo.call({ text: "x" }), next.end([]))
          : how.now === "fail"
            ? Effect.die(new Error("broken"))
            : Effect.succeed(next.end(["end"]))
      ),
    Echo.toLayer(() => Effect.never)
  )
  return { how, live }
}

describe("a command that does not fit the run's status is refused", () => {
  const refused = (
    runs: Runs.Runs["Service"],
    run: Runs.Run<typeof oneNode>,
    allowed: ReadonlyArray<string>
  ) =>
    Effect.gen(function* () {
      const commands = {
        pause: runs.pause(run),
        resume: runs.resume(run),
        retry: runs.retry(run),
        settle: runs.settle(run, "echo/x/0", "again")
      }
      const { status } = yield* runs.get(run)
      for (const [name, command] of Object.entries(commands)) {
        if (allowed.includes(name)) continue
        const error = yield* Effect.flip(command)
        assert.strictEqual(error._tag, "CommandRefused")
        assert.include(error.message, `is ${status}; cannot ${name}`)
      }
    })

  it.effect("and the error says what the run is", () =>
    Effect.gen(function* () {
      const { how, live } = world()
      const computer = machine()
      const { runs } = yield* computer.boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* idle
      yield* refused(runs, run, ["pause"])
      yield* runs.cancel(run, "enough")
      yield* refused(runs, run, [])
      how.now = "fail"
      const failed = yield* runs.start(oneNode, {})
      yield* Effect.flip(runs.await(failed))
      yield* refused(runs, failed, ["retry"])
      how.now = "end"
      const completed = yield* runs.start(oneNode, {})
      yield* runs.await(completed)
      yield* refused(runs, completed, [])
      assert.strictEqual((yield* Effect.flip(runs.pause("no such run")))._tag, "RunNotFound")
      assert.strictEqual((yield* Effect.flip(runs.cancel("no such run", "x")))._tag, "RunNotFound")
    })
  )
})

describe("a command in the inbox", () => {
  it.effect("that no longer fits is named in the journal and changes nothing", () =>
    Effect.gen(function* () {
      const { how, live } = world()
      const computer = machine()
      const { runs } = yield* computer.boot(live)
      how.now = "end"
      const run = yield* runs.start(oneNode, {})
      yield* runs.await(run)
      for (const type of ["pause", "resume", "retry"] as const) yield* computer.send(run, type, { type })
      yield* computer.send(run, "cancel", { type: "cancel", reason: "x" })
      yield* computer.send(run, "signal", { type: "signal", name: "s", payload: 1 })
      yield* idle
      yield* until(Effect.map(computer.eventsOf(run, "commandIgnored"), ({ length }) => length === 5))
      const ignored = yield* computer.eventsOf(run, "commandIgnored")
      assert.deepStrictEqual(
        ignored.map(({ command }) => command!.id),
        ["pause", "resume", "retry", "cancel", "signal"]
      )
      assert.strictEqual((yield* runs.get(run)).status, "completed")
      assert.deepStrictEqual(yield* runs.await(run), ["end"])
      yield* computer.crash
      yield* computer.boot(live)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* computer.eventsOf(run, "commandIgnored")).length, 5)
    })
  )

  it.effect("is dealt with once, whatever is sent again or read again", () =>
    Effect.gen(function* () {
      const { how, live } = world()
      const computer = machine()
      const { runs } = yield* computer.boot(live)
      how.now = "fail"
      const run = yield* runs.start(oneNode, {})
      yield* Effect.flip(runs.await(run))
      yield* runs.retry(run, { commandId: "again" })
      yield* idle
      yield* Effect.flip(runs.await(run))
      yield* runs.retry(run, { commandId: "again" })
      yield* computer.send(run, "again", { type: "retry" })
      yield* idle
      yield* computer.crash
      const second = yield* computer.boot(live)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* computer.eventsOf(run, "restarted")).length, 1)
      assert.strictEqual((yield* second.runs.get(run)).status, "failed")
    })
  )

  it.effect("is carried out in the order in which it was sent", () =>
    Effect.gen(function* () {
      const { how, live } = world()
      const computer = machine()
      const first = yield* computer.boot(live)
      const run = yield* first.runs.start(oneNode, {})
      yield* idle
      yield* computer.crash
      how.now = "end"
      yield* computer.send(run, "1", { type: "pause" })
      yield* computer.send(run, "2", { type: "resume" })
      const { runs: client } = yield* computer.boot(live)
      assert.deepStrictEqual(yield* client.await(run), ["end"])
      const kinds = yield* computer.kinds(run)
      assert.deepStrictEqual(kinds, [
        "created",
        "callStarted",
        "claimed",
        "paused",
        "resumed",
        "visited",
        "completed"
      ])
    })
  )

  it.effect("sent while no worker runs is found by the next one, for runs of every status", () =>
    Effect.gen(function* () {
      const { how, live } = world()
      const computer = machine()
      const first = yield* computer.boot(live)
      how.now = "fail"
      const failed = yield* first.runs.start(oneNode, {}, { id: "failed" })
      yield* Effect.flip(first.runs.await(failed))
      how.now = "hang"
      const paused = yield* first.runs.start(oneNode, {}, { id: "paused" })
      const running = yield* first.runs.start(oneNode, {}, { id: "running" })
      yield* idle
      yield* first.stop
      const client = yield* computer.client
      yield* client.pause(paused)
      const second = yield* computer.boot(live)
      yield* untilStatus(second.runs, paused, "paused")
      yield* second.stop
      how.now = "end"
      yield* client.retry(failed)
      yield* client.resume(paused)
      yield* client.pause(running)
      yield* computer.boot(live)
      yield* idle
      assert.deepStrictEqual(yield* client.await(failed), ["end"])
      assert.deepStrictEqual(yield* client.await(paused), ["end"])
      yield* untilStatus(client, running, "paused")
    })
  )

  it.effect("that arrives while the worker is taking the run up is not overlooked", () =>
    Effect.gen(function* () {
      const { live } = world()
      const computer = machine()
      const client = yield* computer.client
      const run = yield* client.start(oneNode, {})
      // A slow disk: what the inbox held is known a second later.
      yield* computer.boot(live, {
        wrap: (inner) => ({
          ...inner,
          inbox: (id, cursor) => Effect.tap(inner.inbox(id, cursor), () => Effect.sleep("1 second"))
        })
      })
      yield* idle
      yield* TestClock.adjust("500 millis")
      yield* computer.send(run, "stop", { type: "cancel", reason: "at once" })
      yield* idle
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* client.get(run)).status, "cancelled")
    })
  )

  it.effect("that is read when the run has just come to rest does not hold up the worker", () =>
    Effect.gen(function* () {
      const { how, live } = world()
      const computer = machine()
      let slow = true
      const { runs } = yield* computer.boot(live, {
        wrap: (inner) => ({
          ...inner,
          inbox: (run, cursor) =>
            Effect.tap(inner.inbox(run, cursor), () => (slow ? Effect.sleep("1 second") : Effect.void))
        })
      })
      how.now = "end"
      const ended = yield* runs.start(oneNode, {}, { id: "ended" })
      how.now = "hang"
      const other = yield* runs.start(oneNode, {}, { id: "other" })
      yield* runs.await(ended)
      const paused = yield* runs.start(oneNode, {}, { id: "paused" })
      yield* runs.pause(paused)
      yield* TestClock.adjust("500 millis")
      yield* Effect.forkChild(runs.cancel(paused, "while its inbox is read"))
      yield* TestClock.adjust("10 seconds")
      slow = false
      assert.strictEqual((yield* runs.get(paused)).status, "cancelled")
      assert.strictEqual(yield* runs.cancel(other, "the worker still listens"), "cancelled")
    })
  )
})

describe("a command that comes too late", () => {
  it.effect("is answered after the end, and whoever executes the run is told the end", () =>
    Effect.gen(function* () {
      const computer = machine()
      const { runs } = yield* computer.boot(
        program(
          ({ next }) => Effect.map(Effect.orDie(Echo.call({ text: "x" })), (text) => next.end([text])),
          // It is to pause at its next checkpoint, and has none any more.
          Echo.toLayer(() =>
            Effect.gen(function* () {
              const { run } = yield* Tool.Invocation
              yield* computer.send(run, "pause", { type: "pause" })
              yield* idle
              return "done"
            })
          )
        )
      )
      assert.deepStrictEqual(yield* runs.execute(oneNode, {}, { id: "r" }), ["done"])
      assert.deepStrictEqual((yield* computer.kinds("r")).slice(-2), ["completed", "commandIgnored"])
      assert.deepStrictEqual(yield* runs.await(Runs.ref(oneNode, "r")), ["done"])
    })
  )
})
