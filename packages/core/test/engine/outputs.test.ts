import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { Codec } from "@waymark/core/Codec"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Run from "@waymark/core/Run"
import * as Runs from "@waymark/core/Runs"
import type { Visit } from "@waymark/core/Visit"
import type { RunState } from "@waymark/core/RunState"
import * as Worker from "@waymark/core/Worker"
import * as Telling from "../../src/internal/engine/telling.ts"
import { Busy, Echo, oneNode, program } from "./oneNode.ts"
import { idle, machine, type StoreService, until, untilStatus } from "./process.ts"

const Draft = Run.output("draft", Schema.Struct({ title: Schema.String, at: Schema.DateTimeUtcFromString }))
const Count = Run.output("count", Schema.Int)

const echo = Echo.toLayer(({ text }) => Effect.succeed(text))
const call = (text: string) => Effect.orDie(Echo.call({ text }))

const inRuns = (runs: Runs.Runs["Service"]) => Effect.provideService(Runs.Runs, runs)
const valuesOf = <A>(page: Effect.Effect<Runs.ItemPage<Runs.Emitted<A>>, unknown, Runs.Runs>) =>
  Effect.map(page, ({ items }) => items.map(({ value }) => value))

/** A tool that hangs in the first process, so that the process dies in the midst of a visit. */
const hanging = () => {
  const control = { hang: true }
  const layer = Echo.toLayer(({ text }) =>
    Effect.suspend(() => (text === "hang" && control.hang ? Effect.never : Effect.succeed(text)))
  )
  return { control, layer }
}

describe("the outputs of a run", () => {
  it.effect(
    "are listed in order, by kind with their types, page by page, the oldest or the newest first",
    () =>
      Effect.gen(function* () {
        const { boot } = machine()
        const { runs } = yield* boot(
          program(
            ({ next, state }) =>
              Effect.gen(function* () {
                yield* Count.emit(state.got.length)
                yield* Run.emit(Count, state.got.length + 100)
                return state.got.length === 2 ? next.end(state.got) : next.to("work", { got: ["x"] })
              }),
            echo
          )
        )
        const run = yield* runs.start(oneNode, {})
        yield* runs.await(run)
        const all = yield* Runs.outputs(run, Count).pipe(inRuns(runs))
        assert.deepStrictEqual(
          all.items.map(({ value }) => value),
          [0, 100, 1, 101, 2, 102]
        )
        assert.isUndefined(all.cursor)
        assert.deepInclude(all.items[3], {
          run: run.id,
          node: "work",
          visit: 2,
          attempt: 1,
          branch: "",
          output: "count"
        })

        for (const order of ["oldest", "newest"] as const) {
          const paged: Array<number> = []
          let cursor: number | undefined
          do {
            const page = yield* Runs.outputs(run, Count, { limit: 4, order, cursor }).pipe(inRuns(runs))
            paged.push(...page.items.map(({ value }) => value))
            cursor = page.cursor
          } while (cursor !== undefined)
          assert.deepStrictEqual(
            paged,
            order === "oldest" ? [0, 100, 1, 101, 2, 102] : [102, 2, 101, 1, 100, 0]
          )
        }
      })
  )

  it.effect("are told apart by kind; all of them are given as they are stored", () =>
    Effect.gen(function* () {
      const { boot } = machine()
      const { runs } = yield* boot(
        program(({ next }) =>
          Effect.gen(function* () {
            const at = Schema.decodeSync(Schema.DateTimeUtcFromString)("2026-01-02T03:04:05.000Z")
            yield* Draft.emit({ title: "t", at })
            yield* Count.emit(7)
            return next.end([])
          })
        )
      )
      const run = yield* runs.start(oneNode, {})
      yield* runs.await(run)
      const [draft] = yield* valuesOf(Runs.outputs(run, Draft)).pipe(inRuns(runs))
      assert.strictEqual(draft!.title, "t")
      assert.strictEqual(
        Schema.encodeSync(Schema.DateTimeUtcFromString)(draft!.at),
        "2026-01-02T03:04:05.000Z"
      )
      assert.deepStrictEqual(yield* valuesOf(Runs.outputs(run, Count)).pipe(inRuns(runs)), [7])
      assert.deepStrictEqual(yield* valuesOf(Runs.outputs(run)).pipe(inRuns(runs)), [
        { title: "t", at: "2026-01-02T03:04:05.000Z" },
        7
      ])
      const other = Run.output("draft", Schema.Int)
      const error = yield* Effect.flip(Runs.outputs(run, other).pipe(inRuns(runs)))
      assert.match(error.message, /^output draft at seq 1 of run ".*" is not valid/)
    })
  )

  it.effect("are streamed when they are durable and not before, and the stream ends with the run", () =>
    Effect.gen(function* () {
      const latch = Latch.makeUnsafe(false)
      const wrap = (store: StoreService): StoreService => ({
        ...store,
        sync: (lease) => Effect.andThen(latch.await, store.sync(lease))
      })
      const { boot } = machine()
      const { runs } = yield* boot(
        program(
          ({ next }) =>
            Effect.gen(function* () {
              yield* Count.emit(1)
              yield* call("x")
              yield* Count.emit(2)
              return next.end([])
            }),
          echo
        ),
        { wrap }
      )
      const run = yield* runs.start(oneNode, {})
      const seen: Array<number> = []
      const done = yield* Effect.forkChild(
        Stream.runForEach(Runs.outputStream(run, Count), ({ value }) =>
          Effect.sync(() => void seen.push(value))
        ).pipe(inRuns(runs))
      )
      yield* idle
      assert.deepStrictEqual(seen, [])
      yield* latch.release
      yield* idle
      assert.deepStrictEqual(seen, [1])
      yield* latch.open
      yield* idle
      assert.deepStrictEqual(seen, [1, 2])
      assert.isTrue(Exit.isSuccess(done.pollUnsafe()!))
    })
  )

  it.effect(
    "are given once, however often the visit is executed: after a crash, and in another attempt",
    () =>
      Effect.gen(function* () {
        const { control, layer } = hanging()
        const flow = Flow.make("twice", {
          input: Schema.Struct({}),
          error: Busy,
          start: "work",
          nodes: { work: Node.make({ to: ["end"], error: Busy, retry: Schedule.recurs(1) }) }
        })
        const failing = { left: 1 }
        const live = Worker.layer({ flows: [flow] }).pipe(
          Layer.provide(
            flow.toLayer({
              work: ({ next }) =>
                Effect.gen(function* () {
                  yield* Count.emit(1)
                  yield* Count.emit(1)
                  yield* Count.emit(1, { key: "other" })
                  yield* Run.log("here", { a: 1 })
                  yield* Run.log("here", { a: 1 })
                  yield* Run.tag("seen")
                  yield* call("hang")
                  yield* Count.emit(1)
                  if (failing.left-- > 0) return yield* new Busy({ n: 1 })
                  yield* Count.emit(2)
                  return next.end()
                })
            })
          ),
          Layer.provide(layer)
        )
        const { boot, crash, eventsOf } = machine()
        const first = yield* boot(live)
        const run = yield* first.runs.start(flow, {})
        yield* until(Effect.map(eventsOf(run, "callStarted"), ({ length }) => length === 1))
        assert.strictEqual((yield* eventsOf(run, "emitted")).length, 3)
        yield* crash
        control.hang = false
        const { runs } = yield* boot(live)
        yield* TestClock.adjust("1 minute")
        yield* runs.await(run)
        assert.deepStrictEqual(
          (yield* eventsOf(run, "emitted")).map(({ attempt, value }) => [attempt, value]),
          [
            [1, 1],
            [1, 1],
            [1, 1],
            [1, 1],
            [2, 2]
          ]
        )
        assert.strictEqual((yield* eventsOf(run, "logged")).length, 2)
        assert.strictEqual((yield* eventsOf(run, "tagged")).length, 1)
        assert.deepStrictEqual((yield* runs.get(run)).tags, ["seen"])
      })
  )

  it.effect("are given again by the next visit of the node", () =>
    Effect.gen(function* () {
      const { boot } = machine()
      const { runs } = yield* boot(
        program(({ next, state }) =>
          Effect.gen(function* () {
            yield* Count.emit(1)
            return state.got.length === 1 ? next.end([]) : next.to("work", { got: ["x"] })
          })
        )
      )
      const run = yield* runs.start(oneNode, {})
      yield* runs.await(run)
      assert.deepStrictEqual(yield* valuesOf(Runs.outputs(run, Count)).pipe(inRuns(runs)), [1, 1])
    })
  )

  it.effect("of a fork begin with the fork, and do not repeat what the open visit had given", () =>
    Effect.gen(function* () {
      const { boot, eventsOf } = machine()
      const { runs } = yield* boot(
        program(
          ({ next }) =>
            Effect.gen(function* () {
              yield* Count.emit(1)
              yield* call("x")
              yield* Count.emit(2)
              return next.end([])
            }),
          echo
        )
      )
      const run = yield* runs.start(oneNode, {})
      yield* runs.await(run)
      const [completed] = yield* eventsOf(run, "callCompleted")
      const fork = yield* runs.fork(run, completed!.seq)
      yield* runs.await(fork)
      assert.deepStrictEqual(yield* valuesOf(Runs.outputs(fork, Count)).pipe(inRuns(runs)), [2])
      assert.deepStrictEqual(yield* valuesOf(Runs.outputs(run, Count)).pipe(inRuns(runs)), [1, 2])
    })
  )

  it.effect("are not written by a replay, and do not disturb it", () =>
    Effect.gen(function* () {
      const live = program(
        ({ next }) =>
          Effect.gen(function* () {
            yield* Count.emit(1)
            yield* Run.log("l")
            yield* Run.progress(1, 2)
            yield* Run.tag("t")
            yield* call("x")
            return next.end([])
          }),
        echo
      )
      const { boot, journal } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* runs.await(run)
      const before = yield* journal(run)
      const changed = oneNode.toLayer({
        work: ({ next }) =>
          Effect.gen(function* () {
            yield* Count.emit(9)
            yield* Run.progress(9, 9)
            yield* Effect.orDie(Echo.call({ text: "x" }))
            return next.end([])
          })
      })
      const report = yield* Effect.provideService(Runs.replay(run), Runs.Runs, runs).pipe(
        Effect.provide(changed.pipe(Layer.provide(echo)))
      )
      assert.deepStrictEqual(report, { run: run.id, visits: 1, divergences: [] })
      assert.deepStrictEqual(yield* journal(run), before)
    })
  )

  it.effect("cannot be given by something that outlived its visit", () =>
    Effect.gen(function* () {
      const left = Deferred.makeUnsafe<Context.Context<Visit>>()
      const { boot, kinds } = machine()
      const { runs } = yield* boot(
        program(
          ({ next, state }) =>
            Effect.gen(function* () {
              if (state.got.length === 0) yield* Deferred.succeed(left, yield* Effect.context<Visit>())
              yield* call("x")
              return state.got.length === 0 ? next.to("work", { got: ["x"] }) : next.end([])
            }),
          echo
        )
      )
      const run = yield* runs.start(oneNode, {})
      yield* runs.await(run)
      const context = yield* Deferred.await(left)
      const told: { readonly [what: string]: Effect.Effect<void, never, Visit> } = {
        "Run.emit": Count.emit(1),
        "Run.log": Run.log("x"),
        "Run.progress": Run.progress(1, 2),
        "Run.tag": Run.tag("x"),
        "Run.attributes": Run.attributes({ a: "b" })
      }
      for (const [what, effect] of Object.entries(told)) {
        const exit = yield* Effect.exit(Effect.provide(effect, context))
        const reason = Exit.isFailure(exit) ? exit.cause.reasons[0] : undefined
        assert.strictEqual(
          reason?._tag === "Die" ? (reason.defect as Error).message : reason,
          `${what} was used by something that outlived visit 1 of node work`
        )
      }
      assert.notInclude(yield* kinds(run), "emitted")
    })
  )

  it.effect(
    "cannot be given by a fiber that is left behind while the visit ends, even if it asked before",
    () =>
      Effect.gen(function* () {
        const sealing = Latch.makeUnsafe(true)
        const codec: Codec = {
          name: "slow",
          encrypts: false,
          encode: (value) => (value === 1 ? Effect.as(sealing.await, value) : Effect.succeed(value)),
          decode: Effect.succeed
        }
        const exits: Array<Exit.Exit<void>> = []
        const live = program(({ next }) =>
          Effect.gen(function* () {
            yield* sealing.close
            // The first holds up the others while it is sealed; the visit ends meanwhile.
            const left = Effect.onExit(Effect.andThen(Count.emit(1), Count.emit(2)), (exit) =>
              Effect.sync(() => void exits.push(exit))
            )
            yield* Effect.forkDetach(left, { startImmediately: true })
            return next.end([])
          })
        )
        const { boot, kinds } = machine()
        const { runs } = yield* boot(live.pipe(Layer.provide(Layer.succeed(Codec, codec))))
        const run = yield* runs.start(oneNode, {})
        yield* idle
        yield* sealing.open
        yield* runs.await(run)
        yield* idle
        assert.deepStrictEqual(yield* kinds(run), ["created", "emitted", "visited", "completed"])
        assert.match(String(exits[0]), /outlived visit 1/)
      })
  )

  it.effect("fail as a defect if they do not fit their schema", () =>
    Effect.gen(function* () {
      const { boot, kinds } = machine()
      const { runs } = yield* boot(program(({ next }) => Effect.as(Count.emit(1.5), next.end([]))))
      const run = yield* runs.start(oneNode, {})
      const error = yield* Effect.flip(runs.await(run))
      assert.strictEqual(error._tag, "RunFailed")
      assert.match(error.message, /output count does not fit its schema/)
      assert.notInclude(yield* kinds(run), "emitted")
    })
  )

  it.effect("that are secret are not stored in plain text", () =>
    Effect.gen(function* () {
      const Secret = Run.output("secret", Schema.Redacted(Schema.String))
      assert.isTrue(Secret.requiresCodec)
      assert.isFalse(Count.requiresCodec)
      const { boot } = machine()
      const { runs } = yield* boot(
        program(({ next }) => Effect.as(Secret.emit(Redacted.make("x")), next.end([])))
      )
      const error = yield* Effect.flip(runs.execute(oneNode, {}))
      assert.match(error.message, /output secret has Redacted values: provide a Codec that encrypts/)
    })
  )

  it.effect("and logs are sealed by a codec in the journal, and opened for who reads them", () =>
    Effect.gen(function* () {
      const codec: Codec = {
        name: "sealing",
        encrypts: true,
        encode: (value) => Effect.succeed(Buffer.from(JSON.stringify(value)).toString("base64")),
        decode: (value) => Effect.succeed(JSON.parse(Buffer.from(value as string, "base64").toString()))
      }
      const live = program(({ next }) =>
        Effect.gen(function* () {
          yield* Count.emit(123456)
          yield* Run.log("private text", { private: "data" })
          return next.end([])
        })
      ).pipe(Layer.provide(Layer.succeed(Codec, codec)))
      const { boot, journal } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(oneNode, {})
      yield* runs.await(run)
      const stored = JSON.stringify(yield* journal(run))
      assert.notInclude(stored, "private")
      assert.notInclude(stored, "123456")
      assert.deepStrictEqual(yield* valuesOf(Runs.outputs(run, Count)).pipe(inRuns(runs)), [123456])
      const { items } = yield* Runs.log(run, { contains: "private" }).pipe(inRuns(runs))
      assert.deepInclude(items[0], { message: "private text", data: { private: "data" } })
    })
  )

  it("are defined with a name and a schema whose values can be stored", () => {
    assert.throws(
      () => Run.output("", Schema.Struct({ x: Schema.Any })),
      /output "" cannot be defined:\n- schema.x is a Schema.Any.*\n- "" cannot be the name of an output/
    )
  })
})

describe("the log of a run", () => {
  it.effect("is listed by node, time and text, page by page, the oldest or the newest first", () =>
    Effect.gen(function* () {
      const flow = Flow.make("logging", {
        input: Schema.Struct({}),
        start: "a",
        nodes: { a: Node.make({ to: ["b"] }), b: Node.make({ to: ["end"] }) }
      })
      const live = Worker.layer({ flows: [flow] }).pipe(
        Layer.provide(
          flow.toLayer({
            a: ({ next }) =>
              Effect.gen(function* () {
                yield* Run.log("started")
                yield* Effect.sleep("10 seconds")
                yield* Run.log("slept", { seconds: 10 })
                return next.to("b")
              }),
            b: ({ next }) => Effect.as(Run.log("started"), next.end())
          })
        )
      )
      const { boot } = machine()
      const { runs } = yield* boot(live)
      const run = yield* runs.start(flow, {})
      yield* TestClock.adjust("10 seconds")
      yield* runs.await(run)
      const lines = (filter?: Runs.LogFilter) =>
        Effect.map(Runs.log(run, filter).pipe(inRuns(runs)), ({ items }) =>
          items.map(({ message, node }) => `${node}: ${message}`)
        )
      assert.deepStrictEqual(yield* lines(), ["a: started", "a: slept", "b: started"])
      assert.deepStrictEqual(yield* lines({ order: "newest", limit: 2 }), ["b: started", "a: slept"])
      assert.deepStrictEqual(yield* lines({ node: "a" }), ["a: started", "a: slept"])
      assert.deepStrictEqual(yield* lines({ contains: "sle" }), ["a: slept"])
      assert.deepStrictEqual(yield* lines({ until: 10_000 }), ["a: started"])
      assert.deepStrictEqual(yield* lines({ since: 10_000 }), ["a: slept", "b: started"])
      const { items } = yield* Runs.log(run).pipe(inRuns(runs))
      assert.deepStrictEqual(
        items.map(({ data, time }) => [data, time]),
        [
          [undefined, 0],
          [{ seconds: 10 }, 10_000],
          [undefined, 10_000]
        ]
      )
    })
  )

  it.effect("takes no data that JSON cannot hold", () =>
    Effect.gen(function* () {
      const { boot } = machine()
      const { runs } = yield* boot(program(({ next }) => Effect.as(Run.log("x", { n: NaN }), next.end([]))))
      const error = yield* Effect.flip(runs.execute(oneNode, {}))
      assert.match(error.message, /the data of a log line does not fit its schema/)
    })
  )
})

describe("what handlers give a run to find it by", () => {
  it.effect("is added to what it was started with, and searched for", () =>
    Effect.gen(function* () {
      const { boot } = machine()
      const { runs } = yield* boot(
        program(
          ({ next }) =>
            Effect.gen(function* () {
              yield* Run.tag("b", "c")
              yield* Run.attributes({ customer: "7", size: "l" })
              yield* call("x")
              return next.end([])
            }),
          echo
        )
      )
      const run = yield* runs.start(
        oneNode,
        {},
        { tags: ["a", "b"], attributes: { customer: "1", colour: "red" } }
      )
      yield* runs.await(run)
      const { attributes, tags } = yield* runs.get(run)
      assert.deepStrictEqual(tags, ["a", "b", "c"])
      assert.deepStrictEqual(attributes, { customer: "7", colour: "red", size: "l" })
      assert.deepStrictEqual(
        (yield* runs.list({ tag: "c" })).runs.map(({ run: id }) => id),
        [run.id]
      )
    })
  )
})

describe("what is asked for while its visit is open, and decided when it is not", () => {
  it.effect("is not written, and who asked is told so", () =>
    Effect.gen(function* () {
      const { boot } = machine()
      const { runs } = yield* boot(
        program(({ next, state }) =>
          Effect.succeed(state.got.length === 1 ? next.end([]) : next.to("work", { got: ["x"] }))
        )
      )
      const run = yield* runs.start(oneNode, {})
      yield* runs.await(run)
      const first = yield* runs.stateAt(run, 0)
      const second = yield* runs.stateAt(run, 1)
      const decided: Array<unknown> = []
      const host = {
        hash: (text: string) => text,
        halted: () => false,
        state: () => first,
        appendTo: (decide: (state: RunState) => unknown) =>
          Effect.sync(() => void decided.push(decide(second)))
      } as unknown as Telling.Telling["host"]
      const telling = Telling.make(host, oneNode, "", first.open[""]!, yield* Clock.Clock)
      const exit = yield* Effect.exit(
        Telling.once(telling, "Run.emit", ["x"], (mark) => [
          { kind: "emitted", ...telling.where, mark, name: "x", value: 1 }
        ])
      )
      assert.match(String(exit), /Run.emit was used by something that outlived visit 1 of node work/)
      assert.deepStrictEqual(decided, [undefined])
    })
  )
})

describe("a handler that is interrupted", () => {
  const interruptible = program(({ next }) =>
    Effect.never.pipe(
      Effect.onInterrupt(() => Run.log("interrupted")),
      Effect.as(next.end([]))
    )
  )

  it.effect("tells nothing if its visit will be executed again", () =>
    Effect.gen(function* () {
      const { boot, kinds } = machine()
      const { runs, stop } = yield* boot(interruptible)
      const run = yield* runs.start(oneNode, {})
      yield* idle
      yield* stop
      assert.deepStrictEqual(yield* kinds(run), ["created"])
    })
  )

  it.effect("may tell of it if its run is cancelled", () =>
    Effect.gen(function* () {
      const { boot, kinds } = machine()
      const { runs } = yield* boot(interruptible)
      const run = yield* runs.start(oneNode, {})
      yield* idle
      assert.strictEqual(yield* runs.cancel(run, "no need"), "cancelled")
      assert.deepStrictEqual(yield* kinds(run), ["created", "cancelRequested", "logged", "cancelled"])
    })
  )
})

describe("a run that cannot be written any more", () => {
  it.effect("stops where it tells something, and tells it when it is taken up again", () =>
    Effect.gen(function* () {
      let broken = true
      let passed = 0
      const wrap = (store: StoreService): StoreService => ({
        ...store,
        append: (lease, expected, batch) =>
          broken && batch.entries.some(({ event }) => event.kind === "emitted")
            ? store.append({ ...lease, epoch: lease.epoch + 7 }, expected, batch)
            : store.append(lease, expected, batch)
      })
      const { boot, kinds } = machine()
      const { runs, stop } = yield* boot(
        program(({ next }) =>
          Effect.gen(function* () {
            yield* Count.emit(1)
            passed += 1
            return next.end([])
          })
        ),
        { wrap }
      )
      const run = yield* runs.start(oneNode, {})
      yield* idle
      assert.strictEqual(passed, 0)
      broken = false
      yield* stop
      const second = yield* boot(program(({ next }) => Effect.as(Count.emit(1), next.end([]))))
      yield* untilStatus(second.runs, run, "completed")
      assert.deepStrictEqual((yield* kinds(run)).filter((kind) => kind === "emitted").length, 1)
    })
  )
})
