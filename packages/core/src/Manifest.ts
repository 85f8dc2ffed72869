/**
 * A flow as plain data: what an editor draws, and what can be read without the code.
 *
 * It stands apart from `Flow`, so that a program that makes no manifest does not carry the code for JSON Schemas.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { Durability } from "./Event.ts"
import type * as Flow from "./Flow.ts"
import { makeCodec } from "./internal/definition/codec.ts"
import { errorTags, holdSecrets, schemasOf } from "./internal/definition/inspect.ts"
import { retryText } from "./internal/definition/retryText.ts"
import type { Site as DefinitionSite } from "./internal/definition/site.ts"
import type * as FlowNode from "./Node.ts"

const optional = Schema.optionalKey

/**
 * Where in the source something was defined. Lines and columns count from 1.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Site = Schema.Struct({ file: Schema.String, line: Schema.Int, column: Schema.Int })
/**
 * @category models
 * @since 0.1.0
 */
export type Site = typeof Site.Type

/**
 * A JSON Schema (draft 2020-12) of the stored form of a value, with its definitions under `$defs`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const JsonSchema = Schema.Record(Schema.String, Schema.Json)
/**
 * @category models
 * @since 0.1.0
 */
export type JsonSchema = typeof JsonSchema.Type

/**
 * A channel of the state. `initial` is the stored form of what it holds at the start, where that is not empty.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Channel = Schema.Struct({
  name: Schema.String,
  kind: Schema.Literals(["value", "optional", "list", "record", "counter", "reduce"]),
  schema: JsonSchema,
  initial: optional(Schema.Json)
})
/**
 * @category models
 * @since 0.1.0
 */
export type Channel = typeof Channel.Type

/**
 * A signal that is kept if it comes before a run waits for it, and the stored form of its payload.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Signal = Schema.Struct({ name: Schema.String, schema: JsonSchema })
/**
 * @category models
 * @since 0.1.0
 */
export type Signal = typeof Signal.Type

/**
 * How the branches of a node are executed. The edges say where they begin and end.
 *
 * - `policy`: what becomes of the branches if one fails
 * - `concurrency`: how many are under way at once; all of them if it is absent
 *
 * @category schemas
 * @since 0.1.0
 */
export const FanOut = Schema.Struct({
  policy: Schema.Union([Schema.Literals(["failFast", "collect"]), Schema.Struct({ quorum: Schema.Int })]),
  concurrency: optional(Schema.Int)
})
/**
 * @category models
 * @since 0.1.0
 */
export type FanOut = typeof FanOut.Type

/**
 * A node and its policies.
 *
 * - `item`: what a fan-out hands to it
 * - `errors`: the tags of its declared errors
 * - `retry`: its retry policy in words; `retryOnly`: whether a condition decides which errors are retried
 * - `timeout`: the limit of one attempt in milliseconds
 * - `maxVisits`: how often a run may visit it, `warnAt` the share of that after which it is warned, and `onExceeded` what
 *   happens beyond (`fail` unless it is there)
 *
 * @category schemas
 * @since 0.1.0
 */
export const Node = Schema.Struct({
  name: Schema.String,
  description: optional(Schema.String),
  item: optional(JsonSchema),
  errors: Schema.Array(Schema.String),
  error: optional(JsonSchema),
  retry: optional(Schema.String),
  retryOnly: optional(Schema.Literal(true)),
  timeout: optional(Schema.Finite),
  fanOut: optional(FanOut),
  maxVisits: optional(Schema.Int),
  warnAt: optional(Schema.Finite),
  onExceeded: optional(Schema.Literal("pause")),
  site: optional(Site)
})
/**
 * @category models
 * @since 0.1.0
 */
export type Node = typeof Node.Type

/**
 * One way on from a node.
 *
 * - `next`: its handler may choose it; `end`: its handler may end the run
 * - `route`, `skip`, `tolerate`: where the run goes on after the error `tag`, or after a defect if `defect` is set
 * - `branch`: its handler may begin branches there; `join`: they end there
 *
 * @category schemas
 * @since 0.1.0
 */
export const Edge = Schema.Struct({
  from: Schema.String,
  to: Schema.String,
  kind: Schema.Literals(["next", "end", "route", "skip", "tolerate", "branch", "join"]),
  tag: optional(Schema.String),
  defect: optional(Schema.Literal(true))
})
/**
 * @category models
 * @since 0.1.0
 */
export type Edge = typeof Edge.Type

/**
 * A budget of the flow's runs.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Budget = Schema.Struct({
  name: Schema.String,
  limit: Schema.Finite,
  warnAt: optional(Schema.Finite),
  onExceeded: Schema.Literals(["pause", "fail"])
})
/**
 * @category models
 * @since 0.1.0
 */
export type Budget = typeof Budget.Type

/**
 * A flow as plain data. `format` grows when the shape of manifests changes.
 *
 * - `maxRestarts`: how often a run that would fail is restarted; `restart`: after how long, in words, if not at once
 * - `timeout`: how long a run may take, in milliseconds
 *
 * @category schemas
 * @since 0.1.0
 */
export const Manifest = Schema.Struct({
  format: Schema.Literal(1),
  id: Schema.String,
  version: Schema.Int,
  fingerprint: Schema.String,
  description: optional(Schema.String),
  start: Schema.String,
  durability: Durability,
  maxSteps: Schema.Int,
  maxRecoveries: Schema.Int,
  warnAt: optional(Schema.Finite),
  onExceeded: optional(Schema.Literal("pause")),
  budgets: optional(Schema.Array(Budget)),
  maxRestarts: optional(Schema.Int),
  restart: optional(Schema.String),
  timeout: optional(Schema.Finite),
  requiresCodec: Schema.Boolean,
  input: JsonSchema,
  output: JsonSchema,
  error: JsonSchema,
  state: Schema.Array(Channel),
  signals: optional(Schema.Array(Signal)),
  nodes: Schema.Array(Node),
  edges: Schema.Array(Edge),
  site: optional(Site)
})
/**
 * @category models
 * @since 0.1.0
 */
export type Manifest = typeof Manifest.Type

const jsonSchemaOf = (schema: Schema.Constraint): JsonSchema => {
  const document = Schema.toJsonSchemaDocument(schema, { onExcessProperty: "error" })
  const all =
    Object.keys(document.definitions).length === 0
      ? document.schema
      : { ...document.schema, $defs: document.definitions }
  // Generated schemas share objects and may hold `undefined`; a manifest is what its JSON says.
  return JSON.parse(JSON.stringify(all)) as JsonSchema
}

const siteOf = (site: DefinitionSite | undefined): { readonly site?: Site } =>
  site === undefined ? {} : { site }

const routeEdge = (
  from: string,
  route: FlowNode.OnError,
  on: Pick<Edge, "tag" | "defect">
): ReadonlyArray<Edge> => {
  if (typeof route === "string") return [{ from, to: route, kind: "route", ...on }]
  if (route.status === "stop") return []
  return [{ from, to: route.to, kind: route.status === "skipped" ? "skip" : "tolerate", ...on }]
}

const edgesOf = (name: string, node: FlowNode.Any): ReadonlyArray<Edge> => [
  ...node.to.map((to): Edge => ({ from: name, to, kind: to === "end" ? "end" : "next" })),
  ...(node.fanOut?.to.map((to): Edge => ({ from: name, to, kind: "branch" })) ?? []),
  ...(node.fanOut === undefined ? [] : [{ from: name, to: node.fanOut.join, kind: "join" } satisfies Edge]),
  ...Object.entries(node.onError).flatMap(([tag, route]) => routeEdge(name, route, { tag })),
  ...(node.onDefect === undefined ? [] : routeEdge(name, node.onDefect, { defect: true }))
]

const fanOutOf = ({ concurrency, policy }: FlowNode.FanOut): FanOut => ({
  policy: typeof policy === "string" ? policy : { quorum: policy.quorum },
  ...(concurrency === undefined ? {} : { concurrency })
})

/** JSON has no infinity, and an infinite limit is none. */
const timeoutOf = (timeout: Duration.Duration | undefined): { readonly timeout?: number } =>
  timeout === undefined || !Duration.isFinite(timeout) ? {} : { timeout: Duration.toMillis(timeout) }

const nodeOf = (name: string, node: FlowNode.Any): Node => {
  const errors = node.error.ast._tag === "Never" ? undefined : jsonSchemaOf(node.error)
  return {
    name,
    ...(node.description === undefined ? {} : { description: node.description }),
    ...(node.item === undefined ? {} : { item: jsonSchemaOf(node.item) }),
    errors: errorTags(node.error).tags,
    ...(errors === undefined ? {} : { error: errors }),
    ...(node.retry === undefined ? {} : { retry: retryText(node.retry) }),
    ...(node.while === undefined ? {} : { retryOnly: true }),
    ...timeoutOf(node.timeout),
    ...(node.fanOut === undefined ? {} : { fanOut: fanOutOf(node.fanOut) }),
    ...(node.maxVisits === undefined ? {} : { maxVisits: node.maxVisits }),
    ...(node.warnAt === undefined ? {} : { warnAt: node.warnAt }),
    ...(node.onExceeded === "fail" ? {} : { onExceeded: node.onExceeded }),
    ...siteOf(node.site())
  }
}

const budgetOf = ({ limit, name, onExceeded, warnAt }: Flow.Any["budgets"][number]): Budget =>
  warnAt === undefined ? { name, limit, onExceeded } : { name, limit, warnAt, onExceeded }

const channelOf = ([name, channel]: readonly [string, Flow.Any["state"][string]]): Channel => {
  const base = { name, kind: channel.kind, schema: jsonSchemaOf(channel.schema) }
  if (channel.kind === "optional" || channel.kind === "list" || channel.kind === "record") return base
  const exit = makeCodec(channel.schema).encode(channel.initial)
  return Exit.isSuccess(exit) ? { ...base, initial: exit.value } : base
}

const signalsOf = ({ signals }: Flow.Any): { readonly signals?: ReadonlyArray<Signal> } => {
  const all = Object.entries(signals).map(([name, schema]) => ({ name, schema: jsonSchemaOf(schema) }))
  return all.length === 0 ? {} : { signals: all }
}

/**
 * The manifest of a flow. Which tools its handlers call is not part of a definition, so they are not in it.
 *
 * To describe a retry policy it tries the policy's schedule, which runs what a person put into it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const manifest = (flow: Flow.Any): Manifest => ({
  format: 1,
  id: flow.id,
  version: flow.version,
  fingerprint: flow.fingerprint,
  ...(flow.description === undefined ? {} : { description: flow.description }),
  start: flow.startNode,
  durability: flow.durability,
  maxSteps: flow.maxSteps,
  maxRecoveries: flow.maxRecoveries,
  ...(flow.warnAt === undefined ? {} : { warnAt: flow.warnAt }),
  ...(flow.onExceeded === "fail" ? {} : { onExceeded: flow.onExceeded }),
  ...(flow.budgets.length === 0 ? {} : { budgets: flow.budgets.map(budgetOf) }),
  ...timeoutOf(flow.timeout),
  ...(flow.restart === undefined ? {} : { maxRestarts: flow.restart.max }),
  ...(flow.restart?.schedule === undefined ? {} : { restart: retryText(flow.restart.schedule) }),
  requiresCodec: holdSecrets(schemasOf(flow)),
  input: jsonSchemaOf(flow.input),
  output: jsonSchemaOf(flow.output),
  error: jsonSchemaOf(flow.error),
  state: Object.entries(flow.state).map(channelOf),
  ...signalsOf(flow),
  nodes: Object.entries(flow.nodes).map(([name, node]) => nodeOf(name, node)),
  edges: Object.entries(flow.nodes).flatMap(([name, node]) => edgesOf(name, node)),
  ...siteOf(flow.site())
})
