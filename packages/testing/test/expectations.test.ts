import { assert, describe, expect, it } from "@effect/vitest"
import * as Runs from "@waymark/core/Runs"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as FakeTools from "../src/FakeTools.ts"
import * as JournalSnapshot from "../src/JournalSnapshot.ts"
import * as TestRuntime from "../src/TestRuntime.ts"
import { Invoice, InvoiceHandlers, Mail, MailDown } from "./invoice.ts"

expect.addSnapshotSerializer(JournalSnapshot.serializer)

const down = FakeTools.fail(new MailDown({ host: "mx" }))

/** A runtime in which mail gets these replies. */
const runtime = (
  ...replies: readonly [FakeTools.ReplyOf<typeof Mail>, ...Array<FakeTools.ReplyOf<typeof Mail>>]
) =>
  TestRuntime.layer({
    flows: [Invoice],
    handlers: Layer.provide(InvoiceHandlers, FakeTools.make(FakeTools.script(Mail, ...replies)).layer)
  })

const start = Effect.flatMap(Runs.Runs, (runs) =>
  runs.start(Invoice, { to: "ada", amount: 5 }, { id: "invoice-1" })
)

const approved = Effect.gen(function* () {
  const runs = yield* Runs.Runs
  const run = yield* start
  yield* TestRuntime.expectWaiting(run, "approval")
  yield* runs.answer(run, "approval", "yes")
  return run
})

/** The message of an expectation that does not hold. */
const objection = <A, R>(effect: Effect.Effect<A, TestRuntime.ExpectationFailed | Runs.ReadError, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.strictEqual(error._tag, "ExpectationFailed")
    return error.message
  })

describe("expectations of runs", () => {
  it.effect("give what they expect: a wait, an output", () =>
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const run = yield* approved
      const wait = yield* TestRuntime.expectWaiting(run, "paid")
      assert.deepInclude(wait, { type: "event", name: "paid", due: 10 * 24 * 3_600_000 })
      yield* runs.signal(run, "paid", 5)
      assert.strictEqual(yield* TestRuntime.expectCompleted(run), "paid")
    }).pipe(Effect.provide(runtime(FakeTools.ok)))
  )

  it.effect("give how a run failed, was cancelled or paused", () =>
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const run = yield* approved
      yield* TestRuntime.advanceToEnd(run)
      const failure = yield* TestRuntime.expectFailed(run, "MailDown")
      assert.deepInclude(failure, { kind: "error", tag: "MailDown", error: { _tag: "MailDown", host: "mx" } })
      const other = yield* runs.start(Invoice, { to: "bob", amount: 1 })
      yield* TestRuntime.expectWaiting(other)
      yield* runs.pause(other, { note: "lunch" })
      assert.deepStrictEqual(yield* TestRuntime.expectPaused(other, "requested"), {
        kind: "requested",
        note: "lunch"
      })
      yield* runs.cancel(other, "no need")
      assert.strictEqual(yield* TestRuntime.expectCancelled(other), "no need")
    }).pipe(Effect.provide(runtime(down, down, down, down)))
  )

  it.effect("say how the run stands, and what it did, if it is not so", () =>
    Effect.gen(function* () {
      const run = yield* start
      assert.strictEqual(
        yield* objection(TestRuntime.expectCompleted(run)),
        [
          'run "invoice-1" was expected to be completed, and is waiting for approval',
          '  started invoice {"to":"ada","amount":5}',
          '  approve waits for approval "send 5?"'
        ].join("\n")
      )
      assert.include(yield* objection(TestRuntime.expectFailed(run)), "expected to be failed, and is waiting")
      assert.include(yield* objection(TestRuntime.expectCancelled(run)), "expected to be cancelled, and is")
      assert.include(yield* objection(TestRuntime.expectPaused(run)), "expected to be paused, and is")
      assert.include(
        yield* objection(TestRuntime.expectWaiting(run, "paid")),
        "expected to be waiting for paid, and is waiting for approval"
      )
      assert.include(
        yield* objection(TestRuntime.advanceToEnd(run)),
        "expected to be at its end, and is waiting for approval; no timer is left to wait for"
      )
      yield* Effect.flatMap(Runs.Runs, (runs) => runs.answer(run, "approval", "no"))
      assert.include(yield* objection(TestRuntime.expectWaiting(run)), "to be waiting, and is completed")
      assert.include(
        yield* objection(TestRuntime.advanceToWait(run, "paid")),
        "to be waiting for paid, and is completed"
      )
    }).pipe(Effect.provide(runtime(FakeTools.ok)))
  )

  it.effect("tell another error, and another reason for a pause, from the one expected", () =>
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const run = yield* approved
      yield* TestRuntime.advanceToEnd(run)
      assert.include(
        yield* objection(TestRuntime.expectFailed(run, "Busy")),
        'expected to be failed with Busy, and is failed with MailDown {"_tag":"MailDown","host":"mx"}'
      )
      const other = yield* runs.start(Invoice, { to: "bob", amount: 1 })
      yield* runs.pause(other)
      assert.include(
        yield* objection(TestRuntime.expectPaused(other, "inDoubt")),
        "expected to be paused (inDoubt), and is paused (requested)"
      )
    }).pipe(Effect.provide(runtime(down, down, down, down)))
  )

  it.effect("let time pass to the end, and to a wait that is opened again and again", () =>
    Effect.gen(function* () {
      const run = yield* approved
      yield* TestRuntime.advanceToWait(run, "paid")
      const third = yield* TestRuntime.advanceToWait(run, "paid", { nth: 3 })
      assert.strictEqual(third.due, 30 * 24 * 3_600_000)
      assert.deepStrictEqual(yield* TestRuntime.advanceToEnd(run), Duration.days(10))
      assert.strictEqual(yield* TestRuntime.expectCompleted(run), "written off")
      assert.include(
        yield* objection(TestRuntime.advanceToWait(run, "paid", { nth: 4 })),
        "waiting for paid (number 4), and is completed"
      )
    }).pipe(Effect.provide(runtime(FakeTools.ok, FakeTools.ok, FakeTools.ok)))
  )
})

describe("the timeline of a run", () => {
  it.effect("says what happened, in words that stay the same", ({ expect }) =>
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const runtime = yield* TestRuntime.TestRuntime
      const run = yield* approved
      yield* runtime.advanceToNext
      yield* runtime.restart("crash")
      yield* TestRuntime.advanceToWait(run, "paid", { nth: 2 })
      yield* runs.signal(run, "paid", 5)
      expect(yield* TestRuntime.timeline(run)).toMatchInlineSnapshot(`
        "started invoice {"to":"ada","amount":5}
        approve waits for approval "send 5?"
        approve approval: "yes"
        approve → send
        send calls mail {"to":"ada","text":"please pay 5"}
        send mail failed: MailDown {"_tag":"MailDown","host":"mx"}; again in 5m
        send calls mail again
        send mail succeeded
        send → watch (sent += 1)
        watch waits for paid, 10d
        watch paid: timed out
        watch → send
        send calls mail {"to":"ada","text":"again, please pay 5"}
        send mail succeeded
        send → watch (sent += 1)
        watch waits for paid, 10d
        watch paid: 5
        watch → end
        completed "paid""
      `)
    }).pipe(Effect.provide(runtime(down, FakeTools.ok, FakeTools.ok)))
  )

  it.effect("is searched for lines in their order", () =>
    Effect.gen(function* () {
      const run = yield* approved
      yield* TestRuntime.expectTimeline(run, [
        "approve →",
        /^send calls mail .*pay 5/,
        "watch waits for paid"
      ])
      assert.strictEqual(
        yield* objection(TestRuntime.expectTimeline(run, ["send →", "approve →"])),
        [
          'no line of the timeline of run "invoice-1" begins with "approve →" after "send → watch (sent += 1)"',
          '    started invoice {"to":"ada","amount":5}',
          '    approve waits for approval "send 5?"',
          '    approve approval: "yes"',
          "    approve → send",
          '    send calls mail {"to":"ada","text":"please pay 5"}',
          "    send mail succeeded",
          "  ✓ send → watch (sent += 1)",
          "    watch waits for paid, 10d"
        ].join("\n")
      )
      assert.include(
        yield* objection(TestRuntime.expectTimeline(run, [/pay 6/])),
        'no line of the timeline of run "invoice-1" matches /pay 6/\n'
      )
    }).pipe(Effect.provide(runtime(FakeTools.ok)))
  )
})

describe("a journal as a snapshot", () => {
  const journal = Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const run = yield* runs.start(Invoice, { to: "ada", amount: 5 })
    yield* TestRuntime.expectWaiting(run, "approval")
    yield* runs.answer(run, "approval", "yes")
    yield* TestRuntime.advanceToWait(run, "paid")
    yield* runs.signal(run, "paid", 5)
    yield* TestRuntime.expectCompleted(run)
    return yield* Stream.runCollect(runs.events(run))
  })

  it.effect("is one line for each event, without what differs from run to run", ({ expect }) =>
    Effect.gen(function* () {
      expect(yield* journal).toMatchInlineSnapshot(`
        run id-1
          +0 created  flow: "invoice", version: 1, start: "approve", input: {"to":"ada","amount":5}, state: {"sent":0}, durability: "pipelined", maxSteps: 10000, maxRecoveries: 10
          +0 waitOpened  approve/1  wait: "1/user/approval/0", on: {"type":"user","name":"approval","prompt":"send 5?"}
          +0 waitEnded  wait: "1/user/approval/0", outcome: {"value":"yes"}
          +0 visited  approve/1  next: {"to":"send"}
          +0 callStarted  send/2  call: "mail/<digest 1>/0", tool: "mail", key: "<key 1>", input: {"to":"ada","text":"please pay 5"}
          +0 callRetried  send/2  call: "mail/<digest 1>/0", tool: "mail", error: {"kind":"error","tag":"MailDown","error":{"_tag":"MailDown","host":"mx"},"message":""}, due: "+5m"
          +5m callRepeated  send/2  call: "mail/<digest 1>/0", tool: "mail"
          +5m callCompleted  send/2  call: "mail/<digest 1>/0", tool: "mail", output: null
          +5m visited  send/2  ops: {"sent":{"add":1}}, next: {"to":"watch"}
          +5m waitOpened  watch/3  wait: "3/event/paid/0", on: {"type":"event","name":"paid"}, due: "+10d 5m"
          +5m waitEnded  wait: "3/event/paid/0", outcome: {"value":5}
          +5m visited  watch/3  next: {"end":true}
          +5m completed  output: "paid"
      `)
    }).pipe(Effect.provide(runtime(down, FakeTools.ok)))
  )

  it.effect("is the same whatever the ids, the time and the owner are", () =>
    Effect.gen(function* () {
      const first = yield* Effect.provide(journal, runtime(down, FakeTools.ok))
      const other = first.map((event) => ({
        ...event,
        run: "01arz3ndektsv4rrffq69g5fav",
        time: event.time + 1_000_000_000,
        ...("due" in event && event.due !== undefined ? { due: event.due + 1_000_000_000 } : {}),
        ...("key" in event ? { key: "f".repeat(64) } : {}),
        ...("owner" in event ? { owner: "host-17" } : {}),
        epoch: event.epoch + 3,
        prev: "0".repeat(64)
      })) as typeof first
      assert.strictEqual(
        JournalSnapshot.render(other).replace("run <run 1>", "run id-1"),
        JournalSnapshot.render(first)
      )
    })
  )

  it("is for journals only", () => {
    for (const value of [[], [1], [{ kind: "visited" }], { kind: "created" }, "text", undefined])
      assert.isFalse(JournalSnapshot.serializer.test(value))
  })
})
