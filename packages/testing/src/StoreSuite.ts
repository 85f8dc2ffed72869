/**
 * The conformance suite for stores: it decides what a store is. Call {@link suite} in a Vitest file of your own.
 *
 * ```ts
 * import * as MemoryStore from "@waymark/core/MemoryStore"
 * import * as StoreSuite from "@waymark/testing/StoreSuite"
 * import * as Effect from "effect/Effect"
 *
 * StoreSuite.suite({
 *   name: "memory",
 *   place: Effect.sync(MemoryStore.makeDisk),
 *   layer: (disk) => MemoryStore.layer({ disk }),
 *   capabilities: {
 *     several: true,
 *     reopen: true,
 *     crash: (disk) => Effect.sync(disk.cutPower),
 *     lapse: (disk, owner) => Effect.sync(() => disk.lapse(owner)),
 *     failWrites: { missing: "memory does not fail" },
 *     leaseMillis: { missing: "leases in memory do not run out with time" },
 *     newerFormat: { missing: "memory has no format" }
 *   }
 * })
 * ```
 *
 * @since 0.1.0
 */
import { describe, it } from "@effect/vitest"
import * as Given from "./internal/given.ts"
import { refuseOptions } from "./internal/storeChecks/harness.ts"
import * as StoreChecks from "./StoreChecks.ts"
import type { Check, Harness } from "./StoreHarness.ts"
import { missing, timeoutOf } from "./StoreHarness.ts"

export {
  /**
   * All checks, as plain effects.
   *
   * @category checks
   * @since 0.1.0
   */
  checks
} from "./StoreChecks.ts"

/**
 * What to run the suite on.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Place> extends Harness<Place> {
  /** The name of the store, for the report. */
  readonly name: string
  /** Checks not to run, by name, each with the reason, which the report shows. */
  readonly skip?: { readonly [check: string]: string } | undefined
}

/** Why a check is not run, if it is not. A skip that skips nothing, or does not say why, is an error. */
const skipped = <Place>(options: Options<Place>): ((check: Check) => string | undefined) => {
  const skip = new Map(Object.entries(options.skip ?? {}))
  for (const [name, reason] of skip) {
    const check = StoreChecks.named(name)
    if (reason.trim() === "")
      throw new RangeError(`${options.name} skips ${JSON.stringify(name)} without a reason`)
    if (missing(options, check) !== undefined) {
      throw new RangeError(
        `${options.name} skips ${JSON.stringify(name)}, which it lacks a capability for anyway`
      )
    }
  }
  for (const check of StoreChecks.checks) {
    if (missing(options, check)?.trim() === "") {
      throw new RangeError(
        `${options.name} lacks a capability that ${JSON.stringify(check.name)} needs, without a reason`
      )
    }
  }
  return (check) => missing(options, check) ?? skip.get(check.name)
}

/**
 * Registers every check as a test, grouped by operation. The tests run in real time. One that is skipped carries the
 * reason in its name.
 *
 * @category constructors
 * @since 0.1.0
 */
export const suite = <Place>(options: Options<Place>): void => {
  refuseOptions("StoreSuite.suite", options, { name: Given.aText, skip: Given.optional(Given.reasons) })
  const reasonToSkip = skipped(options)
  describe(`store: ${options.name}`, () => {
    for (const group of new Set(StoreChecks.checks.map((check) => check.group))) {
      describe(group, () => {
        for (const check of StoreChecks.checks.filter((other) => other.group === group)) {
          const promise = check.name.slice(group.length + 2)
          const reason = reasonToSkip(check)
          if (reason !== undefined) it.skip(`${promise} (skipped: ${reason})`, () => {})
          else it.live(promise, () => check.run(options), timeoutOf(options) * (check.weight + 1))
        }
      })
    }
  })
}
