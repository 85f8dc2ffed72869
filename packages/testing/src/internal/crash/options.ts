/**
 * Whether an exploration is told what it has to know.
 */
import type * as Flow from "@waymark/core/Flow"
import type { Options } from "../../CrashExplorer.ts"
import * as Given from "../given.ts"
import { workerOptions } from "../workerProcess.ts"

type AnyOptions = Options<Flow.Any, any, any, any, any, any> & {
  readonly scenario?: unknown
  readonly input?: unknown
}

const kinds: Given.Kinds<AnyOptions> = {
  handlers: Given.anyOf(
    Given.aLayer,
    Given.kind("a function that makes one of the world", Given.aFunction.fits)
  ),
  scenario: Given.optional(Given.kind("a function that gives an Effect", Given.aFunction.fits)),
  input: Given.kind("the input of the run", () => true),
  world: Given.optional(
    Given.kind(
      "a function that makes what outlives crashes, such as () => FakeTools.make(…)",
      Given.aFunction.fits
    )
  ),
  check: Given.optional(
    Given.kind(
      "a function, or an object of functions by name",
      (value) =>
        Given.aFunction.fits(value) ||
        (Given.isObject(value) && Object.values(value).every(Given.aFunction.fits))
    )
  ),
  compare: Given.optional(Given.aFunction),
  nested: Given.optional(Given.anyOf(Given.oneOf("all", "none"), Given.aCount(0))),
  only: Given.optional(Given.aText),
  prune: Given.optional(Given.aBoolean),
  downtime: Given.optional(Given.aDuration),
  latency: Given.optional(Given.aDuration),
  timeLimit: Given.optional(Given.aDuration),
  stallAfter: Given.optional(Given.aDuration),
  start: Given.optional(Given.aTime),
  seed: Given.optional(Given.anyText),
  worker: Given.optional(workerOptions),
  store: Given.optional(Given.aFunction)
}

const aFlowOrSeveral = Given.kind(
  "a flow, or a list of flows, as Flow.make gives them",
  (value) => Given.isFlow(value) || Given.flows.fits(value)
)

/** Refuses what there is nothing to explore by. */
export const refuseUnfit = (flows: Flow.Any | ReadonlyArray<Flow.Any>, options: AnyOptions): void => {
  const problems = [
    ...Given.problemOf("flows", flows, aFlowOrSeveral),
    ...Given.problemsOf<AnyOptions>(options, kinds)
  ]
  if (problems.length === 0) {
    if (options.scenario !== undefined && options.input !== undefined)
      problems.push(
        "`scenario` and `input` exclude each other: `input` is that of the one run that there is without a scenario"
      )
    if (options.scenario === undefined && Array.isArray(flows) && flows.length > 1)
      problems.push("`scenario` is missing; with several flows it has to say what a client does with them")
  }
  Given.refuse("CrashExplorer.explore", problems)
}
