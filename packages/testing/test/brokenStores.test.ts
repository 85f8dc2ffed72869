import { assert, describe, it } from "@effect/vitest"
import * as MemoryStore from "@waymark/core/MemoryStore"
import * as Effect from "effect/Effect"
import * as StoreChecks from "../src/StoreChecks.ts"
import * as StoreSuite from "../src/StoreSuite.ts"
import type { Harness } from "../src/StoreHarness.ts"
import { failingHarness, faults, harness } from "./brokenStores.ts"

describe("the store suite finds a store that", () => {
  for (const fault of faults) {
    it.live(
      fault.name,
      () =>
        Effect.gen(function* () {
          const [name, detail] = fault.found
          const failure = yield* Effect.flip(StoreChecks.named(name).run(harness(fault)))
          assert.strictEqual(failure.check, name)
          assert.match(failure.detail, detail)
        }),
      150_000
    )
  }

  it.live("confirms later what it could not write", () =>
    Effect.gen(function* () {
      const check = StoreChecks.named(
        "failure: after a failed write nothing of it is confirmed, then or later, and the run can be taken up again"
      )
      const failure = yield* Effect.flip(check.run(failingHarness({ believes: true })))
      assert.match(failure.detail, /what failed was believed to be durable/)
    })
  )

  const byModel = [
    "forgets fencing",
    "says that it synced, and does nothing",
    "leaves the last batch behind when it syncs",
    "reorders what waits for a sync",
    "gives the same epoch again",
    "gives a run to whoever asks",
    "takes a crash for a handover",
    "releases without syncing",
    "puts a command there again",
    "deletes what others need"
  ]
  const model = StoreChecks.named(
    "model: random operations of two instances, with power cuts and frozen owners, do what a simple model says"
  )
  for (const fault of faults.filter(({ name }) => byModel.includes(name))) {
    it.live(
      `${fault.name}, by random operations, too`,
      () =>
        Effect.gen(function* () {
          const failure = yield* Effect.flip(
            model.run({ ...harness(fault), timeout: 3_000, property: { runs: 300, seed: 1, maxShrinks: 2 } })
          )
          assert.match(failure.detail, /Property falsified after/)
        }),
      300_000
    )
  }
})

StoreSuite.suite({ name: "memory with a disk that can be full", ...failingHarness({ believes: false }) })

describe("StoreSuite.suite", () => {
  const memory: Harness<MemoryStore.Disk> = {
    place: Effect.sync(MemoryStore.makeDisk),
    layer: (disk) => MemoryStore.layer({ disk }),
    capabilities: {
      several: true,
      reopen: true,
      crash: (disk) => Effect.sync(disk.cutPower),
      lapse: (disk, owner) => Effect.sync(() => disk.lapse(owner)),
      failWrites: { missing: "memory does not fail" },
      leaseMillis: { missing: "leases in memory do not run out with time" },
      newerFormat: { missing: "memory has no format" }
    }
  }
  const lacking = (lacks: Partial<Harness<MemoryStore.Disk>["capabilities"]>) => ({
    ...memory,
    capabilities: { ...memory.capabilities, ...lacks }
  })

  it.live("takes a layer as well as an effect", () => StoreChecks.checks[0]!.run(memory))

  it.live("takes a layer without a place", () =>
    StoreChecks.checks[0]!.run({
      layer: MemoryStore.layer(),
      capabilities: {
        ...memory.capabilities,
        several: { missing: "each instance is a store of its own" },
        reopen: { missing: "nothing is left of it" },
        crash: { missing: "nothing is left of it" },
        lapse: { missing: "it has no other owners" }
      }
    })
  )

  it("refuses to skip a check that does not exist", () => {
    assert.throws(
      () => StoreSuite.suite({ name: "s", ...memory, skip: { "append: whatever": "because" } }),
      /there is no check/
    )
  })

  it("refuses to skip without a reason", () => {
    const name = StoreChecks.checks[0]!.name
    assert.throws(() => StoreSuite.suite({ name: "s", ...memory, skip: { [name]: " " } }), /without a reason/)
    assert.throws(
      () => StoreSuite.suite({ name: "s", ...lacking({ leaseMillis: { missing: "" } }) }),
      /without a reason/
    )
  })

  it("gives every check a name of its own", () => {
    const names = StoreChecks.checks.map((check) => check.name)
    assert.strictEqual(new Set(names).size, names.length)
  })

  it.live("says which capability a check lacks when it is run without", () =>
    Effect.gen(function* () {
      const check = StoreChecks.named("create: what was created survives a power cut")
      const failure = yield* Effect.flip(check.run(lacking({ crash: { missing: "no plug" } })))
      assert.match(failure.detail, /needs "crash", which the harness does not have \(no plug\)/)
    })
  )
})
