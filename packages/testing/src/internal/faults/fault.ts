/**
 * What can go wrong, and when: what a plan of faults says.
 */
import type { Code } from "../powerLoss/errno.ts"

export type Fault =
  | { readonly _tag: "Fail"; readonly code: Code; readonly partial?: number | undefined }
  | { readonly _tag: "CrashBefore" }
  | { readonly _tag: "CrashAfter" }
  | { readonly _tag: "TornWrite"; readonly bytes: number }
  | { readonly _tag: "LostSync" }
  | { readonly _tag: "Duplicate" }
  | { readonly _tag: "Delay"; readonly millis: number }
  | { readonly _tag: "FlipBit"; readonly bit: number }
  | { readonly _tag: "StaleRead" }

/** What an operation does: reads, writes bytes, makes durable, or changes something else, such as a name or a lease. */
export type Kind = "read" | "write" | "sync" | "change"

export interface Operation {
  /** From 1, in the order in which they were begun. */
  readonly number: number
  readonly service: "store" | "fileSystem"
  /** The method, such as `append` or `rename`. */
  readonly name: string
  readonly kind: Kind
  /** The run, or the path. */
  readonly subject: string
}

export interface AtRule<Op> {
  readonly _tag: "At"
  readonly fault: Fault
  readonly at: number
  readonly times: number
  readonly of: ((operation: Op) => boolean) | undefined
}

export interface SeededRule<Op> {
  readonly _tag: "Seeded"
  readonly seed: number
  readonly rate: number
  readonly faults: ReadonlyArray<Fault>
  readonly of: ((operation: Op) => boolean) | undefined
}

/** A fault of which each operation decides whether it has it. */
export interface EachRule<Op> {
  readonly _tag: "Each"
  readonly faultOf: (operation: Op) => Fault | undefined
}

export const eachRule = <Op>(faultOf: EachRule<Op>["faultOf"]): EachRule<Op> => ({ _tag: "Each", faultOf })

/** `Op` is what is known of an operation where the plan is used. */
export type Rule<Op = Operation> = AtRule<Op> | SeededRule<Op> | EachRule<Op>

/** Which faults an operation can have. */
export const concerns = (fault: Fault, kind: Kind): boolean => {
  switch (fault._tag) {
    case "Fail":
    case "Delay":
      return true
    case "CrashBefore":
    case "CrashAfter":
      return kind !== "read"
    case "TornWrite":
      return kind === "write"
    case "LostSync":
      return kind === "sync"
    case "Duplicate":
      return kind !== "read"
    case "FlipBit":
      return kind === "read" || kind === "write"
    case "StaleRead":
      return kind === "read"
  }
}

/** Numbers from 0 to below 1 that a seed determines (mulberry32). */
export const random = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** Says for each operation which fault it has. */
export interface Plan<Op = Operation> {
  readonly decide: (operation: Op, can: (fault: Fault) => boolean) => Fault | undefined
}

const deciderOf = <Op>(rule: Rule<Op>): Plan<Op>["decide"] => {
  if (rule._tag === "Each") {
    return (operation, can) => {
      const fault = rule.faultOf(operation)
      return fault !== undefined && can(fault) ? fault : undefined
    }
  }
  if (rule._tag === "At") {
    let seen = 0
    return (operation, can) => {
      if (!can(rule.fault) || rule.of?.(operation) === false) return undefined
      seen += 1
      return seen >= rule.at && seen < rule.at + rule.times ? rule.fault : undefined
    }
  }
  const next = random(rule.seed)
  return (operation, can) => {
    if (rule.of?.(operation) === false) return undefined
    const possible = rule.faults.filter(can)
    if (possible.length === 0 || next() >= rule.rate) return undefined
    return possible[Math.floor(next() * possible.length)]
  }
}

/** The first rule that has a fault for an operation decides; all of them count it. */
export const planOf = <Op>(rules: ReadonlyArray<Rule<Op>>): Plan<Op> => {
  const deciders = rules.map((rule) => deciderOf(rule))
  return {
    decide: (operation, can) => {
      let chosen: Fault | undefined
      for (const decide of deciders) {
        const fault = decide(operation, can)
        chosen ??= fault
      }
      return chosen
    }
  }
}
