/** A store of one's own: that it keeps every promise of a store, and one more. */
import { assert, describe, it } from "@effect/vitest"
import { MemoryStore, Runs, Store } from "@waymark/core"
import type { StoreHarness } from "@waymark/testing"
import { StoreChecks, StoreSuite, TestRuntime } from "@waymark/testing"
import { Effect, Layer } from "effect"
import * as AuditedStore from "../src/auditedStore.ts"
import { PayBack, Refund, RefundHandlers } from "../src/refund.ts"
import { world } from "./fakes.ts"

/** Where things are stored. Each test of the suite gets a new one; processes that are opened on it share what is there. */
const makePlace = () => ({ disk: MemoryStore.makeDisk(), audit: AuditedStore.makeAudit() })
type Place = ReturnType<typeof makePlace>

const open = ({ audit, disk }: Place) =>
  AuditedStore.layer(MemoryStore.layer({ disk })).pipe(Layer.provide(audit.layer))

/** A worker on it, in virtual time. */
const runtime = (tools: ReturnType<typeof world>, audit: Place["audit"]) =>
  TestRuntime.layer({
    flows: [Refund],
    handlers: Layer.provide(RefundHandlers, tools.layer),
    store: (inner) => AuditedStore.layer(inner).pipe(Layer.provide(audit.layer))
  })

const harness: StoreHarness.Harness<Place> = {
  place: Effect.sync(makePlace),
  layer: open,
  // What the store, or this test, can do; or why it cannot. The report shows the reason at every test that is skipped for it.
  capabilities: {
    several: true,
    reopen: true,
    crash: ({ disk }) => Effect.sync(disk.cutPower),
    lapse: ({ disk }, owner) => Effect.sync(() => disk.lapse(owner)),
    failWrites: ({ audit }, failing) =>
      Effect.sync(() => {
        audit.isAvailable = !failing
      }),
    leaseMillis: { missing: "the leases of the store under it do not run out with time" },
    newerFormat: { missing: "it keeps nothing of its own, so it has no format" }
  }
}

StoreSuite.suite({
  name: "audited",
  ...harness,
  // How many random sequences of operations are compared with a model. The layer is thin, so few.
  property: { runs: 20 },
  // A single check is skipped by its name.
  skip: {
    "size: a run of 100,000 entries is read from either end and in the middle":
      "reading is left to the store under it, whose own tests have this"
  }
})

describe("the suite", () => {
  it.live("finds a layer that forgets an argument", () =>
    Effect.gen(function* () {
      // Who creates a run says whether it is the one who executes it.
      const forgetful = Layer.effect(
        Store.Store,
        Effect.map(Store.Store, (store) =>
          Store.Store.of({ ...store, create: (batch) => store.create(batch) })
        )
      )
      const check = StoreChecks.named(
        "create: with a holder, the run belongs to this instance from the start"
      )
      yield* check.run(harness)
      const broken = { ...harness, layer: (place: Place) => Layer.provide(forgetful, open(place)) }
      const failure = yield* Effect.flip(check.run(broken))
      assert.include(failure.message, check.name)
    })
  )
})

describe("a refund on it", () => {
  it.effect("leaves a record of each change, and none of what the customer bought", () => {
    const tools = world()
    const audit = AuditedStore.makeAudit()
    return Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const run = yield* runs.start(Refund, { order: "small" }, { id: "refund-small" })
      yield* TestRuntime.expectCompleted(run)
      const about = audit.changes.filter((change) => change.run === "refund-small")
      assert.strictEqual(about[0]?.detail, "created")
      assert.include(about.at(-1)?.detail, "completed")
      assert.notInclude(JSON.stringify(audit.changes), "ada")
    }).pipe(Effect.provide(runtime(tools, audit)))
  })

  it.effect("pays nothing that could not be recorded, and is paid once when it can be", () => {
    const tools = world()
    const audit = AuditedStore.makeAudit()
    return Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const run = yield* runs.start(Refund, { order: "big" }, { id: "refund-big" })
      yield* TestRuntime.expectWaiting(run, "approval")
      audit.isAvailable = false
      yield* runs.answer(run, "approval", "yes")
      yield* (yield* TestRuntime.TestRuntime).idle
      tools.expectNotCalled(PayBack)
      audit.isAvailable = true
      // The worker tries again after a while, which is virtual.
      yield* TestRuntime.advanceToEnd(run)
      yield* TestRuntime.expectCompleted(run)
      tools.expectOnce(PayBack)
    }).pipe(Effect.provide(runtime(tools, audit)))
  })
})
