/**
 * Whether a harness says all that checks have to know.
 */
import * as Layer from "effect/Layer"
import type { Capabilities, Harness } from "../../StoreHarness.ts"
import * as Given from "../given.ts"

const isMissing = (value: unknown): boolean =>
  Given.isObject(value) && Object.keys(value).join() === "missing" && Given.anyText.fits(value["missing"])

/** What a store can do, or why not. */
const capability = ({ fits, must }: Given.Kind): Given.Kind =>
  Given.kind(`${must}, or { missing: "the reason" }`, (value) => fits(value) || isMissing(value))

const able = capability(Given.kind("true", (value) => value === true))
const action = capability(Given.kind("a function that gives an Effect", Given.aFunction.fits))

const capabilities: Given.Kinds<Capabilities<unknown>> = {
  several: able,
  reopen: able,
  crash: action,
  lapse: action,
  failWrites: action,
  leaseMillis: capability(
    Given.kind("a number of milliseconds", (value) => Number.isFinite(value) && (value as number) > 0)
  ),
  newerFormat: action
}

const kinds: Given.Kinds<Harness<unknown>> = {
  place: Given.optional(Given.anEffect),
  layer: Given.kind(
    "a layer, or a function that makes one of a place",
    (value) => Layer.isLayer(value) || Given.aFunction.fits(value)
  ),
  capabilities: Given.kind(
    `an object that says of ${Object.keys(capabilities).join(", ")} how it is done, or why it is missing`,
    Given.isObject
  ),
  timeout: Given.optional(Given.aCount(1)),
  property: Given.optional(Given.kind("an object with options of Arbitrary", Given.isObject))
}

const problemsOfCapabilities = (given: unknown): ReadonlyArray<string> =>
  Given.isObject(given) && Given.isObject(given["capabilities"])
    ? Given.problemsOf(given["capabilities"], capabilities, "capabilities.")
    : []

/** Refuses a harness that lacks something; options beside it are whose they are. */
export const refuseUnfit = (where: string, given: unknown): void => {
  const names = Object.keys(kinds)
  const own = Given.isObject(given)
    ? Object.fromEntries(Object.entries(given).filter(([name]) => names.includes(name)))
    : given
  Given.refuse(where, [...Given.problemsOf(own, kinds), ...problemsOfCapabilities(given)])
}

/** Refuses options that are a harness and these, if anything is wrong with them. */
export const refuseOptions = <O extends Harness<any>>(
  where: string,
  given: O,
  others: Given.Kinds<Omit<O, keyof Harness<any>>>
): void =>
  Given.refuse(where, [...Given.problemsOf(given, { ...others, ...kinds }), ...problemsOfCapabilities(given)])
