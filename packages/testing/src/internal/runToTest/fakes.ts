/**
 * The fakes of a test: what the tools were recorded to have answered.
 */
import type { Json } from "effect/Schema"
import type { Event } from "@waymark/core/Event"
import type * as Tool from "@waymark/core/Tool"
import { triesOf } from "../fakes/tries.ts"
import type { Result } from "../fakes/tries.ts"
import type { Export, Exports } from "./exports.ts"
import { bracketed, duration, literal } from "./literal.ts"
import { CannotGenerate } from "./refusal.ts"

const resultText = (run: string, tool: string, result: Result, indent: number): string => {
  const field = (name: string, value: Json): string =>
    `${name}: ${literal(value, indent, indent + name.length + 2)}`
  if ("output" in result) return field("output", result.output)
  if ("error" in result) return field("error", result.error)
  if ("defect" in result) return field("defect", result.defect)
  if ("hangs" in result) return "hangs: true"
  throw new CannotGenerate({
    run,
    detail: `a call of tool ${tool} failed in a way that a fake cannot (${result.unplayable})`
  })
}

const tryText = (
  run: string,
  tool: string,
  one: { readonly input: Json; readonly result: Result; readonly millis?: number },
  indent: number
): string => {
  const input = `input: ${literal(one.input, indent + 2, indent + 9)}`
  const fields = [input, resultText(run, tool, one.result, indent + 2)]
  if (one.millis !== undefined && one.millis > 0) fields.push(`after: ${duration(one.millis)}`)
  return bracketed(["{", "}"], fields, indent, indent)
}

/** A fake for each tool of the run, each beginning at `indent`. */
export const fakesOf = (
  run: string,
  events: ReadonlyArray<Event>,
  exports: Exports,
  latency: boolean,
  indent: number
): ReadonlyArray<string> => {
  const { calls, undos } = triesOf(events)
  const called = [...new Set(calls.map(({ tool }) => tool))].map(exports.tool)
  const inner = indent + 2
  const recorded = (tool: Export<Tool.Any>): string => {
    const own = calls.filter((one) => one.tool === tool.value.name)
    const tries = own.map(({ input, millis, result }) =>
      tryText(run, tool.value.name, { input, result, ...(latency ? { millis } : {}) }, inner)
    )
    const undone = undos.filter((one) => one.tool === tool.value.name)
    const undoing = undone.every(({ result }) => "output" in result)
      ? ""
      : `, ${list(undone.map((one) => tryText(run, tool.value.name, one, inner)))}`
    return `FakeTools.recorded(${tool.local}, ${list(tries)}${undoing})`
  }
  const list = (items: ReadonlyArray<string>): string => bracketed(["[", "]"], items, indent, indent + 30)
  // The handlers may need the others, too.
  const others = exports.tools.filter(({ value }) => !called.some((tool) => tool.value === value))
  return [
    ...called.map(recorded),
    ...others.map(({ value }) => `FakeTools.refuse(${exports.tool(value.name).local})`)
  ]
}
