/**
 * Which event last wrote a part of the state.
 */
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { Json } from "effect/Schema"
import type { Checkpoint } from "../../Checkpoint.ts"
import type { Event, Of, Op, Ops } from "../../Event.ts"
import type { InvalidCheckpoint } from "../../RunError.ts"
import type { ReadError, RunLike, Runs } from "../../Runs.ts"
import { fanOutId, fanOutOf, indexOf } from "../branch.ts"
import type * as Cell from "../cell.ts"
import { checkpointOf } from "../engine/history.ts"
import type { Journals } from "../engine/reader.ts"
import { get } from "../record.ts"
import { branchOf } from "../visits.ts"
import { findBackwards } from "../engine/backwards.ts"
import { Service } from "./client.ts"

type Key = string | number

/** What is looked for, going backwards: `length` is how many items the list has where one stands. */
interface Search {
  readonly channel: string
  readonly key: Key | undefined
  length: number
}

/** Whether an operation wrote what is looked for. If it did not, the search stands before it afterwards. */
const wrote = (search: Search, ops: Ops | undefined): boolean => {
  const { channel, key } = search
  const op: Op | undefined = get(ops ?? {}, channel)
  if (op === undefined) return false
  if ("append" in op) {
    const before = search.length - op.append.length
    if (key === undefined ? op.append.length > 0 : Number(key) >= before) return true
    search.length = before
    return false
  }
  if ("merge" in op) {
    return key === undefined ? Object.keys(op.merge).length > 0 : Object.hasOwn(op.merge, key)
  }
  return true
}

const isWriter = (search: Search, event: Event): boolean => {
  switch (event.kind) {
    case "created":
      return Object.hasOwn(event.state, search.channel)
    // What is done in branches reaches the state when they join.
    case "visited":
    case "joined":
      return branchOf(event) === "" && wrote(search, event.ops)
    case "migrated":
      return wrote(search, event.ops)
    case "restarted":
    case "forked":
      return wrote(search, event.edits)
    default:
      return false
  }
}

/** What a branch changed, and where: in one of its visits, or where branches of its own joined. */
interface Update {
  readonly event: Of<"visited"> | Of<"joined">
  ops: Ops
}

/**
 * The updates of the branches that a join counts, in branch order, those of each in order. `events` are those between the
 * visit that fanned out and the join, oldest first.
 */
const updatesOf = (
  events: ReadonlyArray<Event>,
  policy: Extract<Of<"visited">["next"], { readonly join: string }>["policy"],
  fanOut: string
): Array<Update> => {
  const made = new Map<string, Array<Update>>()
  const completed: Array<string> = []
  for (const event of events) {
    if (event.kind === "migrated") {
      const migrated = get(event.updates ?? {}, fanOut) ?? {}
      for (const branch of Object.keys(migrated)) {
        made.get(branch)?.forEach((update, i) => (update.ops = migrated[branch]![i]!))
      }
    }
    if (event.kind !== "visited" && event.kind !== "joined" && event.kind !== "visitFailed") continue
    const branch = branchOf(event)
    if (fanOutOf(branch) !== fanOut) continue
    if (event.kind === "visitFailed") {
      if (event.outcome.joins === true) completed.push(branch)
      continue
    }
    if (event.ops !== undefined) {
      const updates = made.get(branch) ?? []
      updates.push({ event, ops: event.ops })
      made.set(branch, updates)
    }
    if (event.kind === "visited" && "to" in event.next && event.next.joins === true) completed.push(branch)
  }
  const counted = typeof policy === "object" ? completed.slice(0, policy.quorum) : completed
  return counted.sort((x, y) => indexOf(x) - indexOf(y)).flatMap((branch) => made.get(branch) ?? [])
}

const appended = (ops: Ops | undefined, channel: string): number => {
  const op = get(ops ?? {}, channel)
  return op !== undefined && "append" in op ? op.append.length : 0
}

/** The visit in a branch from which a join has what is looked for; the join itself where its branches do not tell. */
const inBranches = (
  journals: Journals,
  joined: Of<"joined">,
  search: Search
): Effect.Effect<Update["event"], ReadError> =>
  Effect.gen(function* () {
    const { channel } = search
    const { fanOut } = joined
    const between: Array<Event> = []
    const before = { run: joined.run, seq: joined.seq - 1 }
    const opening = yield* findBackwards(journals, before, true, (event) => {
      if (event.kind === "visited" && fanOutId(branchOf(event), event.visit) === fanOut) return true
      between.push(event)
      return false
    })
    if (opening?.kind !== "visited" || !("join" in opening.next)) return joined
    const updates = updatesOf(between.reverse(), opening.next.policy, fanOut)
    const count = updates.reduce((sum, { ops }) => sum + appended(ops, channel), 0)
    if (count !== appended(joined.ops, channel)) return joined
    const within = { ...search }
    for (const { event, ops } of updates.reverse()) {
      if (!wrote(within, ops)) continue
      return event.kind === "joined" ? yield* inBranches(journals, event, within) : event
    }
    return joined
  })

const isIndex = (key: Key): boolean => /^\d+$/.test(String(key))

/** What stands at a key of a value, if anything does. */
const child = (value: Json | undefined, key: Key): Json | undefined => {
  if (Array.isArray(value)) return isIndex(key) ? value[Number(key)] : undefined
  if (typeof value !== "object" || value === null) return undefined
  return get(value as { readonly [key: string]: Json }, String(key))
}

const inCell = (cell: Cell.Cell | undefined, key: Key): Json | undefined => {
  if (cell?._tag === "List") return Number(key) < cell.length ? child(cell.items, key) : undefined
  if (cell?._tag === "Record") return Option.getOrUndefined(HashMap.get(cell.map, String(key)))
  return child(cell?.value, key)
}

/**
 * The event that last wrote a part of the state as it was after the event at `seq` (the last one, unless given): the path
 * is a channel, then keys and indices. `undefined` if nothing is there, or nothing was ever written there.
 *
 * The answer is a visit, or, where a person did it, the event that has their edits: then it says who. An item of a list was
 * written by the visit that appended it, an entry of a record by the last one that had it in its update; whatever is set as
 * a whole was written whole, in all its parts. What came out of branches leads to the visit in the branch. In a fork it may
 * be an event of the run that it was forked from.
 *
 * It reads backwards, and no further than that event.
 *
 * @category history
 * @since 0.1.0
 */
export const blame = (
  run: RunLike,
  path: string | readonly [channel: string, ...keys: ReadonlyArray<string | number>],
  options?: { readonly seq?: number | undefined }
): Effect.Effect<Checkpoint | undefined, ReadError | InvalidCheckpoint, Runs> =>
  Service.use(({ client, stateAt }) =>
    Effect.gen(function* () {
      const state = yield* stateAt(run, options?.seq)
      const [channel, key, ...deeper]: readonly [string, ...ReadonlyArray<Key>] =
        typeof path === "string" ? [path] : path
      const cell = get(state.channels, channel)
      if (key !== undefined && deeper.reduce(child, inCell(cell, key)) === undefined) return undefined
      const search: Search = { channel, key, length: cell?._tag === "List" ? cell.length : 0 }
      // Of what was set whole, the state may know by which event.
      const origin = cell?._tag === "Plain" ? cell.origin : undefined
      const writer = yield* findBackwards(client, origin ?? state, true, (event) => isWriter(search, event))
      if (writer === undefined) return undefined
      return checkpointOf(writer.kind === "joined" ? yield* inBranches(client, writer, search) : writer)
    })
  )
