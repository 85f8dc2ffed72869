/**
 * What the kit is given: refused in words, all of it at once, where without the compiler it would be ignored, or break
 * something later on.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { format } from "effect/Formatter"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Flow from "@waymark/core/Flow"
import type * as Tool from "@waymark/core/Tool"

/** What something has to be. */
export interface Kind {
  readonly must: string
  /** The parts of `must`, if it is one of several. */
  readonly parts?: ReadonlyArray<string>
  readonly fits: (value: unknown) => boolean
}

/** What each option of `O` has to be. */
export type Kinds<O> = { readonly [K in keyof O]-?: Kind }

export const kind = (must: string, fits: (value: unknown) => boolean): Kind => ({ must, fits })

export const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null

export const isFlow = (value: unknown): value is Flow.Any =>
  hasMembers(value) && typeof value["id"] === "string" && "startNode" in value && "nodes" in value

export const isTool = (value: unknown): value is Tool.Any =>
  hasMembers(value) && typeof value["name"] === "string" && "delivery" in value && "inDoubt" in value

const hasMembers = (value: unknown): value is { readonly [key: string]: unknown } =>
  isObject(value) || typeof value === "function"

export const isPromise = (value: unknown): boolean => hasMembers(value) && typeof value["then"] === "function"

/** Whether it may be left out. */
export const optional = ({ fits, must }: Kind): Kind =>
  kind(must, (value) => value === undefined || fits(value))

export const aText = kind("a text that is not empty", (value) => typeof value === "string" && value !== "")
export const anyText = kind("a text", (value) => typeof value === "string")
export const aBoolean = kind("true or false", (value) => typeof value === "boolean")
export const aFunction = kind("a function", (value) => typeof value === "function")
export const aLayer = kind("a layer", Layer.isLayer)
export const anEffect = kind("an Effect", Effect.isEffect)
export const aTool = kind("a tool, as Tool.make gives it", isTool)
export const flows = kind(
  "a list of flows, as Flow.make gives them",
  (value) => Array.isArray(value) && value.length > 0 && value.every(isFlow)
)
export const aFolder = kind(
  "the path of a folder, or its URL",
  (value) => aText.fits(value) || value instanceof URL
)
export const aTime = kind("a time in milliseconds since 1970", Number.isFinite)
export const aShare = kind(
  "a number from 0 to 1",
  (value) => typeof value === "number" && value >= 0 && value <= 1
)
export const aDuration = kind('a duration, such as "2 seconds" or a number of milliseconds', (value) =>
  // As a duration NaN is none at all.
  Number.isNaN(value) ? false : Option.isSome(Duration.fromInput(value as Duration.Input))
)
export const texts = kind(
  "a list of texts",
  (value) => Array.isArray(value) && value.every((one) => typeof one === "string")
)
export const aDisk = kind(
  "a disk, as MemoryStore.makeDisk gives it",
  (value) =>
    isObject(value) && typeof value["cutPower"] === "function" && typeof value["lapse"] === "function"
)
export const reasons = kind(
  "an object with a reason for each name",
  (value) =>
    isObject(value) && !Array.isArray(value) && Object.values(value).every((one) => typeof one === "string")
)
export const aRun = kind(
  "a run, as Runs.start gives it, or its id",
  (value) => aText.fits(value) || (isObject(value) && !Effect.isEffect(value) && aText.fits(value["id"]))
)

export const aCount = (least: number): Kind =>
  kind(`a whole number from ${least}`, (value) => Number.isSafeInteger(value) && (value as number) >= least)

/** The same, or that there is no limit. */
export const aLimit = (least: number): Kind =>
  kind(`${aCount(least).must}, or Infinity`, (value) => value === Infinity || aCount(least).fits(value))

export const oneOf = (...words: ReadonlyArray<string>): Kind =>
  anyOf(...words.map((word) => kind(JSON.stringify(word), (value) => value === word)))

/** One of several kinds. */
export const anyOf = (...kinds: ReadonlyArray<Kind>): Kind => {
  const parts = kinds.flatMap((one) => one.parts ?? [one.must])
  return { must: either(parts), parts, fits: (value) => kinds.some(({ fits }) => fits(value)) }
}

const either = (all: ReadonlyArray<string>): string =>
  all.length < 2 ? all.join("") : `${all.slice(0, -1).join(", ")} or ${all.at(-1)}`

/** A value for people, with what has probably been forgotten. */
export const shown = (value: unknown): string => {
  if (Effect.isEffect(value)) return "an Effect (is a `yield*` missing?)"
  if (isPromise(value)) return "a Promise"
  if (Layer.isLayer(value)) return "a layer"
  if (isTool(value)) return `the tool ${value.name}`
  if (isFlow(value)) return `the flow ${value.id}`
  if (typeof value === "function") return "a function"
  const text = format(value).replaceAll(/\s+/g, " ")
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

/** Why something is not what it has to be. */
export const problemOf = (name: string, value: unknown, { fits, must }: Kind): ReadonlyArray<string> => {
  if (fits(value)) return []
  return [
    value === undefined
      ? `\`${name}\` is missing; it must be ${must}`
      : `\`${name}\` is ${shown(value)}; it must be ${must}`
  ]
}

/** What is wrong with options: those that are not as they must be, and those that are none. */
export const problemsOf = <O>(given: unknown, kinds: Kinds<O>, path = ""): ReadonlyArray<string> => {
  const known: ReadonlyArray<readonly [string, Kind]> = Object.entries(kinds)
  const names = known.map(([name]) => name)
  if (!isObject(given) || Array.isArray(given) || Effect.isEffect(given) || isPromise(given)) {
    const what = path === "" ? "the options" : `\`${path.slice(0, -1)}\``
    return [`${what} must be an object with ${names.join(", ")}, and not ${shown(given)}`]
  }
  return [
    ...known.flatMap(([name, one]) => problemOf(`${path}${name}`, given[name], one)),
    ...Object.keys(given)
      .filter((name) => !names.includes(name))
      .map((name) => `\`${path}${name}\` is not known; it can be ${either(names)}`)
  ]
}

/** Throws if there are problems; `where` is the function that was given what causes them. */
export const refuse = (where: string, problems: ReadonlyArray<string>): void => {
  if (problems.length === 0) return
  const [first] = problems
  throw new RangeError(
    problems.length === 1
      ? `${where}: ${first}`
      : `${where}:\n${problems.map((one) => `- ${one}`).join("\n")}`
  )
}

/** Refuses options that are not as they must be, or none. */
export const options = <O>(where: string, given: O, kinds: Kinds<O>): void =>
  refuse(where, problemsOf(given, kinds))

/** Refuses an argument that is not what it has to be. */
export const argument = (where: string, name: string, value: unknown, what: Kind): void =>
  refuse(where, problemOf(name, value, what))
