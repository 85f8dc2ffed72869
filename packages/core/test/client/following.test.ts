import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as RunInfo from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import * as Worker from "@waymark/core/Worker"
import { idle, machine } from "../engine/process.ts"

/** Three steps of a second each, then as many as take no time. */
const steps = (more = 0) => {
  const flow = Flow.make("steps", {
    input: Schema.Struct({}),
    output: Schema.Int,
    start: "a",
    nodes: {
      a: Node.make({ to: ["b"] }),
      b: Node.make({ to: ["b", "c"] }),
      c: Node.make({ to: ["end"] })
    }
  })
  let left = more
  const live = Worker.layer({ flows: [flow] }).pipe(
    Layer.provide(
      flow.toLayer({
        a: ({ next }) => Effect.as(Effect.sleep("1 second"), next.to("b")),
        b: ({ next }) =>
          left-- > 0 ? Effect.succeed(next.to("b")) : Effect.as(Effect.sleep("1 second"), next.to("c")),
        c: ({ next }) => Effect.as(Effect.sleep("1 second"), next.end(1))
      })
    )
  )
  return { flow, live }
}

const started = (options: { readonly more?: number; readonly durability?: "strict" | "pipelined" } = {}) =>
  Effect.gen(function* () {
    const { flow, live } = steps(options.more)
    const computer = machine()
    const { runs } = yield* computer.boot(live)
    const run = yield* runs.start(flow, {}, { id: "r", durability: options.durability ?? "strict" })
    const client = yield* computer.client
    return { ...computer, client, run, runs }
  })

/** A client that hears of nothing until it is told. */
const slow = (runs: Runs.Runs["Service"]) =>
  Effect.map(Deferred.make<void>(), (told) => {
    const { client } = runs
    const changed: typeof client.store.changed = (run, seq) =>
      Effect.tap(client.store.changed(run, seq), () => Deferred.await(told))
    return {
      runs: { ...runs, client: { ...client, store: { ...client.store, changed } } },
      tell: Deferred.succeed(told, undefined)
    }
  })

const using = (runs: Runs.Runs["Service"]) => Effect.provideService(Runs.Runs, runs)

describe("awaiting that a run's row is like something", () => {
  it.effect("gives the first row that is, the present one included", () =>
    Effect.gen(function* () {
      const { client, run, runs } = yield* started()
      const now = yield* Runs.awaitUntil(run, ({ node }) => node === "a").pipe(using(runs))
      assert.strictEqual(now.seq, 0)
      const waiting = yield* Effect.forkChild(
        Runs.awaitUntil("r", ({ steps }) => steps === 2).pipe(using(client))
      )
      yield* idle
      yield* TestClock.adjust("1 second")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 second")
      const info = yield* Fiber.join(waiting)
      assert.strictEqual(info.node, "c")
      assert.deepStrictEqual(info, yield* runs.get(run))
    })
  )

  it.effect("asks about every row, however short it lasted", () =>
    Effect.gen(function* () {
      const { client, run, runs } = yield* started({ more: 3000, durability: "pipelined" })
      const middle = yield* Effect.forkChild(
        Runs.awaitUntil(run, ({ steps }) => steps === 1234).pipe(using(client))
      )
      yield* idle
      // All of them become durable at once, at the end. The sleeps at the end only begin when the steps are done.
      const ended = yield* Effect.forkChild(runs.await(run))
      while (ended.pollUnsafe() === undefined) yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(ended), 1)
      const info = yield* Fiber.join(middle)
      assert.strictEqual(info.steps, 1234)
      assert.strictEqual(info.node, "b")
      assert.strictEqual(info.status, "running")
    })
  )

  it.effect("fails when the run ends without it, and says how it ended", () =>
    Effect.gen(function* () {
      const { client, run, runs } = yield* started()
      const waiting = yield* Effect.forkChild(
        Effect.flip(Runs.awaitUntil(run, ({ node }) => node === "nowhere").pipe(using(client)))
      )
      yield* idle
      yield* runs.cancel(run, "enough")
      const error = yield* Fiber.join(waiting)
      assert.strictEqual(error._tag, "RunEnded")
      const ended = (yield* runs.get(run)).ended!
      assert.deepInclude(error, { run: "r", status: "cancelled", seq: ended })
      assert.include(error.message, `run "r" ended (cancelled, at seq ${ended})`)
      // And so for whoever asks later; but the end itself can be waited for.
      yield* Runs.annotate(run, "why?").pipe(using(client))
      const late = yield* Effect.flip(Runs.awaitUntil(run, ({ steps }) => steps > 9).pipe(using(client)))
      assert.deepInclude(late, { _tag: "RunEnded", seq: ended })
      const end = yield* Runs.awaitUntil(run, ({ status }) => RunInfo.isTerminal(status)).pipe(using(client))
      assert.strictEqual(end.status, "cancelled")
    })
  )

  it.effect("fails when there is no such run", () =>
    Effect.gen(function* () {
      const { client } = yield* started()
      const missing = yield* Effect.flip(Runs.awaitUntil("nope", () => true).pipe(using(client)))
      assert.strictEqual(missing._tag, "RunNotFound")
    })
  )

  for (const again of ["", "as far as it was", "further"]) {
    it.effect(
      `fails when it is deleted${again === "" ? "" : `, also when another with its id is ${again}`}`,
      () =>
        Effect.gen(function* () {
          const { client, run, runs } = yield* started()
          // It is told late of what happened: that the run has ended, too.
          const late = yield* slow(client)
          const waiting = yield* Effect.forkChild(
            Effect.flip(Runs.awaitUntil(run, () => false).pipe(using(late.runs)))
          )
          yield* idle
          assert.isUndefined(waiting.pollUnsafe())
          yield* runs.cancel(run, "enough")
          yield* idle
          yield* runs.delete(run)
          if (again === "further") yield* TestClock.adjust("1 second")
          if (again !== "") yield* runs.start(run.flow, {}, { id: "r", durability: "strict" })
          if (again === "further") yield* TestClock.adjust("2 seconds")
          yield* late.tell
          assert.strictEqual((yield* Fiber.join(waiting))._tag, "RunNotFound")
        })
    )
  }

  it.effect("knows after the timeout what it has not been told yet", () =>
    Effect.gen(function* () {
      const { client, run, runs } = yield* started()
      const late = yield* slow(client)
      const wait = (predicate: (info: RunInfo.RunInfo) => boolean) =>
        Effect.forkChild(
          Effect.result(Runs.awaitUntil(run, predicate, { timeout: "1 hour" }).pipe(using(late.runs)))
        )
      const never = yield* wait(({ steps }) => steps > 9)
      const ended = yield* wait(({ status }) => status === "completed")
      yield* idle
      yield* TestClock.adjust("3 seconds")
      yield* runs.await(run)
      yield* TestClock.adjust("1 hour")
      const failure = yield* Fiber.join(never)
      assert.strictEqual(failure._tag === "Failure" && failure.failure._tag, "RunEnded")
      assert.strictEqual((yield* Fiber.join(ended))._tag, "Success")
    })
  )

  it.effect("stops waiting after the timeout, by the clock, and the run goes on", () =>
    Effect.gen(function* () {
      const { client, run, runs } = yield* started()
      const wait = (seconds: number, steps: number) =>
        Effect.forkChild(
          Effect.result(
            Runs.awaitUntil(run, (info) => info.steps === steps, { timeout: `${seconds} seconds` }).pipe(
              using(client)
            )
          )
        )
      const inTime = yield* wait(10, 2)
      const tooLong = yield* wait(2.5, 3)
      yield* idle
      yield* TestClock.adjust("2499 millis")
      assert.isUndefined(tooLong.pollUnsafe())
      yield* TestClock.adjust("1 milli")
      const result = yield* Fiber.join(tooLong)
      assert.deepInclude(result._tag === "Failure" ? result.failure : result, {
        _tag: "AwaitTimeout",
        run: "r",
        status: "running",
        millis: 2500
      })
      assert.strictEqual((yield* Fiber.join(inTime))._tag, "Success")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* runs.await(run), 1)
    })
  )

  it.effect("does not swallow what a predicate throws, at once or later", () =>
    Effect.gen(function* () {
      const { client, run } = yield* started()
      const bug = new Error("bug")
      const thrown = (when: (info: RunInfo.RunInfo) => boolean) =>
        Runs.awaitUntil(
          run,
          (info) => {
            if (when(info)) throw bug
            return false
          },
          { timeout: "1 hour" }
        ).pipe(using(client), Effect.exit)
      assert.deepStrictEqual(yield* thrown(() => true), Exit.die(bug))
      const later = yield* Effect.forkChild(thrown(({ steps }) => steps === 1))
      yield* idle
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(later), Exit.die(bug))
    })
  )
})

describe("the progress of a run", () => {
  it.effect("is its row now, and after every event, until it has ended", () =>
    Effect.gen(function* () {
      const { client, journal, run, runs } = yield* started()
      const seen: Array<RunInfo.RunInfo> = []
      const fiber = yield* Effect.forkChild(
        Stream.runForEach(Runs.progress(run), (info) => Effect.sync(() => void seen.push(info))).pipe(
          using(client)
        )
      )
      yield* idle
      assert.deepStrictEqual(
        seen.map(({ node, seq }) => [node, seq]),
        [["a", 0]]
      )
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        seen.map(({ node }) => node),
        ["a", "b"]
      )
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(fiber)
      let row: RunInfo.RunInfo | undefined
      const rows = (yield* journal(run)).map((event) => (row = RunInfo.apply(row, event)))
      assert.deepStrictEqual(seen, rows)
      // Later, only how it ended.
      const later = yield* Stream.runCollect(Runs.progress("r")).pipe(using(runs))
      assert.deepStrictEqual(later, [rows[rows.length - 1]])
      const missing = yield* Effect.flip(Stream.runCollect(Runs.progress("nope"))).pipe(using(runs))
      assert.strictEqual(missing._tag, "RunNotFound")
    })
  )

  it.effect("leaves nothing out for whoever takes long, and gives no row before it is durable", () =>
    Effect.gen(function* () {
      const { client, run, runs } = yield* started({ more: 1500, durability: "pipelined" })
      const slow = yield* Effect.forkChild(
        Runs.progress(run).pipe(
          Stream.tap(({ seq }) => (seq === 0 ? Effect.sleep("1 hour") : Effect.void)),
          Stream.runCollect,
          using(client)
        )
      )
      const quick: Array<number> = []
      yield* Effect.forkChild(
        Stream.runForEach(Runs.progress(run), ({ steps }) => Effect.sync(() => void quick.push(steps))).pipe(
          using(client)
        )
      )
      yield* idle
      yield* TestClock.adjust("2 seconds")
      // It has gone as far as its last step, and nothing made that durable.
      assert.deepStrictEqual(quick, [0])
      yield* TestClock.adjust("1 second")
      yield* runs.await(run)
      yield* TestClock.adjust("1 hour")
      const rows = yield* Fiber.join(slow)
      assert.deepStrictEqual(
        rows.map(({ seq }) => seq),
        rows.map((_, index) => index)
      )
      assert.strictEqual(rows.at(-1)!.status, "completed")
    })
  )
})
