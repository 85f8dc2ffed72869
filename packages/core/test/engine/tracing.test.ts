import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { Echo, oneNode, program } from "./oneNode.ts"
import { idle, machine, type Program } from "./process.ts"

/** Keeps every span that was begun. */
const collecting = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  const named = (name: string) => spans.filter((span) => span.name === name)
  const traced = (live: Program): Program => live.pipe(Layer.provide(Layer.succeed(Tracer.Tracer, tracer)))
  return { named, spans, traced, tracer }
}

const parentOf = (span: Tracer.AnySpan | undefined): string | undefined => {
  assert.isDefined(span)
  return span?._tag === "Span" ? Option.getOrUndefined(span.parent)?.spanId : undefined
}

const work = (world: { hang: boolean }) =>
  program(
    ({ next, state }) =>
      Effect.gen(function* () {
        const got = yield* Effect.orDie(Echo.call({ text: `${state.got.length}` })).pipe(
          Effect.withSpan("in handler")
        )
        return state.got.length === 1 ? next.end(state.got) : next.to("work", { got: [got] })
      }),
    Echo.toLayer(({ text }) =>
      Effect.withSpan(world.hang && text === "1" ? Effect.never : Effect.succeed(text), "in tool")
    )
  )

describe("with a tracer", () => {
  it.effect(
    "a run, its visits and its calls have spans, one inside the other, under the span that started the run",
    () =>
      Effect.gen(function* () {
        const { named, spans, traced, tracer } = collecting()
        const { runs } = yield* machine()
          .boot(traced(work({ hang: false })))
          .pipe(Effect.withSpan("where the worker is built"), Effect.withTracer(tracer))
        yield* runs
          .execute(oneNode, {}, { id: "r" })
          .pipe(Effect.withSpan("caller"), Effect.withTracer(tracer))
        const [caller] = named("caller")
        const [run] = named("run one-node")
        const [first, second] = named("node work")
        const [call, other] = named("tool echo")
        const inHandler = named("in handler")
        const inTool = named("in tool")
        assert.strictEqual(parentOf(run), caller!.spanId)
        assert.strictEqual(parentOf(first), run!.spanId)
        assert.strictEqual(parentOf(second), run!.spanId)
        assert.strictEqual(parentOf(inHandler[0]), first!.spanId)
        assert.strictEqual(parentOf(call), inHandler[0]!.spanId)
        assert.strictEqual(parentOf(other), inHandler[1]!.spanId)
        assert.strictEqual(parentOf(inTool[1]), other!.spanId)
        assert.strictEqual(run!.attributes.get("waymark.run"), "r")
        assert.strictEqual(run!.attributes.get("waymark.flow"), "one-node")
        assert.strictEqual(second!.attributes.get("waymark.visit"), 2)
        assert.strictEqual(call!.attributes.get("waymark.tool"), "echo")
        for (const span of spans) {
          assert.strictEqual(span.status._tag, "Ended", span.name)
          if (span.status._tag === "Ended") assert.isTrue(Exit.isSuccess(span.status.exit), span.name)
        }
      })
  )

  it.effect("the span of a recovery is linked to the one before it, however often the process dies", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = { hang: true }
      const { named, traced } = collecting()
      const live = traced(work(world))
      const first = yield* computer.boot(live)
      const run = yield* first.runs.start(oneNode, {})
      yield* idle
      for (let i = 0; i < 2; i++) {
        yield* computer.crash
        if (i === 1) world.hang = false
        yield* computer.boot(live)
        yield* idle
      }
      const client = yield* computer.client
      yield* client.await(run)
      const spans = named("run one-node")
      assert.strictEqual(spans.length, 3)
      assert.deepStrictEqual(
        spans.map((span) => span.attributes.get("waymark.epoch")),
        [0, 1, 2]
      )
      assert.deepStrictEqual(
        spans.map((span) => span.links.map((link) => link.span.spanId)),
        [[], [spans[0]!.spanId], [spans[1]!.spanId]]
      )
      assert.deepStrictEqual(
        spans[1]!.links.map((link) => link.span.traceId),
        [spans[0]!.traceId]
      )
      const claims = yield* computer.eventsOf(run, "claimed")
      assert.deepStrictEqual(
        claims.map(({ trace }) => trace?.spanId),
        [spans[1]!.spanId, spans[2]!.spanId]
      )
    })
  )

  it.effect("the span of a run that a client started elsewhere is linked to the client's", () =>
    Effect.gen(function* () {
      const computer = machine()
      const { named, traced, tracer } = collecting()
      const client = yield* computer.client
      const run = yield* client.start(oneNode, {}).pipe(Effect.withSpan("client"), Effect.withTracer(tracer))
      const { runs } = yield* computer.boot(traced(work({ hang: false })))
      yield* runs.await(run)
      const [span] = named("run one-node")
      assert.deepStrictEqual(
        span!.links.map((link) => link.span.spanId),
        [named("client")[0]!.spanId]
      )
    })
  )

  it.effect("a span ends with what became of what it stands for", () =>
    Effect.gen(function* () {
      const { named, traced } = collecting()
      const live = traced(
        program(
          ({ next }) => Effect.as(Effect.ignore(Echo.call({ text: "x" })), next.end([])),
          Echo.toLayer(() => Effect.die("bug"))
        )
      )
      const { runs } = yield* machine().boot(live)
      const error = yield* Effect.flip(runs.execute(oneNode, {}))
      assert.strictEqual(error._tag, "RunFailed")
      const statusOf = (name: string) => {
        const status = named(name)[0]!.status
        return status._tag === "Ended" ? status.exit._tag : status._tag
      }
      assert.strictEqual(statusOf("tool echo"), "Failure")
      assert.strictEqual(statusOf("node work"), "Failure")
      // The run was refused because there was one of its id: no span stays open.
      yield* Effect.ignore(runs.start(oneNode, {}, { id: "twice" }))
      yield* Effect.ignore(runs.start(oneNode, {}, { id: "twice" }))
      yield* idle
      for (const span of named("run one-node")) assert.strictEqual(span.status._tag, "Ended")
    })
  )

  it.effect("an id for the trace stands in the journal only if there is one", () =>
    Effect.gen(function* () {
      const computer = machine()
      const { runs } = yield* computer.boot(work({ hang: false }))
      const plain = yield* runs.start(oneNode, {})
      yield* runs.await(plain)
      assert.isUndefined((yield* computer.eventsOf(plain, "created"))[0]!.trace)
      const { tracer } = collecting()
      const spanned = yield* runs
        .start(oneNode, {})
        .pipe(Effect.withSpan("caller"), Effect.withTracer(tracer))
      assert.isDefined((yield* computer.eventsOf(spanned, "created"))[0]!.trace)
      // One of a system that called this one.
      const external = Tracer.externalSpan({ traceId: "1".repeat(32), spanId: "2".repeat(16) })
      const called = yield* Effect.withParentSpan(runs.start(oneNode, {}), external)
      assert.strictEqual((yield* computer.eventsOf(called, "created"))[0]!.trace?.spanId, external.spanId)
      // Nobody hears of it, and its ids are chance.
      const unheard = yield* Effect.withSpan(runs.start(oneNode, {}), "caller")
      assert.isUndefined((yield* computer.eventsOf(unheard, "created"))[0]!.trace)
    })
  )
})
