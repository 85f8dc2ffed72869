/**
 * The conformance suite's places.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Harness } from "@waymark/testing/StoreHarness"
import type { StoreError } from "@waymark/core/Store"
import { failure } from "@waymark/store-kit/Failures"
import * as MemoryPersistence from "../src/MemoryPersistence.ts"
import { Persistence } from "../src/Persistence.ts"
import * as SqljsStore from "../src/SqljsStore.ts"

const one = { missing: "one process at a time writes; test/following.test.ts has the others, which read" }

export interface MemoryPlace {
  readonly disk: MemoryPersistence.Disk
  /** Counts the power cuts: what was begun before the last one never comes back. */
  cuts: number
  failing: boolean
}

/** A disk in memory whose power can be cut, and which can be full. */
const fragile = (place: MemoryPlace): Persistence["Service"] => {
  const { cuts } = place
  const memory = MemoryPersistence.make(place.disk)
  const live = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => (place.cuts === cuts ? work : Effect.never))
  const writing = (work: Effect.Effect<void, StoreError>): Effect.Effect<void, StoreError> =>
    Effect.andThen(
      Effect.yieldNow,
      live(
        Effect.suspend((): Effect.Effect<void, StoreError> =>
          place.failing ? failure({ _tag: "NoSpace", path: "memory" }) : work
        )
      )
    )
  return {
    ...memory,
    readDatabase: live(memory.readDatabase),
    replaceDatabase: (bytes) => writing(memory.replaceDatabase(bytes)),
    listLogs: live(memory.listLogs),
    readLog: (log, from) => live(memory.readLog(log, from)),
    writeLog: (log, at, bytes) => writing(memory.writeLog(log, at, bytes)),
    removeLog: (log) => writing(memory.removeLog(log))
  }
}

export const inMemory: Harness<MemoryPlace> = {
  place: Effect.sync(() => ({ disk: MemoryPersistence.makeDisk(), cuts: 0, failing: false })),
  open: (place) =>
    SqljsStore.layer({ foldBytes: 20_000 }).pipe(
      Layer.provide(Layer.sync(Persistence)(() => Persistence.of(fragile(place))))
    ),
  several: one,
  reopen: true,
  crash: (place) =>
    Effect.sync(() => {
      place.cuts += 1
      place.disk.lockedBy = undefined
    }),
  lapse: one,
  failWrites: (place, failing) =>
    Effect.sync(() => {
      place.failing = failing
    }),
  leaseMillis: { missing: "leases do not run out: they are those of the one process that writes" }
}
