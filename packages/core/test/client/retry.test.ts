import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as MemoryStore from "@waymark/core/MemoryStore"
import type * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import { Echo, oneNode, program } from "../engine/oneNode.ts"
import { idle, machine, until } from "../engine/process.ts"

/** A worker whose handler fails as long as `world.broken` says so, with the number of its attempt. */
const failing = () => {
  const world = { broken: true, attempts: 0 }
  const live = program(
    Effect.fnUntraced(function* ({ next }) {
      world.attempts += 1
      if (world.broken) return yield* Effect.die(new Error(`attempt ${world.attempts}`))
      const echo = yield* Effect.orDie(Echo.call({ text: `attempt ${world.attempts}` }))
      return next.end([echo])
    }),
    Echo.toLayer(({ text }) => Effect.as(Effect.sleep("1 second"), text))
  )
  return { live, world }
}

const failureOf = (runs: Runs.Runs["Service"], run: Runs.Run<typeof oneNode>) =>
  Effect.map(Effect.flip(runs.await(run)), (error) => error.message)

describe("a retry", () => {
  const failed = Effect.gen(function* () {
    const { live, world } = failing()
    const computer = machine()
    const process = yield* computer.boot(live, { owner: "worker" })
    const run = yield* process.runs.start(oneNode, {}, { id: "r" })
    assert.include(yield* failureOf(process.runs, run), "attempt 1")
    return {
      ...computer,
      client: yield* computer.client,
      live,
      newClient: computer.client,
      process,
      run,
      runs: process.runs,
      world
    }
  })

  it.effect("is over the failure when it answers: nobody is told the old one, here or elsewhere", () =>
    Effect.gen(function* () {
      const { client, run, runs } = yield* failed
      for (let attempt = 2; attempt < 12; attempt++) {
        const [by, other] = attempt % 2 === 0 ? [runs, client] : [client, runs]
        yield* by.retry(run)
        const [here, there] = yield* Effect.all([failureOf(by, run), failureOf(other, run)], {
          concurrency: "unbounded"
        })
        assert.include(here, `attempt ${attempt}`)
        assert.include(there, `attempt ${attempt}`)
      }
    })
  )

  it.effect("needs no worker, and the next one takes the run up", () =>
    Effect.gen(function* () {
      const { boot, client, eventsOf, live, process, run, world } = yield* failed
      yield* process.stop
      yield* client.retry(run, { actor: "ada", edits: { got: ["edited"] } })
      const info = yield* client.get(run)
      assert.deepInclude(info, { status: "pending" })
      assert.isUndefined(info.error)
      assert.isUndefined(info.ended)
      assert.deepStrictEqual((yield* client.state(run)).got, ["edited"])
      assert.deepInclude((yield* eventsOf(run, "restarted"))[0], { actor: "ada" })
      const waiting = yield* Effect.forkChild(client.await(run))
      yield* idle
      assert.isUndefined(waiting.pollUnsafe())
      world.broken = false
      yield* boot(live)
      yield* idle
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(waiting), ["attempt 2"])
    })
  )

  it.effect("is carried out by the client if the worker that had the run dies before it does", () =>
    Effect.gen(function* () {
      const { client, disk, eventsOf, process, run } = yield* failed
      // Another worker has the run, and does nothing about it.
      yield* process.stop
      const frozen = yield* MemoryStore.make({ disk, owner: "frozen" })
      yield* frozen.acquire(run.id, "worker")
      const retrying = yield* Effect.forkChild(client.retry(run))
      yield* idle
      assert.isUndefined(retrying.pollUnsafe())
      assert.strictEqual((yield* client.get(run)).status, "failed")
      disk.lapse("frozen")
      yield* Fiber.join(retrying)
      assert.strictEqual((yield* client.get(run)).status, "pending")
      assert.strictEqual((yield* eventsOf(run, "restarted")).length, 1)
    })
  )

  it.effect("of a run that somebody else retries at the same time is refused, and says so", () =>
    Effect.gen(function* () {
      const { client, eventsOf, newClient, process, run } = yield* failed
      yield* process.stop
      const other = yield* newClient
      const results = yield* Effect.all(
        Array.from({ length: 6 }, (_, i) => Effect.result((i % 2 === 0 ? client : other).retry(run))),
        { concurrency: "unbounded" }
      )
      const refused = results.flatMap((result) => (Result.isFailure(result) ? [result.failure] : []))
      assert.strictEqual(refused.length, 5)
      for (const error of refused) {
        assert.deepInclude(error, { _tag: "CommandRefused", command: "retry", status: "pending" })
      }
      assert.strictEqual((yield* eventsOf(run, "restarted")).length, 1)
    })
  )

  it.effect("under a command id that was answered before is neither made again nor refused", () =>
    Effect.gen(function* () {
      const { client, eventsOf, run, runs, world } = yield* failed
      yield* runs.retry(run, { commandId: "again" })
      yield* runs.retry(run, { commandId: "again" })
      assert.include(yield* failureOf(runs, run), "attempt 2")
      yield* client.retry(run, { commandId: "again" })
      assert.include(yield* failureOf(runs, run), "attempt 2")
      assert.strictEqual((yield* eventsOf(run, "restarted")).length, 1)
      world.broken = false
      yield* client.retry(run)
      yield* idle
      yield* client.retry(run, { commandId: "again" })
      assert.deepInclude(yield* Effect.flip(client.retry(run, { commandId: "another" })), {
        _tag: "CommandRefused",
        status: "running"
      })
      yield* TestClock.adjust("1 second")
      yield* runs.await(run)
      yield* client.retry(run, { commandId: "again" })
      assert.strictEqual((yield* Effect.flip(client.retry(run)))._tag, "CommandRefused")
      assert.strictEqual((yield* eventsOf(run, "restarted")).length, 2)
      // What was refused stays so.
      const ignored = yield* client.retry(run, { commandId: "another" }).pipe(Effect.flip)
      assert.strictEqual(ignored._tag, "CommandRefused")
    })
  )

  it.effect("that a worker refuses is refused to its sender, for the reason in the journal", () =>
    Effect.gen(function* () {
      const { boot, client, eventsOf, live, process, run, send } = yield* failed
      yield* process.stop
      yield* send(run, "bad", { type: "retry", settle: { "echo/x/0": { again: true } } })
      yield* boot(live)
      yield* until(Effect.map(eventsOf(run, "commandIgnored"), ({ length }) => length === 1))
      const error = yield* Effect.flip(client.retry(run, { commandId: "bad" }))
      assert.deepInclude(error, { _tag: "CommandRefused", detail: "no open visit has a call echo/x/0" })
      assert.strictEqual((yield* eventsOf(run, "restarted")).length, 0)
    })
  )
})

describe("an at-most-once call that failed in doubt", () => {
  /** A flow that pays, its process dead while it did, and the run failed for that reason. */
  const doubtful = (catches = false) =>
    Effect.gen(function* () {
      const Pay = Tool.make("pay", {
        input: Schema.Int,
        output: Schema.String,
        delivery: "atMostOnce",
        inDoubt: "fail"
      })
      const payments: Array<Tool.Invocation["Service"]> = []
      const world = { hang: true }
      const live = program(
        ({ next }) =>
          Pay.call(5).pipe(
            catches
              ? Effect.catchDefect((defect) => Effect.die(new Error(`caught: ${(defect as Error).message}`)))
              : (self) => self,
            Effect.map((receipt) => next.end([receipt]))
          ),
        Pay.toLayer(() =>
          Effect.gen(function* () {
            payments.push(yield* Tool.Invocation)
            return world.hang ? yield* Effect.never : "receipt"
          })
        )
      )
      const computer = machine()
      const first = yield* computer.boot(live)
      const run = yield* first.runs.start(oneNode, {})
      yield* idle
      yield* computer.crash
      world.hang = false
      const { runs } = yield* computer.boot(live)
      const message = yield* failureOf(runs, run)
      assert.include(message, "must not be made twice")
      const { call } = (yield* computer.eventsOf(run, "callFailed"))[0]!
      return { ...computer, call, live, payments, run, runs, world }
    })

  it.effect("is not made again by a retry, however often, and stays in doubt", () =>
    Effect.gen(function* () {
      for (const catches of [false, true]) {
        const { boot, crash, eventsOf, live, payments, run, runs } = yield* doubtful(catches)
        yield* runs.retry(run)
        assert.include(yield* failureOf(runs, run), "must not be made twice")
        yield* crash
        const again = yield* boot(live)
        yield* again.runs.retry(run)
        assert.include(yield* failureOf(again.runs, run), "must not be made twice")
        assert.strictEqual(payments.length, 1)
        const failures = yield* eventsOf(run, "callFailed")
        assert.deepStrictEqual(
          failures.map(({ attempt, error }) => [attempt, error.kind === "inDoubt" && error.undecided]),
          [
            [1, true],
            [2, true],
            [3, true]
          ]
        )
      }
    })
  )

  it.effect("is settled together with the retry: it succeeded, and this is its output", () =>
    Effect.gen(function* () {
      const { call, eventsOf, payments, run, runs } = yield* doubtful()
      const settle = { [call]: { output: "found in the books" } }
      yield* runs.retry(run, { actor: "ada", settle })
      assert.deepStrictEqual(yield* runs.await(run), ["found in the books"])
      assert.strictEqual(payments.length, 1)
      assert.deepInclude((yield* eventsOf(run, "callCompleted"))[0], { actor: "ada", attempt: 2 })
    })
  )

  it.effect("or it failed: the handler is told so once, and the next attempt makes it", () =>
    Effect.gen(function* () {
      const { call, payments, run, runs } = yield* doubtful()
      yield* runs.retry(run, { settle: { [call]: "failed" } })
      assert.include(yield* failureOf(runs, run), "must not be made twice")
      assert.strictEqual(payments.length, 1)
      yield* runs.retry(run)
      assert.deepStrictEqual(yield* runs.await(run), ["receipt"])
      assert.strictEqual(payments.length, 2)
    })
  )

  it.effect("or it is to be made again: it is, once, with the same key, also if the worker dies first", () =>
    Effect.gen(function* () {
      const { boot, call, client, crash, live, payments, run } = yield* doubtful()
      yield* crash
      const runs = yield* client
      yield* runs.retry(run, { settle: { [call]: "again" } })
      assert.strictEqual((yield* runs.get(run)).status, "pending")
      const third = yield* boot(live)
      assert.deepStrictEqual(yield* third.runs.await(run), ["receipt"])
      assert.strictEqual(payments.length, 2)
      assert.strictEqual(payments[1]!.key, payments[0]!.key)
      assert.isTrue(payments[1]!.repeated)
    })
  )

  it.effect("cannot be settled by another name, nor on its own; nothing is retried then", () =>
    Effect.gen(function* () {
      const { call, payments, run, runs } = yield* doubtful()
      const wrong = yield* Effect.flip(runs.retry(run, { settle: { [call]: "failed", "pay/x/0": "again" } }))
      assert.deepInclude(wrong, {
        _tag: "CommandRefused",
        detail: `no open visit has a call pay/x/0; in doubt: "${call}"`
      })
      assert.strictEqual((yield* runs.get(run)).status, "failed")
      const alone = yield* Effect.flip(runs.settle(run, call, "again"))
      assert.deepInclude(alone, { _tag: "CommandRefused", status: "failed" })
      assert.include(alone.message, "retry")
      assert.strictEqual(payments.length, 1)
      // Once it is settled, there is nothing to settle any more.
      yield* runs.retry(run, { settle: { [call]: { output: "x" } } })
      yield* runs.await(run)
      assert.strictEqual(payments.length, 1)
    })
  )
})
