import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import { oneNode, program } from "./oneNode.ts"
import { idle, machine, untilStatus } from "./process.ts"

/** A flow that pays, and a process that died while it did. */
const crashed = (inDoubt: Tool.InDoubt, catches: boolean) =>
  Effect.gen(function* () {
    const Pay = Tool.make("pay", {
      input: Schema.Int,
      output: Schema.String,
      delivery: "atMostOnce",
      inDoubt
    })
    const payments: Array<Tool.Invocation["Service"]> = []
    const world = { hang: true }
    const live = program(
      ({ next }) =>
        Pay.call(5).pipe(
          Effect.map((receipt) => next.end([receipt])),
          catches
            ? Effect.catchDefect((defect) => Effect.succeed(next.end([(defect as Error).message])))
            : (self) => self
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
    assert.strictEqual(payments.length, 1)
    yield* computer.crash
    world.hang = false
    const second = yield* computer.boot(live)
    return { ...computer, live, payments, run, runs: second.runs, world }
  })

describe("an at-most-once call whose process died", () => {
  const paused = Effect.gen(function* () {
    const all = yield* crashed("pause", false)
    yield* untilStatus(all.runs, all.run, "paused")
    assert.strictEqual(all.payments.length, 1)
    const [event] = yield* all.eventsOf(all.run, "paused")
    const { reason } = event!
    assert.strictEqual(reason.kind, "inDoubt")
    const call = reason.kind === "inDoubt" ? reason.call : ""
    assert.deepStrictEqual(reason, { kind: "inDoubt", node: "work", visit: 1, tool: "pay", call })
    return { ...all, call }
  })

  it.effect("pauses the run until a person says that it succeeded, and with what", () =>
    Effect.gen(function* () {
      const { call, payments, run, runs } = yield* paused
      yield* runs.settle(run, call, { output: "found in the bank's books" }, { actor: "ada" })
      yield* runs.resume(run)
      assert.deepStrictEqual(yield* runs.await(run), ["found in the bank's books"])
      assert.strictEqual(payments.length, 1)
    })
  )

  it.effect("is listed with what it was asked for and under which key, until it is decided", () =>
    Effect.gen(function* () {
      const { call, eventsOf, payments, run, runs } = yield* paused
      const inDoubt = Effect.provideService(Runs.callsInDoubt(run), Runs.Runs, runs)
      const [started] = yield* eventsOf(run, "callStarted")
      const { key } = payments[0]!
      assert.deepStrictEqual(yield* inDoubt, [
        {
          call,
          tool: "pay",
          branch: "",
          node: "work",
          visit: 1,
          seq: started!.seq,
          key,
          input: 5,
          time: started!.time
        }
      ])
      yield* runs.settle(run, call, { output: "receipt" })
      yield* runs.resume(run)
      yield* runs.await(run)
      assert.deepStrictEqual(yield* inDoubt, [])
    })
  )

  it.effect("is listed of a failed run, too, if its tool fails then", () =>
    Effect.gen(function* () {
      const { payments, run, runs } = yield* crashed("fail", false)
      const inDoubt = Effect.provideService(Runs.callsInDoubt(run.id), Runs.Runs, runs)
      yield* Effect.flip(runs.await(run))
      const [doubt] = yield* inDoubt
      assert.deepInclude(doubt, { tool: "pay", input: 5, key: payments[0]!.key })
      yield* runs.retry(run, { settle: { [doubt!.call]: { output: "receipt" } } })
      assert.deepStrictEqual(yield* runs.await(run), ["receipt"])
      assert.deepStrictEqual(yield* inDoubt, [])
    })
  )

  it.effect("or is resumed with what a person says of it, under one command id", () =>
    Effect.gen(function* () {
      const { call, eventsOf, payments, run, runs } = yield* paused
      const error = yield* Effect.flip(runs.resume(run, { settle: { other: "again" } }))
      assert.include(error.message, `no open visit has a call other; in doubt: "${call}"`)
      const told = { settle: { [call]: { output: "receipt" } }, commandId: "told", actor: "ada" } as const
      yield* runs.resume(run, told)
      assert.deepStrictEqual(yield* runs.await(run), ["receipt"])
      assert.strictEqual(payments.length, 1)
      assert.deepStrictEqual(
        (yield* eventsOf(run, "callCompleted")).map(({ actor, command }) => [actor, command?.id]),
        [["ada", `told/${call}`]]
      )
    })
  )

  it.effect("or that it failed", () =>
    Effect.gen(function* () {
      const { call, payments, run, runs } = yield* paused
      yield* runs.settle(run, call, "failed")
      yield* runs.resume(run)
      const error = yield* Effect.flip(runs.await(run))
      assert.deepStrictEqual(error._tag === "RunFailed" ? error.failure : error, {
        kind: "inDoubt",
        tool: "pay",
        call
      })
      assert.strictEqual(payments.length, 1)
    })
  )

  it.effect("or that it is to be made again, once, with the same key", () =>
    Effect.gen(function* () {
      const { call, crash, boot, live, payments, run, runs } = yield* paused
      yield* runs.settle(run, call, "again")
      yield* idle
      yield* crash
      const third = yield* boot(live)
      yield* third.runs.resume(run)
      assert.deepStrictEqual(yield* third.runs.await(run), ["receipt"])
      assert.strictEqual(payments.length, 2)
      assert.strictEqual(payments[1]!.key, payments[0]!.key)
      assert.isTrue(payments[1]!.repeated)
    })
  )

  it.effect("is asked about again if it is resumed without an answer, and wrong answers change nothing", () =>
    Effect.gen(function* () {
      const { eventsOf, payments, run, runs } = yield* paused
      const error = yield* Effect.flip(runs.settle(run, "no such call", "again"))
      assert.include(error.message, "no open visit has a call no such call")
      yield* runs.resume(run)
      yield* idle
      assert.strictEqual((yield* runs.get(run)).status, "paused")
      assert.strictEqual((yield* eventsOf(run, "paused")).length, 2)
      assert.strictEqual((yield* eventsOf(run, "commandIgnored")).length, 0)
      assert.strictEqual(payments.length, 1)
    })
  )

  it.effect("is not settled with what its tool could not have given", () =>
    Effect.gen(function* () {
      const { call, eventsOf, run, runs } = yield* paused
      yield* runs.settle(run, call, { output: 17 })
      yield* runs.resume(run)
      yield* idle
      // It is in doubt as before, and can be settled.
      const [ignored] = yield* eventsOf(run, "commandIgnored")
      assert.strictEqual(ignored!.reason, "doesNotFit")
      assert.match(ignored!.note, /that is no output of tool \w+: /)
      assert.strictEqual((yield* runs.stateAt(run)).pause?.kind, "inDoubt")
      yield* runs.settle(run, call, { output: "seen" })
      yield* runs.resume(run)
      assert.deepStrictEqual(yield* runs.await(run), ["seen"])
    })
  )

  it.effect("is not settled by a client that cannot check the output: it waits for a worker's word", () =>
    Effect.gen(function* () {
      const { boot, call, client, crash, eventsOf, live, run } = yield* paused
      yield* crash
      const runs = yield* client
      const settling = yield* Effect.forkChild(
        Effect.flip(runs.settle(run, call, { output: 17 }, { until: "applied" }))
      )
      yield* idle
      assert.isUndefined(settling.pollUnsafe())
      const second = yield* boot(live)
      assert.deepInclude(yield* Fiber.join(settling), { _tag: "CommandRefused", reason: "doesNotFit" })
      assert.deepStrictEqual(yield* eventsOf(run, "callCompleted"), [])
      yield* runs.settle(run, call, { output: "seen" }, { until: "applied" })
      yield* runs.resume(run)
      assert.deepStrictEqual(yield* second.runs.await(run), ["seen"])
    })
  )

  it.effect("is settled by a client if there is nothing to check", () =>
    Effect.gen(function* () {
      const { call, client, crash, eventsOf, run } = yield* paused
      yield* crash
      const runs = yield* client
      yield* runs.settle(run, call, "again", { until: "applied" })
      assert.lengthOf(yield* eventsOf(run, "callReleased"), 1)
      const wrong = yield* Effect.flip(runs.settle(run, "pay/x/0", { output: 17 }, { until: "applied" }))
      assert.deepInclude(wrong, { _tag: "CommandRefused", reason: "notInDoubt" })
    })
  )

  it.effect("that was made again and whose process died once more is in doubt once more", () =>
    Effect.gen(function* () {
      const { boot, call, crash, live, payments, run, runs, world } = yield* paused
      world.hang = true
      yield* runs.settle(run, call, "again")
      yield* runs.resume(run)
      yield* idle
      assert.strictEqual(payments.length, 2)
      yield* crash
      const { runs: later } = yield* boot(live)
      yield* untilStatus(later, run, "paused")
      assert.strictEqual(payments.length, 2)
    })
  )

  it.effect(
    "fails the visit with InDoubt, if that is the tool's policy, and the next process is served the same",
    () =>
      Effect.gen(function* () {
        const { payments, run, runs } = yield* crashed("fail", false)
        const error = yield* Effect.flip(runs.await(run))
        assert.strictEqual(error._tag === "RunFailed" && error.failure.kind, "inDoubt")
        assert.strictEqual(payments.length, 1)
        const caught = yield* crashed("fail", true)
        assert.include((yield* caught.runs.await(caught.run))[0]!, "must not be made twice")
        assert.strictEqual(caught.payments.length, 1)
      })
  )

  it.effect("is never made before what led to it is durable, even if the run is ephemeral", () =>
    Effect.gen(function* () {
      const Pay = Tool.make("pay", { input: Schema.Int, delivery: "atMostOnce" })
      let started: ReadonlyArray<string> = []
      const computer = machine()
      const live = program(
        ({ next, state }) =>
          state.got.length < 3
            ? Effect.succeed(next.to("work", { got: ["x"] }))
            : Effect.as(Pay.call(1), next.end([])),
        Pay.toLayer(() =>
          Effect.gen(function* () {
            started = yield* computer.kinds((yield* Tool.Invocation).run)
            return yield* Effect.never
          })
        )
      )
      const { runs } = yield* computer.boot(live)
      yield* runs.start(oneNode, {}, { durability: "ephemeral" })
      yield* idle
      assert.deepStrictEqual(started, ["created", "visited", "visited", "visited", "callStarted"])
    })
  )
})
