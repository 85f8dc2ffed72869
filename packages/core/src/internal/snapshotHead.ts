/**
 * The head of a snapshot: the state of a run without the content of its large channels.
 */
import { identity } from "effect/Function"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { Json } from "effect/Schema"
import * as Schema from "effect/Schema"
import type { Call, OpenVisit, RunState } from "../RunState.ts"
import * as Cell from "./cell.ts"
import {
  Count,
  Durability,
  Failure,
  JoinPolicy,
  optional,
  Ops,
  PauseReason,
  TraceRef,
  Undoable,
  Undone,
  Value,
  WaitTarget
} from "./event/values.ts"
import { Created } from "./event/runKinds.ts"
import { WaitEnded } from "./event/visitKinds.ts"
import { guardOf } from "./guard.ts"
import { define, get } from "./record.ts"
import { runStatuses } from "./status.ts"
import { visitsOf } from "./visits.ts"

/** A value up to this size stands in the head. */
export const inlineBytes = 512

/** Roughly the length of a value as JSON; it stops counting at `limit`. */
export const roughSize = (value: unknown, limit: number): number => {
  if (typeof value === "string") return value.length + 2
  if (typeof value !== "object" || value === null) return 8
  let size = 2
  if (Array.isArray(value)) {
    for (const item of value) {
      if (size >= limit) return size
      size += roughSize(item, limit - size) + 1
    }
    return size
  }
  for (const key of Object.keys(value)) {
    if (size >= limit) return size
    size += key.length + 4 + roughSize((value as { [key: string]: unknown })[key], limit - size)
  }
  return size
}

const place = { run: Schema.String, seq: Count }
const Part = Schema.Struct({ ...place, from: Count, bytes: Count })

const InPlace = Schema.Struct({ type: Schema.Literal("Plain"), value: Value })
const Elsewhere = Schema.Struct({ type: Schema.Literal("Plain"), part: Schema.Struct(place) })
const ListHead = Schema.Struct({ type: Schema.Literal("List"), length: Count, parts: Schema.Array(Part) })
const RecordHead = Schema.Struct({ type: Schema.Literal("Record"), parts: Schema.Array(Part) })

/**
 * How a snapshot holds a channel: small values in place, others by where they can be read. `length` is how many items a
 * list has.
 */
export const ChannelHead = Schema.Union([InPlace, Elsewhere, ListHead, RecordHead])
export type ChannelHead = typeof ChannelHead.Type
export type PlainHead = typeof InPlace.Type | typeof Elsewhere.Type

const Tried = Schema.Struct({ time: Schema.Finite, error: Failure })

const CallHead: Schema.Codec<Call> = Schema.Struct({
  tool: Schema.String,
  status: Schema.Literals(["started", "completed", "failed"]),
  attempt: Count,
  seq: Schema.Int,
  time: Schema.Finite,
  ended: optional(Schema.Int),
  atOnce: optional(Schema.Literal(true)),
  again: optional(Schema.Int),
  output: optional(Value),
  error: optional(Failure),
  retries: Schema.Array(Tried),
  due: optional(Schema.Finite),
  released: optional(Schema.Literal(true)),
  undecided: optional(Schema.Literal(true)),
  undoable: optional(Undoable)
})

const UndoHead = Schema.Struct({ tool: Schema.String, started: Count, completed: optional(Count) })

const CompensatingHead = Schema.Struct({
  error: optional(Failure),
  branch: optional(Schema.String),
  node: optional(Schema.String),
  visit: optional(Count),
  attempt: optional(Count),
  current: optional(
    Schema.Struct({
      started: Count,
      time: Schema.Finite,
      retries: Schema.Array(Tried),
      due: optional(Schema.Finite)
    })
  ),
  undone: Schema.Array(Undone)
})

const Starts = Schema.Array(Schema.Struct({ node: Schema.String, count: Count }))
const EndedHead = Schema.Struct({ index: Count, node: Schema.String, error: optional(Failure) })

const Moment = Schema.Struct({ seq: Schema.Int, time: Schema.Finite })

const VisitHead = Schema.Struct({
  node: Schema.String,
  visit: Count,
  attempt: Count,
  after: optional(Schema.Int),
  since: Moment,
  failures: Schema.Array(Tried),
  calls: Schema.Record(Schema.String, CallHead),
  waiting: Schema.Array(Schema.String),
  ended: Schema.Record(Schema.String, Schema.Struct({ ...Moment.fields, outcome: WaitEnded.fields.outcome })),
  slept: optional(Schema.Record(Schema.String, Moment)),
  due: optional(Schema.Finite),
  item: optional(Value),
  joined: optional(
    Schema.Struct({ starts: Starts, ended: Schema.Array(EndedHead), quorum: optional(Count) })
  ),
  openedAs: optional(Schema.String),
  marks: optional(Schema.Record(Schema.String, Schema.Literals([0, 1]))),
  progress: optional(
    Schema.Struct({
      nth: Count,
      done: Schema.Finite,
      total: Schema.Finite,
      note: optional(Schema.String)
    })
  ),
  nth: optional(Count)
})

const FanOutHead = Schema.Struct({
  id: Schema.String,
  node: Schema.String,
  visit: Count,
  join: Schema.String,
  policy: JoinPolicy,
  concurrency: optional(Count),
  count: Count,
  starts: Starts,
  completed: Count,
  ended: Schema.Array(EndedHead),
  updates: Schema.Record(Schema.String, Schema.Array(Schema.Struct({ node: Schema.String, ops: Ops })))
})

const WaitHead = Schema.Struct({
  branch: Schema.String,
  on: WaitTarget,
  seq: Count,
  race: optional(Schema.String),
  schema: optional(Value),
  due: optional(Schema.Finite)
})

export const SnapshotHead = Schema.Struct({
  run: Schema.String,
  flow: Schema.String,
  version: Count,
  fingerprint: Schema.String,
  status: Schema.Literals(runStatuses),
  input: Schema.Union([InPlace, Elsewhere]),
  channels: Schema.Record(Schema.String, ChannelHead),
  open: Schema.Record(Schema.String, VisitHead),
  fanOuts: Schema.Record(Schema.String, FanOutHead),
  waits: Schema.Record(Schema.String, WaitHead),
  waiting: Count,
  signals: Schema.Array(
    Schema.Struct({
      seq: Count,
      time: Schema.Finite,
      name: Schema.String,
      key: optional(Schema.String),
      payload: Value
    })
  ),
  keeps: optional(Schema.Array(Schema.String)),
  outbox: Schema.Record(Schema.String, Schema.Struct({ to: Schema.String, body: Value })),
  inbox: Schema.Record(Schema.String, Schema.Struct({ upTo: Count, beyond: Schema.Array(Count) })),
  steps: Count,
  recoveries: Count,
  restarts: Count,
  autoRestarts: optional(Schema.Array(Tried)),
  durability: Durability,
  maxSteps: Count,
  maxRecoveries: Count,
  warned: optional(Schema.Literal(true)),
  warnedNodes: optional(Schema.Array(Schema.String)),
  maxVisits: Created.fields.maxVisits,
  visits: Created.fields.maxVisits,
  budgets: optional(
    Schema.Record(
      Schema.String,
      Schema.Struct({ spent: Schema.Finite, limit: Schema.Finite, warned: optional(Schema.Literal(true)) })
    )
  ),
  timeout: optional(Schema.Finite),
  deadline: optional(Schema.Finite),
  session: optional(Schema.String),
  actor: optional(Schema.String),
  correlation: optional(Schema.String),
  parent: Created.fields.parent,
  forkOf: optional(Schema.Struct(place)),
  trace: optional(TraceRef),
  pause: optional(PauseReason),
  cancel: optional(Schema.String),
  undo: optional(Schema.Array(UndoHead)),
  compensating: optional(CompensatingHead)
})
export type SnapshotHead = typeof SnapshotHead.Type

export const isSnapshotHead: (value: unknown) => value is SnapshotHead = /* @__PURE__ */ guardOf(SnapshotHead)

/** How the head holds a plain value. What has no origin is a sum, and small. */
export const plainHead = ({ origin, value }: Cell.Plain<Json>): PlainHead =>
  origin === undefined || roughSize(value, inlineBytes) < inlineBytes
    ? { type: "Plain", value }
    : { type: "Plain", part: origin }

const recordOf = <A, B>(
  entries: Iterable<readonly [string, A]>,
  f: (value: A) => B
): { readonly [key: string]: B } => {
  const record: { [key: string]: B } = {}
  for (const [key, value] of entries) define(record, key, f(value))
  return record
}

/** What heads were made of, as long as they are there. */
const origins = /* @__PURE__ */ new WeakMap<object, RunState>()

/** Whether this very object was made of this very state. */
const isMadeOf = (head: unknown, state: RunState): boolean => origins.get(head as object) === state

/** Whether a value is a head; one that was made of this state is. */
export const isHeadFor = (head: unknown, state: RunState): head is SnapshotHead =>
  isMadeOf(head, state) || isSnapshotHead(head)

/** The head of a state whose channels are held like this. */
export const headOf = (state: RunState, channels: SnapshotHead["channels"]): SnapshotHead => {
  const {
    branches: _b,
    channels: _c,
    ending: _e,
    epoch: _ep,
    fanOuts,
    input,
    outbox,
    seq: _s,
    snapshot: _sn,
    time: _t,
    undo,
    waits,
    ...rest
  } = state
  const head: SnapshotHead = {
    ...rest,
    input: plainHead(input),
    channels,
    open: recordOf(visitsOf(state), ({ calls, joined, marks, slept, ...visit }) => ({
      ...visit,
      ...(joined === undefined ? undefined : { joined: { ...joined, ended: Cell.toArray(joined.ended) } }),
      ...(marks && { marks: recordOf(marks, identity) }),
      ...(slept && { slept: recordOf(slept, identity) }),
      calls: recordOf(calls, identity)
    })),
    fanOuts: recordOf(fanOuts, ({ ended, updates, ...fanOut }) => ({
      ...fanOut,
      ended: Cell.toArray(ended),
      updates: recordOf(updates, Cell.toArray)
    })),
    waits: recordOf(waits, identity),
    outbox: recordOf(outbox, identity),
    ...(undo === undefined ? undefined : { undo: Cell.toArray(undo) })
  }
  origins.set(head, state)
  return head
}

const keysOf = (object: { readonly [key: string]: unknown }): ReadonlyArray<string> =>
  Object.keys(object).filter((key) => object[key] !== undefined)

/** Whether two values are the same once they are JSON, whatever the order of keys. */
const isSame = (a: unknown, b: unknown): boolean => {
  if (a === b) return true
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a !== a && b !== b
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => isSame(item, b[i]))
  }
  if (Array.isArray(b)) return false
  const left = a as { readonly [key: string]: unknown }
  const right = b as { readonly [key: string]: unknown }
  const keys = keysOf(left)
  return keys.length === keysOf(right).length && keys.every((key) => isSame(left[key], get(right, key)))
}

const holds = (head: ChannelHead | undefined, cell: Cell.Cell): boolean => {
  if (head?.type !== cell._tag) return false
  if (head.type === "List") return head.length === (cell as Cell.List<Json>).length
  return !("value" in head) || isSame(head.value, (cell as Cell.Plain<Json>).value)
}

/** In what a head is not that of the state, as far as it can tell without reading parts. */
export const disagreement = (head: SnapshotHead, state: RunState): string | undefined => {
  // Only its channels were given to one that was made of this state.
  if (!isMadeOf(head, state)) {
    const expected = headOf(state, head.channels)
    for (const key of new Set([...Object.keys(expected), ...Object.keys(head)]) as Set<keyof SnapshotHead>) {
      if (!isSame(head[key], expected[key])) return key
    }
  }
  for (const channel of new Set([...Object.keys(state.channels), ...Object.keys(head.channels)])) {
    const cell = get(state.channels, channel)
    if (cell === undefined || !holds(get(head.channels, channel), cell))
      return `channel ${JSON.stringify(channel)}`
  }
  return undefined
}

const mapOf = <A, B>(record: { readonly [key: string]: A }, f: (value: A) => B): HashMap.HashMap<string, B> =>
  HashMap.fromIterable(Object.keys(record).map((key) => [key, f(record[key]!)] as const))

/** What a head holds, as the state has it; what it names is read elsewhere. */
export const stateOf = (
  head: SnapshotHead
): Omit<RunState, "seq" | "epoch" | "time" | "input" | "channels" | "snapshot"> => {
  const { channels: _channels, input: _input, undo, ...rest } = head
  const visits = mapOf(head.open, ({ calls, joined, marks, slept, ...visit }): OpenVisit => ({
    ...visit,
    ...(joined === undefined ? undefined : { joined: { ...joined, ended: Cell.list([...joined.ended]) } }),
    ...(marks && { marks: mapOf(marks, identity) }),
    ...(slept && { slept: mapOf(slept, identity) }),
    calls: mapOf(calls, identity)
  }))
  const main = Option.getOrUndefined(HashMap.get(visits, ""))
  return {
    ...rest,
    open: main === undefined ? {} : { "": main },
    branches: HashMap.remove(visits, ""),
    fanOuts: mapOf(head.fanOuts, ({ ended, updates, ...fanOut }) => ({
      ...fanOut,
      ended: Cell.list([...ended]),
      updates: mapOf(updates, (made) => Cell.list([...made]))
    })),
    waits: mapOf(head.waits, identity),
    outbox: mapOf(head.outbox, identity),
    ...(undo === undefined ? undefined : { undo: Cell.list([...undo]) })
  }
}
