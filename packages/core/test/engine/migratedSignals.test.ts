import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { checkCompatibility } from "@waymark/core/Compatibility"
import * as Flow from "@waymark/core/Flow"
import * as Manifest from "@waymark/core/Manifest"
import * as Migration from "@waymark/core/Migration"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import { Store } from "@waymark/core/Store"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { idle, machine, untilStatus } from "./process.ts"

const nodes = { work: Node.make({ to: ["end"] }) }
const common = { input: Schema.Struct({}), output: Schema.String, start: "work" as const, nodes }

const V1 = Flow.make("reviewing", { ...common, version: 1, signals: { old: Schema.String } })
const V2 = Flow.make("reviewing", {
  ...common,
  version: 2,
  signals: { remark: Schema.String },
  migrations: [Migration.make({ from: V1, to: { version: 2, state: {} }, state: () => ({}) })]
})
/** The same version, with another signal. */
const Other = Flow.make("reviewing", { ...common, version: 1, signals: { old: Schema.Int } })

type Reviewing<S extends Flow.Signals> = Flow.Flow<
  "reviewing",
  typeof common.input,
  {},
  typeof common.output,
  typeof Schema.Never,
  typeof nodes,
  S
>

const handlers = <S extends Flow.Signals>(flow: Reviewing<S>) =>
  flow.toLayer({
    work: ({ next }) =>
      Effect.gen(function* () {
        yield* Wait.sleep("1 hour")
        yield* Wait.sleep("1 hour")
        return next.end(yield* Wait.event("remark", { schema: Schema.String }))
      })
  })

const worker = <S extends Flow.Signals>(flow: Reviewing<S>) =>
  Worker.layer({ flows: [flow] }).pipe(Layer.provide(handlers(flow)))

describe("a flow whose signals became others", () => {
  it.effect("keeps, in runs that it migrates, the new ones and not the old", () =>
    Effect.gen(function* () {
      const computer = machine()
      const first = yield* computer.boot(worker(V1))
      const run = yield* first.runs.start(V1, {}, { id: "r" })
      yield* untilStatus(first.runs, run, "waiting")
      yield* first.stop

      const { runs } = yield* computer.boot(worker(V2))
      yield* TestClock.adjust("61 minutes")
      yield* idle
      const info = yield* runs.get(run)
      assert.strictEqual(info.version, 2)
      assert.deepStrictEqual(info.signals, ["remark"])
      assert.deepStrictEqual(
        (yield* computer.eventsOf(run, "migrated")).map(({ signals }) => signals),
        [["remark"]]
      )
      const refused = yield* Effect.flip(runs.signal(run, "old", "late"))
      assert.strictEqual(refused._tag, "CommandRefused")
      yield* runs.signal(Runs.ref(V2, "r"), "remark", "early")
      yield* idle
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* runs.await(run), "early")
    })
  )

  it.effect("is another one: without a migration its runs are paused, and the signal is named", () =>
    Effect.gen(function* () {
      assert.notStrictEqual(V1.fingerprint, Other.fingerprint)
      const computer = machine()
      const first = yield* computer.boot(worker(V1))
      const run = yield* first.runs.start(V1, {})
      yield* untilStatus(first.runs, run, "waiting")
      const [verdict] = yield* Stream.runCollect(checkCompatibility(Other)).pipe(
        Effect.provide(handlers(Other)),
        Effect.provideService(Store, first.store)
      )
      assert.strictEqual(verdict!._tag, "Breaks")
      assert.include(verdict!.why, `signal "old" no longer has the type String`)
      yield* first.stop
      const { runs } = yield* computer.boot(worker(Other))
      yield* TestClock.adjust("61 minutes")
      yield* untilStatus(runs, run, "paused")
    })
  )

  it("has them in its manifest, with what they hold", () => {
    const { signals } = Manifest.manifest(V2)
    assert.deepStrictEqual(signals, [{ name: "remark", schema: { type: "string" } }])
    assert.isFalse("signals" in Manifest.manifest(Flow.make("plain", common)))
  })

  it("has the fingerprint of a flow without them, if it has none", () => {
    const plain = Flow.make("plain", common)
    assert.strictEqual(Flow.make("plain", { ...common, signals: {} }).fingerprint, plain.fingerprint)
  })
})
