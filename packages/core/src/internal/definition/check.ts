import * as Duration from "effect/Duration"
import * as Exit from "effect/Exit"
import type * as Flow from "../../Flow.ts"
import type * as Node from "../../Node.ts"
import { makeCodec } from "./codec.ts"
import { errorTags, inspect } from "./inspect.ts"
import { type Problem, problemsOf } from "./problem.ts"

/** The nodes that a node's policies name, with the option that names them. */
export const routesOf = (node: Node.Any): ReadonlyArray<{ readonly option: string; readonly to: string }> => {
  const routes: Array<{ readonly option: string; readonly to: string }> = []
  const add = (option: string, route: Node.OnError | undefined): void => {
    if (typeof route === "string") routes.push({ option, to: route })
    else if (route !== undefined && route.status !== "stop") routes.push({ option, to: route.to })
  }
  for (const [tag, route] of Object.entries(node.onError)) add(`onError.${tag}`, route)
  add("onDefect", node.onDefect)
  return routes
}

const reserved = (name: string, what: "node" | "channel"): string | undefined => {
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
    ...Object.keys(flow.state).map((name) => ({ what: "channel" as const, name }))
  ]
  for (const { name, what } of all) {
    const detail = reserved(name, what)
    if (detail !== undefined) problems.push({ _tag: "InvalidName", what, name, detail })
  }
  return problems
}

const checkOptions = (flow: Flow.Any): ReadonlyArray<Problem> => {
  const problems: Array<Problem> = []
  const count = (option: string, value: number, least: number) => {
    if (!Number.isSafeInteger(value) || value < least) {
      problems.push({
        _tag: "InvalidOption",
        option,
        detail: `is ${value}; it must be a whole number from ${least}`
      })
    }
  }
  count("version", flow.version, 1)
  count("maxSteps", flow.maxSteps, 1)
  count("maxRecoveries", flow.maxRecoveries, 0)
  if (flow.restart !== undefined) count("restart.max", flow.restart.max, 1)
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
    if (node.fanOut !== undefined && node.fanOut.to.length === 0) {
      problems.push({
        _tag: "InvalidOption",
        node: name,
        option: "fanOut",
        detail: "names no node for its branches"
      })
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
      const reason = exit.cause.reasons[0]
      const detail = reason?._tag === "Fail" ? reason.error.message : "it cannot be encoded"
      problems.push({ _tag: "InvalidInitial", channel: name, detail })
    }
  }
  for (const [name, node] of Object.entries(flow.nodes)) {
    problems.push(...problemsOf(inspect(node.error, `nodes.${name}.error`)))
  }
  return problems
}

const checkErrors = (flow: Flow.Any): ReadonlyArray<Problem> => {
  const problems: Array<Problem> = []
  const declared = errorTags(flow.error)
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
      if (!handled && declared.complete && !declared.tags.includes(tag)) {
        problems.push({ _tag: "UnroutedError", node: name, tag })
      }
    }
  }
  return problems
}

const checkGraph = (flow: Flow.Any, hasOutput: boolean): ReadonlyArray<Problem> => {
  const problems: Array<Problem> = []
  const names = Object.keys(flow.nodes)
  const isNode = (name: string) => Object.hasOwn(flow.nodes, name)
  const after = new Map<string, Set<string>>()

  if (!isNode(flow.start)) problems.push({ _tag: "UnknownStart", start: flow.start, nodes: names })
  for (const [name, node] of Object.entries(flow.nodes)) {
    const leads = new Set<string>()
    after.set(name, leads)
    const lead = (option: string, target: string, end: boolean) => {
      if (target === "end" && end) leads.add(target)
      else if (target === "end" && option !== "fanOut")
        problems.push({ _tag: "EndWithoutOutput", node: name, option })
      else if (isNode(target)) leads.add(target)
      else problems.push({ _tag: "UnknownTarget", node: name, option, target, nodes: names })
    }
    for (const target of node.to) lead("to", target, true)
    for (const { option, to } of routesOf(node)) {
      if (to === "") problems.push({ _tag: "AmbiguousTarget", node: name, option, targets: node.to })
      else lead(option, to, !hasOutput)
    }
    if (node.fanOut !== undefined)
      for (const target of [...node.fanOut.to, node.fanOut.join]) lead("fanOut", target, false)
    if (node.to.length === 0 && node.fanOut === undefined) problems.push({ _tag: "NoTarget", node: name })
  }
  // What follows asks where paths lead: with targets missing the answers would only repeat what is said already.
  if (problems.length > 0) return problems

  const reached = new Set<string>()
  const spread = (from: string, next: (name: string) => Iterable<string>) => {
    reached.clear()
    const open = [from]
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      if (reached.has(name)) continue
      reached.add(name)
      open.push(...next(name))
    }
  }
  spread(flow.start, (name) => after.get(name) ?? [])
  for (const node of names) {
    if (!reached.has(node)) problems.push({ _tag: "Unreachable", node, start: flow.start })
  }
  const before = new Map<string, Array<string>>()
  for (const [name, leads] of after) {
    for (const target of leads) {
      const known = before.get(target)
      if (known === undefined) before.set(target, [name])
      else known.push(name)
    }
  }
  spread("end", (name) => before.get(name) ?? [])
  for (const node of names) if (!reached.has(node)) problems.push({ _tag: "DeadEnd", node })
  return problems
}

/** Everything that is wrong with a flow. */
export const check = (flow: Flow.Any): ReadonlyArray<Problem> => {
  const schemas = checkSchemas(flow)
  // A schema without a JSON form has no codec to ask.
  const hasOutput = schemas.length === 0 && Exit.isFailure(makeCodec(flow.output).encode(undefined))
  return [
    ...checkNames(flow),
    ...checkOptions(flow),
    ...schemas,
    ...checkErrors(flow),
    ...checkGraph(flow, hasOutput)
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
