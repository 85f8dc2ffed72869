/**
 * What a store makes of a disk on which things go wrong: a suite for stores that stand on Effect's `FileSystem`. Call
 * {@link suite} in a Vitest file of your own.
 *
 * A scenario creates, appends, syncs, releases, takes over, sends, deletes and tends. In each trial one fault comes to one of
 * its file operations ({@link sorts} names the faults). Then:
 *
 * - whatever failed, failed with a typed error, and works when it is tried again
 * - what the store shows agrees with what it told, in the process that saw the fault and in the next one, whether the power
 *   was cut or not
 * - nothing that was acknowledged is lost. If the disk lied (a lost sync, a flipped bit), less may be there, or the store says
 *   which file is damaged; it never shows what was not written
 *
 * @since 0.1.0
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Scope from "effect/Scope"
import type { Store, StoreError } from "@waymark/core/Store"
import * as Trial from "./internal/faultSuite/trial.ts"
import * as Given from "./internal/given.ts"

/**
 * How the suite gets at a store.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subject<Machine> {
  /** A machine on which nothing runs, for stores that care about processes. */
  readonly machine: () => Machine
  /** All processes of a machine are gone. */
  readonly reboot: (machine: Machine) => void
  /**
   * Opens the store as one more process, always at the same place of the file system. Closing the scope closes it in good
   * order. `tend` is what can be done with it beside the port: compacting, folding.
   */
  readonly open: (machine: Machine) => Effect.Effect<
    {
      readonly store: Store["Service"]
      readonly tend?: Readonly<Record<string, Effect.Effect<unknown, StoreError>>> | undefined
    },
    unknown,
    FileSystem.FileSystem | Scope.Scope
  >
  /** How long the scenario may take, in milliseconds; 10,000 unless said otherwise. */
  readonly timeout?: number | undefined
}

/**
 * What to run the suite on. `samples`: at how many operations each fault is tried, spread evenly; at all unless given.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Machine> extends Subject<Machine> {
  readonly name: string
  readonly samples?: number | undefined
  /** Faults not to try, by name, each with the reason, which the report shows. */
  readonly skip?: { readonly [sort: string]: string } | undefined
}

/**
 * The names of the faults.
 *
 * @category accessors
 * @since 0.1.0
 */
export const sorts: ReadonlyArray<string> = Trial.sorts.map(({ name }) => name)

const subjectKinds: Given.Kinds<Subject<any>> = {
  machine: Given.aFunction,
  reboot: Given.aFunction,
  open: Given.kind("a function that gives an Effect", Given.aFunction.fits),
  timeout: Given.optional(Given.aCount(1))
}

/** What of these options is about the subject. */
const own = (subject: unknown): unknown =>
  Given.isObject(subject)
    ? Object.fromEntries(Object.keys(subjectKinds).map((name) => [name, subject[name]]))
    : subject

/**
 * Tries a fault at operations of the scenario: what went wrong, in words.
 *
 * @category constructors
 * @since 0.1.0
 */
export const explore = <Machine>(
  subject: Subject<Machine>,
  sort: string,
  samples = Number.POSITIVE_INFINITY
): Effect.Effect<{ readonly trials: number; readonly problems: ReadonlyArray<string> }, unknown> =>
  Effect.gen(function* () {
    Given.refuse("FaultSuite.explore", [
      ...Given.problemsOf(own(subject), subjectKinds),
      ...Given.problemOf("samples", samples, Given.aLimit(1))
    ])
    const found = Trial.sorts.find(({ name }) => name === sort)
    if (found === undefined)
      throw new RangeError(`there is no fault ${JSON.stringify(sort)} in the fault suite`)
    const total = yield* Trial.count(subject, found)
    const trials = Math.min(total, samples)
    const problems: Array<string> = []
    for (let i = 0; i < trials; i++) {
      const problem = yield* Trial.trial(subject, found, 1 + Math.floor((i * total) / trials))
      if (problem !== undefined) problems.push(problem)
    }
    return { trials, problems }
  })

/**
 * Registers a test for each fault.
 *
 * @category constructors
 * @since 0.1.0
 */
export const suite = <Machine>(options: Options<Machine>): void => {
  Given.options<Options<any>>("FaultSuite.suite", options, {
    ...subjectKinds,
    name: Given.aText,
    samples: Given.optional(Given.aLimit(1)),
    skip: Given.optional(Given.reasons)
  })
  for (const [name, reason] of Object.entries(options.skip ?? {})) {
    if (!sorts.includes(name))
      throw new RangeError(`there is no fault ${JSON.stringify(name)} in the fault suite`)
    if (reason.trim() === "")
      throw new RangeError(`${options.name} skips ${JSON.stringify(name)} without a reason`)
  }
  describe(`faults: ${options.name}`, () => {
    for (const sort of sorts) {
      const reason = options.skip?.[sort]
      if (reason !== undefined) {
        it.skip(`${sort} (skipped: ${reason})`, () => {})
        continue
      }
      it.live(
        sort,
        () =>
          Effect.map(explore(options, sort, options.samples), ({ problems, trials }) => {
            assert.deepStrictEqual(problems, [])
            assert.isAbove(trials, 0)
          }),
        600_000
      )
    }
  })
}
