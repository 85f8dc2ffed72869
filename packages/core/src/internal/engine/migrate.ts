/**
 * Carrying out the migrations of a flow: a chain from the version that a run is at to that of the flow. The journal gets
 * the result as one event, so that there is nothing between the old run and the new one.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HashMap from "effect/HashMap"
import * as Result from "effect/Result"
import type { Body, Op, Ops } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import type { RunState } from "../../RunState.ts"
import type * as State from "../../State.ts"
import * as Cell from "../cell.ts"
import { applyOps } from "../channels.ts"
import { makeCodec } from "../definition/codec.ts"
import type { Difference } from "../definition/difference.ts"
import { channelShapes, shapeOf } from "../definition/fingerprint.ts"
import { inspect } from "../definition/inspect.ts"
import type * as Migrations from "../definition/migration.ts"
import { problemsOf } from "../definition/problem.ts"
import type { Problem } from "../definition/problem.ts"
import { frozen } from "../frozen.ts"
import { define, get } from "../record.ts"
import type { Mutable } from "../record.ts"
import { visitsOf } from "../visits.ts"
import { canonical } from "./canonical.ts"
import { encode } from "./encoded.ts"
import * as Failures from "./failure.ts"
import * as TypedState from "./typedState.ts"
import * as Versions from "./versions.ts"

type Channels = State.Channels
type Update = { readonly [channel: string]: unknown }

/** Why a migration cannot be carried out; it does not leave this module. */
class Unfit {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

const unfit = (message: string): never => {
  throw new Unfit(message)
}

const fits = <A>(result: Result.Result<A, TypedState.Mismatch>): A =>
  Result.isSuccess(result) ? result.success : unfit(`${result.failure.what}: ${result.failure.message}`)

const read = <A>(what: string, exit: Exit.Exit<A, unknown>): A =>
  Exit.isSuccess(exit) ? exit.value : unfit(`${what}: ${Failures.problemOf(exit)}`)

const nameOf = ({ from, to }: Migrations.Any): string =>
  `the migration from version ${from.version} to ${to.version}`

// -------------------------------------------------------------------------------------------------------------------
// state
// -------------------------------------------------------------------------------------------------------------------

const stateAfter = (
  { from, to, "~functions": { state } }: Migrations.Any,
  channels: RunState["channels"],
  input: unknown
): RunState["channels"] => {
  for (const name of Object.keys(channels)) {
    if (!Object.hasOwn(from.state, name))
      unfit(`version ${from.version} has no channel "${name}", which the run has`)
  }
  const { view } = fits(TypedState.decode(from.state, channels))
  const given = state(view, input)
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(to.state, name))
      unfit(`it gives a channel "${name}", which version ${to.version} does not have`)
  }
  let after: RunState["channels"] = {}
  for (const name of Object.keys(to.state)) {
    const channel = to.state[name]!
    const before = get(from.state, name)
    const cell = get(channels, name)
    const value = get(given, name)
    if (value === undefined && channel.kind !== "optional") unfit(`it does not give channel "${name}"`)
    const isSame =
      before?.kind === channel.kind && before.schema.ast === channel.schema.ast && value === view[name]
    if (isSame && cell !== undefined) after = { ...after, [name]: cell }
    else if (!isSame || !TypedState.startsEmpty(channel)) {
      const ops = fits(TypedState.edits(to.state, { [name]: value }))
      after = applyOps(after, ops, { run: "", seq: -1 })
    }
  }
  return after
}

/** The operations between two states; what did not become different is left out. */
const opsBetween = (before: RunState["channels"], after: RunState["channels"]): Ops => {
  const ops: { [channel: string]: Op } = {}
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const old = get(before, name)
    const now = get(after, name)
    if (now === undefined) define(ops, name, { unset: true })
    else if (now !== old) {
      const set = Cell.toValue(now)
      if (old === undefined || canonical(Cell.toValue(old)) !== canonical(set)) define(ops, name, { set })
    }
  }
  return ops
}

// -------------------------------------------------------------------------------------------------------------------
// updates of branches
// -------------------------------------------------------------------------------------------------------------------

const mapItems = <A>(
  items: ReadonlyArray<A> | { readonly [key: string]: A },
  f: (item: A) => unknown
): unknown => {
  if (Array.isArray(items)) return items.map((item) => f(item))
  const mapped: { [key: string]: unknown } = {}
  for (const [key, item] of Object.entries(items)) define(mapped, key, f(item))
  return mapped
}

/** Under which key an operation of a branch holds the update of a channel of this kind. */
const keyOf = ({ kind }: State.Any): "append" | "merge" | "add" | "combine" | "set" => {
  switch (kind) {
    case "list":
      return "append"
    case "record":
      return "merge"
    case "counter":
      return "add"
    case "reduce":
      return "combine"
    default:
      return "set"
  }
}

const updateOf = (channels: Channels, ops: Ops): Update => {
  const update: { [channel: string]: unknown } = {}
  for (const name of Object.keys(ops)) {
    const what = `the update of channel "${name}"`
    const channel = get(channels, name) ?? unfit(`${what}: there is no such channel`)
    const op = ops[name]! as { readonly [key: string]: any }
    if ("unset" in op) {
      define(update, name, undefined)
      continue
    }
    const key = keyOf(channel)
    if (!(key in op)) unfit(`${what}: it is not one of a channel of kind ${channel.kind}`)
    const { decode } = makeCodec(channel.schema)
    define(
      update,
      name,
      key === "append" || key === "merge"
        ? mapItems(op[key], (item) => read(what, decode(frozen(item))))
        : read(what, decode(frozen(op[key])))
    )
  }
  return update
}

const opsOf = (channels: Channels, update: Update): Ops => {
  const ops: { [channel: string]: Op } = {}
  for (const name of Object.keys(update)) {
    const what = `the new update of channel "${name}"`
    const channel = get(channels, name) ?? unfit(`${what}: there is no such channel`)
    const given = update[name] as any
    if (given === undefined) {
      if (channel.kind === "optional") define(ops, name, { unset: true })
      continue
    }
    const key = keyOf(channel)
    const isWhole = key !== "append" && key !== "merge"
    if (
      !isWhole &&
      (typeof given !== "object" || given === null || Array.isArray(given) !== (key === "append"))
    )
      unfit(`${what}: it is not one of a channel of kind ${channel.kind}`)
    const encoded = (item: unknown) => read(what, encode(channel.schema, item))
    const value = isWhole ? encoded(given) : mapItems(given, encoded)
    define(ops, name, { [key]: value } as unknown as Op)
  }
  return ops
}

interface BranchUpdates {
  readonly fanOut: string
  readonly branch: string
  readonly before: ReadonlyArray<Ops>
  readonly after: ReadonlyArray<Ops>
}

const updatesIn = (state: RunState): ReadonlyArray<BranchUpdates> => {
  const all: Array<BranchUpdates> = []
  for (const { id, updates } of HashMap.values(state.fanOuts)) {
    for (const [branch, made] of updates) {
      const before = Cell.toArray(made).map(({ ops }) => ops)
      all.push({ fanOut: id, branch, before, after: before })
    }
  }
  return all
}

const updatesAfter = (
  { from, to, "~functions": { update } }: Migrations.Any,
  branch: BranchUpdates
): BranchUpdates => ({
  ...branch,
  after: branch.after.map((ops) =>
    opsOf(
      to.state,
      (
        update ??
        unfit(`branches of fan-out ${branch.fanOut} have changed the state, and it gives no \`update\``)
      )(updateOf(from.state, ops))
    )
  )
})

// -------------------------------------------------------------------------------------------------------------------
// chains
// -------------------------------------------------------------------------------------------------------------------

const rename =
  (chain: ReadonlyArray<Migrations.Any>) =>
  (node: string): string =>
    chain.reduce((name, { nodes }) => get(nodes, name) ?? name, node)

/** So many branches are brought to the next version before others get their turn. */
const turn = 100

const migrateBy = /* @__PURE__ */ Effect.fnUntraced(function* (
  flow: Flow.Any,
  chain: ReadonlyArray<Migrations.Any>,
  state: RunState
): Effect.fn.Return<Extract<Body, { kind: "migrated" }>, Difference> {
  /** What the author of a migration wrote may throw, too. */
  const attempt = <A>(where: string, f: () => A): Effect.Effect<A, Difference> =>
    Effect.try({
      try: f,
      catch: (error) => {
        const text = error instanceof Unfit ? error.message : `it broke: ${String(error)}`
        return { kind: "migration" as const, message: `${where}: ${text}` }
      }
    })

  let { channels } = state
  let input = state.input.value
  let updates = updatesIn(state)
  for (const link of chain) {
    const where = nameOf(link)
    const { from, to, "~functions": functions } = link
    const old = yield* attempt(where, () => {
      const typed =
        from.input === undefined ? undefined : read("the input", makeCodec(from.input).decode(frozen(input)))
      channels = stateAfter(link, channels, typed)
      return typed
    })
    if (functions.input !== undefined) {
      const given = functions.input
      input = yield* attempt(where, () => read("the new input", encode(to.input!, given(old))))
    }
    const after: Array<BranchUpdates> = []
    for (const branch of updates) {
      after.push(yield* attempt(`${where}, branch ${branch.branch}`, () => updatesAfter(link, branch)))
      if (after.length % turn === 0) yield* Effect.yieldNow
    }
    updates = after
  }
  // What the flow has to read from now on, it can read.
  yield* attempt(`version ${flow.version}`, () => {
    read("the input", makeCodec(flow.input).decode(input))
    fits(TypedState.decode(flow.state, channels))
  })

  const body: Mutable<Extract<Body, { kind: "migrated" }>> = {
    kind: "migrated",
    from: { version: state.version, fingerprint: state.fingerprint },
    version: flow.version,
    fingerprint: flow.fingerprint,
    ops: opsBetween(state.channels, channels)
  }
  if (canonical(input) !== canonical(state.input.value)) body.input = input
  const signals = Object.keys(flow.signals)
  if (canonical(signals) !== canonical(state.keeps ?? [])) body.signals = signals
  const renamed = rename(chain)
  const nodes: { [node: string]: string } = {}
  const name = (node: string): void => {
    if (renamed(node) !== node) define(nodes, node, renamed(node))
  }
  for (const [, { node }] of visitsOf(state)) name(node)
  for (const { join } of HashMap.values(state.fanOuts)) name(join)
  if (Object.keys(nodes).length > 0) body.nodes = nodes
  const changed: { [fanOut: string]: { [branch: string]: ReadonlyArray<Ops> } } = {}
  for (const { after, before, branch, fanOut } of updates) {
    if (canonical(after) === canonical(before)) continue
    const branches = get(changed, fanOut) ?? {}
    define(changed, fanOut, branches)
    define(branches, branch, after)
  }
  if (Object.keys(changed).length > 0) body.updates = changed
  return body
})

const migrate: Migrations.Engine["migrate"] = (flow, state) => {
  const chain = flow.migrations.slice(flow.migrations.findIndex(({ from }) => from.version === state.version))
  const lost = Versions.stranded(flow, state, rename(chain))
  if (lost.length > 0) return Effect.succeed(Result.fail(lost))
  return Effect.result(Effect.mapError(migrateBy(flow, chain, state), (difference) => [difference]))
}

// -------------------------------------------------------------------------------------------------------------------
// definition
// -------------------------------------------------------------------------------------------------------------------

const isVersion = (version: number): boolean => Number.isSafeInteger(version) && version >= 1

const schemaProblems = (at: string, { input, state }: Migrations.AnyVersion): ReadonlyArray<Problem> => [
  ...Object.entries(state).flatMap(([name, { schema }]) =>
    problemsOf(inspect(schema, `${at}.state.${name}`))
  ),
  ...(input === undefined ? [] : problemsOf(inspect(input, `${at}.input`)))
]

const check: Migrations.Engine["check"] = (flow) =>
  flow.migrations.flatMap((link, index): ReadonlyArray<Problem> => {
    const { from, nodes, to, "~functions": functions } = link
    const next: Migrations.AnyVersion & { readonly nodes?: unknown } =
      flow.migrations[index + 1]?.from ?? flow
    const details: Array<string> = []
    if (!(isVersion(from.version) && isVersion(to.version) && from.version < to.version))
      details.push("it has to lead from a version, counted from 1, to a later one")
    if (to.version !== next.version) {
      details.push(
        next === flow
          ? `it is the last one, and the flow is at version ${flow.version}`
          : `the one after it begins at version ${next.version}; let each begin where the one before it ends`
      )
    } else {
      const given = new Set(channelShapes(to.state).map((shape) => JSON.stringify(shape)))
      const expected = new Set(channelShapes(next.state).map((shape) => JSON.stringify(shape)))
      const other =
        [...expected].find((shape) => !given.has(shape)) ?? [...given].find((shape) => !expected.has(shape))
      if (other !== undefined) {
        details.push(
          `channel "${JSON.parse(other)[0]}" is not the same where it ends and where version ${next.version} begins`
        )
      }
      if (
        to.input !== undefined &&
        next.input !== undefined &&
        JSON.stringify(shapeOf(to.input)) !== JSON.stringify(shapeOf(next.input))
      )
        details.push(`the input is not the same where it ends and where version ${next.version} begins`)
    }
    if (functions.input !== undefined && (from.input === undefined || to.input === undefined))
      details.push("it changes the input: give the schemas of the input before and after, in `from` and `to`")
    const renamed = rename(flow.migrations.slice(index))
    for (const node of Object.keys(nodes)) {
      if (!Object.hasOwn(flow.nodes, renamed(node))) {
        details.push(
          `node "${node}" becomes "${renamed(node)}", which is not a node of the flow; the nodes are ${Object.keys(flow.nodes).join(", ")}`
        )
      }
    }
    const at = `migrations[${index}]`
    return [
      ...details.map((detail) => ({
        _tag: "InvalidMigration" as const,
        from: from.version,
        to: to.version,
        detail
      })),
      ...schemaProblems(`${at}.from`, from),
      ...schemaProblems(`${at}.to`, to)
    ]
  })

export const engine: Migrations.Engine = { check, migrate }
