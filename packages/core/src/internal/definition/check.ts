import * as Duration from "effect/Duration"
import * as Exit from "effect/Exit"
import type * as Flow from "../../Flow.ts"
import { makeCodec } from "./codec.ts"
import { isCount } from "./count.ts"
import { checkGraph, collected } from "./graph.ts"
import { errorTags, inspect } from "./inspect.ts"
import { checkSchedule, checkWord, durabilities, stops } from "./options.ts"
import { type Problem, problemsOf } from "./problem.ts"
import { quoted } from "./quoted.ts"

const reserved = (name: string, what: "node" | "channel" | "signal"): string | undefined => {
  if (name === "") return "it is empty"
  if (name === "__proto__") return "JavaScript objects give this key another meaning"
  if (what === "node" && name === "end") return `"end" is the end of the flow`
  return undefined
}

const checkNames = (flow: Flow.Any): ReadonlyArray<Problem> => {
  const problems: Array<Problem> = []
  if (flow.id === "")
    problems.push({ _tag: "InvalidName", what: "flow", name: flow.id, detail: "it is empty" })
  const all = [
    ...Object.keys(flow.nodes).map((name) => ({ what: "node" as const, name })),
    ...Object.keys(flow.state).map((name) => ({ what: "channel" as const, name })),
    ...Object.keys(flow.signals).map((name) => ({ what: "signal" as const, name }))
  ]
  for (const { name, what } of all) {
    const detail = reserved(name, what)
    if (detail !== undefined) problems.push({ _tag: "InvalidName", what, name, detail })
  }
  return problems
}

/** Errors that a run cannot fail with are not fatal to it. */
const checkFatal = ({ error, restart }: Flow.Any): ReadonlyArray<Problem> => {
  const { complete, tags } = errorTags(error)
  const fatal = restart?.fatal
  if (!complete || typeof fatal !== "object") return []
  const known = [...tags, "NodeTimeout"]
  return fatal.flatMap((tag) =>
    known.includes(tag)
      ? []
      : [
          {
            _tag: "InvalidOption",
            option: "restart.fatal",
            detail: `names the error "${tag}", but the flow's errors are ${quoted(known)}`
          }
        ]
  )
}

const checkOptions = (flow: Flow.Any): ReadonlyArray<Problem> => {
  const problems: Array<Problem> = []
  const count = (option: string, value: unknown, least: number, at: { readonly node?: string } = {}) => {
    if (!isCount(value, least)) {
      const detail = `is ${String(value)}; it must be a whole number from ${least}`
      problems.push({ _tag: "InvalidOption", ...at, option, detail })
    }
  }
  const share = (value: number | undefined, of: string, at: { readonly node?: string } = {}) => {
    if (value === undefined || (value > 0 && value <= 1)) return
    const detail = `is ${value}; it must be a share of \`${of}\`: more than 0, and at most 1`
    problems.push({ _tag: "InvalidOption", ...at, option: "warnAt", detail })
  }
  share(flow.warnAt, "maxSteps")
  flow.budgets.forEach(({ name }, index) => {
    if (flow.budgets.findIndex((other) => other.name === name) !== index) {
      problems.push({ _tag: "InvalidOption", option: "budgets", detail: `has two that are called "${name}"` })
    }
  })
  count("version", flow.version, 1)
  count("maxSteps", flow.maxSteps, 1)
  count("maxRecoveries", flow.maxRecoveries, 0)
  problems.push(
    ...checkWord("durability", flow.durability, durabilities),
    ...checkWord("onExceeded", flow.onExceeded, stops)
  )
  if (flow.restart !== undefined) {
    count("restart.max", flow.restart.max, 1)
    problems.push(...checkSchedule("restart.schedule", flow.restart.schedule), ...checkFatal(flow))
  }
  if (flow.timeout !== undefined && !(Duration.toMillis(flow.timeout) > 0)) {
    problems.push({ _tag: "InvalidOption", option: "timeout", detail: "must be longer than nothing" })
  }
  for (const [name, node] of Object.entries(flow.nodes)) {
    if (node.timeout !== undefined && !(Duration.toMillis(node.timeout) > 0)) {
      problems.push({
        _tag: "InvalidOption",
        node: name,
        option: "timeout",
        detail: "must be longer than nothing"
      })
    }
    if (node.maxVisits !== undefined) count("maxVisits", node.maxVisits, 1, { node: name })
    share(node.warnAt, "maxVisits", { node: name })
    problems.push(
      ...checkWord("onExceeded", node.onExceeded, stops, { node: name }),
      ...checkSchedule("retry", node.retry, { node: name })
    )
    if (node.maxVisits === undefined && (node.warnAt !== undefined || node.onExceeded === "pause")) {
      const detail = "is for a node that has `maxVisits`"
      const option = node.warnAt === undefined ? "onExceeded" : "warnAt"
      problems.push({ _tag: "InvalidOption", node: name, option, detail })
    }
    if (node.fanOut !== undefined) {
      const { concurrency = 1, policy, to } = node.fanOut
      const at = { node: name }
      count("fanOut.concurrency", concurrency, 1, at)
      if (policy !== "failFast" && policy !== "collect") count("fanOut.policy.quorum", policy.quorum, 1, at)
      if (to.length === 0) {
        problems.push({
          _tag: "InvalidOption",
          ...at,
          option: "fanOut.to",
          detail: "names no node for the branches"
        })
      }
    }
    if (node.retry === undefined && node.while !== undefined) {
      problems.push({
        _tag: "InvalidOption",
        node: name,
        option: "while",
        detail: "says what to retry, but there is no `retry`"
      })
    }
  }
  return problems
}

const checkSchemas = (flow: Flow.Any): ReadonlyArray<Problem> => {
  const problems: Array<Problem> = [
    ...problemsOf(inspect(flow.input, "input")),
    ...problemsOf(inspect(flow.output, "output")),
    ...problemsOf(inspect(flow.error, "error"))
  ]
  for (const [name, channel] of Object.entries(flow.state)) {
    const found = problemsOf(inspect(channel.schema, `state.${name}`))
    problems.push(...found)
    const hasInitial = channel.kind === "value" || channel.kind === "reduce" || channel.kind === "counter"
    if (found.length > 0 || !hasInitial) continue
    const exit = makeCodec(channel.schema).encode(channel.initial)
    if (Exit.isFailure(exit)) {
      const [reason] = exit.cause.reasons as ReadonlyArray<any>
      const detail = (reason.error ?? reason.defect).message
      problems.push({ _tag: "InvalidInitial", channel: name, detail })
    }
    if (Exit.isSuccess(makeCodec(channel.schema).encode(undefined))) {
      const detail = "may be `undefined`, which updates nothing; use State.optional"
      problems.push({ _tag: "InvalidOption", option: `state.${name}`, detail })
    }
  }
  for (const [name, schema] of Object.entries(flow.signals)) {
    problems.push(...problemsOf(inspect(schema, `signals.${name}`)))
  }
  for (const [name, node] of Object.entries(flow.nodes)) {
    problems.push(...problemsOf(inspect(node.error, `nodes.${name}.error`)))
    if (node.item !== undefined) problems.push(...problemsOf(inspect(node.item, `nodes.${name}.item`)))
  }
  return problems
}

const checkErrors = (flow: Flow.Any): ReadonlyArray<Problem> => {
  const problems: Array<Problem> = []
  const declared = errorTags(flow.error)
  const harmless = collected(flow)
  for (const [name, node] of Object.entries(flow.nodes)) {
    const errors = errorTags(node.error)
    const known = node.timeout === undefined ? errors.tags : [...errors.tags, "NodeTimeout"]
    for (const tag of Object.keys(node.onError)) {
      if (errors.complete && !known.includes(tag))
        problems.push({ _tag: "UnknownErrorTag", node: name, tag, tags: known })
    }
    for (const tag of errors.tags) {
      const route = Object.hasOwn(node.onError, tag) ? node.onError[tag] : undefined
      const handled = route !== undefined && (typeof route === "string" || route.status !== "stop")
      if (!handled && !harmless.has(name) && declared.complete && !declared.tags.includes(tag)) {
        problems.push({ _tag: "UnroutedError", node: name, tag })
      }
    }
  }
  return problems
}

/** Parts that are not what they should be at all, as only the compiler would have seen before: nothing else can be asked of them. */
const checkParts = (flow: Flow.Any): ReadonlyArray<Problem> => {
  const problems: Array<Problem> = []
  const part = (option: string, is: boolean, detail: string) => {
    if (!is) problems.push({ _tag: "InvalidOption", option, detail })
  }
  part("id", typeof flow.id === "string", "is not a text")
  part("start", typeof flow.startNode === "string", "is missing; name the node that runs begin with")
  const hasNodes = typeof flow.nodes === "object" && flow.nodes !== null
  part("nodes", hasNodes, "is missing; give an object of what Node.make makes")
  for (const [name, node] of Object.entries(flow.nodes ?? {}))
    part(`nodes.${name}`, node?.error !== undefined, "is not a node; give what Node.make makes")
  for (const [name, channel] of Object.entries(flow.state)) {
    part(
      `state.${name}`,
      channel?.schema !== undefined && channel.kind !== undefined,
      "is not a channel; give what State.value, State.list or another function of State makes"
    )
  }
  return problems
}

/** Everything that is wrong with a flow. */
export const check = (flow: Flow.Any): ReadonlyArray<Problem> => {
  const parts = checkParts(flow)
  if (parts.length > 0) return parts
  const schemas = checkSchemas(flow)
  // A schema without a JSON form has no codec to ask.
  const hasOutput = schemas.length === 0 && Exit.isFailure(makeCodec(flow.output).encode(undefined))
  return [
    ...checkNames(flow),
    ...checkOptions(flow),
    ...schemas,
    ...checkErrors(flow),
    ...checkGraph(flow, hasOutput),
    ...(flow.migrations[0]?.["~engine"].check(flow) ?? [])
  ]
}

/** What is wrong with a flow's handlers, for those that the compiler did not see. */
export const checkHandlers = (
  flow: Flow.Any,
  handlers: { readonly [node: string]: unknown }
): ReadonlyArray<Problem> => {
  const problems: Array<Problem> = []
  for (const node of Object.keys(flow.nodes)) {
    if (typeof handlers[node] !== "function") problems.push({ _tag: "MissingHandler", node })
  }
  for (const node of Object.keys(handlers)) {
    if (!Object.hasOwn(flow.nodes, node)) {
      problems.push({ _tag: "UnknownHandler", node, nodes: Object.keys(flow.nodes) })
    }
  }
  return problems
}
