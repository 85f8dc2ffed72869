/**
 * What a test expects of the calls that its fakes were given.
 */
import { format } from "effect/Formatter"
import type * as Tool from "@waymark/core/Tool"
import { differences } from "../differences.ts"
import { ExpectationFailed } from "../expectation.ts"
import * as Given from "../given.ts"
import type { Call, UnexpectedCall } from "./fake.ts"

/**
 * Expectations of the calls so far. Each of them throws an {@link ExpectationFailed}, which says what is not so and shows
 * all calls.
 *
 * @category models
 * @since 0.1.0
 */
export interface Expectations {
  /** A tool was tried with exactly these inputs, in this order. */
  readonly expectInputs: <T extends Tool.Any>(tool: T, inputs: ReadonlyArray<T["input"]["Type"]>) => void
  /**
   * A tool was tried: at least once, or exactly so many `times`; and if `with` is given, only tries count whose input has
   * these fields. Objects in it that are no more than their fields are compared in part, too; everything else (a date, a
   * map, a list) has to be equal.
   */
  readonly expectCalled: <T extends Tool.Any>(
    tool: T,
    how?: { readonly times?: number | undefined; readonly with?: Partial<T["input"]["Type"]> | undefined }
  ) => void
  /** A tool was not tried at all. */
  readonly expectNotCalled: (tool: Tool.Any) => void
  /** These tools were tried in this order, other tries between them or not. */
  readonly expectOrder: (...tools: ReadonlyArray<Tool.Any>) => void
  /**
   * No call of a tool, or of any, succeeded twice: each idempotency key had one success. A try that is `repeated`, because a
   * crash lost the result of the one before, does not count: the other side recognises its key.
   */
  readonly expectOnce: (tool?: Tool.Any) => void
  /** Every scripted, expected or recorded reply was given, and no call was unexpected. */
  readonly expectDone: () => void
}

interface Seen {
  /** The names of the tools that there are fakes of. */
  readonly tools: ReadonlySet<string>
  readonly calls: () => ReadonlyArray<Call>
  readonly unexpected: () => ReadonlyArray<UnexpectedCall>
  readonly unused: () => ReadonlyArray<readonly [tool: string, count: number]>
  readonly timeline: () => string
}

const times = (count: number): string => (count === 1 ? "once" : `${count} times`)

/** Whether a value is an object that is no more than its fields. */
const isPlain = (value: unknown): value is { readonly [key: string]: unknown } => {
  if (typeof value !== "object" || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Whether a value has these parts. Only of objects that are no more than their fields there are parts. */
const has = (value: unknown, part: unknown): boolean =>
  isPlain(part) && typeof value === "object" && value !== null
    ? Object.entries(part).every(([key, field]) =>
        has((value as { readonly [key: string]: unknown })[key], field)
      )
    : differences(part, value).length === 0

/** Refuses what is no tool of these fakes: nobody would see its calls. */
export const refuseUnseen = (where: string, tools: ReadonlySet<string>, tool: unknown): void => {
  Given.argument(where, "tool", tool, Given.aTool)
  const { name } = tool as Tool.Any
  if (!tools.has(name))
    Given.refuse(where, [
      `there is no fake of tool ${name} here, so its calls are not seen; there are fakes of ${[...tools].join(", ") || "none"}`
    ])
}

export const make = ({ calls, timeline, tools: known, unexpected, unused }: Seen): Expectations => {
  const see = (where: string, tool: unknown): void => refuseUnseen(where, known, tool)
  const of = (tool: Tool.Any): ReadonlyArray<Call> => calls().filter((call) => call.tool === tool.name)
  const refuse = (detail: string, expected: unknown, actual: unknown): never => {
    throw new ExpectationFailed({ detail: `${detail}\n${timeline()}`, expected, actual })
  }
  return {
    expectInputs: (tool, expected) => {
      see("expectInputs", tool)
      Given.argument("expectInputs", "inputs", expected, Given.kind("a list of inputs", Array.isArray))
      const actual = of(tool).map(({ input }) => input)
      const lines = differences(expected, actual)
      if (lines.length === 0) return
      const all = lines.map((line) => `  ${line}`).join("\n")
      refuse(`tool ${tool.name} was not called with what was expected:\n${all}`, expected, actual)
    },
    expectCalled: (tool, how = {}) => {
      see("expectCalled", tool)
      Given.options<typeof how>("expectCalled", how, {
        times: Given.optional(Given.aCount(0)),
        with: Given.kind("fields of an input", () => true)
      })
      const matching = of(tool).filter(({ input }) => how.with === undefined || has(input, how.with))
      const isSo = how.times === undefined ? matching.length > 0 : matching.length === how.times
      if (isSo) return
      const input = how.with === undefined ? "" : ` with ${format(how.with)}`
      const expected = how.times === undefined ? "at least once" : times(how.times)
      const actual = matching.length === 0 ? "never" : times(matching.length)
      refuse(
        `tool ${tool.name} was expected to be called${input} ${expected}, and was so ${actual}`,
        expected,
        actual
      )
    },
    expectNotCalled: (tool) => {
      see("expectNotCalled", tool)
      const { length } = of(tool)
      if (length > 0)
        refuse(
          `tool ${tool.name} was expected not to be called, and was called ${times(length)}`,
          "never",
          times(length)
        )
    },
    expectOrder: (...tools) => {
      for (const tool of tools.length === 0 ? [undefined] : tools) see("expectOrder", tool)
      const actual = calls().map(({ tool }) => tool)
      let at = 0
      for (const [index, { name }] of tools.entries()) {
        const found = actual.indexOf(name, at)
        if (found === -1) {
          const before = index === 0 ? "" : ` after ${tools[index - 1]!.name}`
          refuse(
            `tool ${name} was expected to be called${before}`,
            tools.map((tool) => tool.name),
            actual
          )
        }
        at = found + 1
      }
    },
    expectOnce: (tool) => {
      if (tool !== undefined) see("expectOnce", tool)
      const keys = new Map<string, Call>()
      for (const call of tool === undefined ? calls() : of(tool)) {
        if (call.result !== "succeeded" || call.repeated) continue
        const first = keys.get(call.key)
        if (first !== undefined) {
          refuse(
            `a call of tool ${call.tool} succeeded twice, as #${first.number} and as #${call.number}`,
            "one success for each idempotency key",
            `two for ${call.key}`
          )
        }
        keys.set(call.key, call)
      }
    },
    expectDone: () => {
      const [first] = unexpected()
      if (first !== undefined) throw first
      const left = unused().flatMap(([tool, count]) => (count > 0 ? [`${count} of tool ${tool}`] : []))
      if (left.length > 0) refuse(`not all replies were given: ${left.join(", ")} are left`, [], left)
    }
  }
}
