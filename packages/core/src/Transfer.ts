/**
 * Moving runs from one store to another, whatever these stores are.
 *
 * ```ts
 * import { Store } from "@waymark/core/Store"
 * import * as Transfer from "@waymark/core/Transfer"
 * import * as Effect from "effect/Effect"
 *
 * // Everything that one store holds, also in the other.
 * export const backup = (to: Store["Service"]) =>
 *   Effect.gen(function*() {
 *     const report = yield* Transfer.copyRuns(yield* Store, to)
 *     return report.copied
 *   })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Hasher } from "./Hasher.ts"
import { cursorOf } from "./internal/inbox.ts"
import * as Journal from "./Journal.ts"
import { isHandled, isTerminal } from "./RunInfo.ts"
import type { RunInfo } from "./RunInfo.ts"
import type { ListQuery, RunNotFound, Store, StoreError, Stored } from "./Store.ts"

type Service = Store["Service"]

/**
 * A run was not copied.
 *
 * - `owned`: somebody executes it now. Stop that worker, or copy it as it stands
 * - `different`: the other store has another run under this id
 * - `older`: the other store has an older copy of it. Delete that one, or copy into a store that has none
 * - `unreadable`: what it consists of is damaged, or its chain of hashes does not hold
 *
 * @category errors
 * @since 0.1.0
 */
export class NotCopied extends Schema.TaggedError<NotCopied>()("NotCopied", {
  run: Schema.String,
  reason: Schema.Literals(["owned", "different", "older", "unreadable"]),
  detail: Schema.String
}) {
  override get message(): string {
    return `run ${JSON.stringify(this.run)} was not copied: ${this.detail}`
  }
}

/**
 * Some runs were not copied. All others were.
 *
 * @category errors
 * @since 0.1.0
 */
export class TransferIncomplete extends Schema.TaggedError<TransferIncomplete>()("TransferIncomplete", {
  copied: Schema.Int,
  notCopied: Schema.Array(NotCopied)
}) {
  override get message(): string {
    const [first] = this.notCopied
    return (
      `${this.notCopied.length} runs were not copied, ${this.copied} were; ` +
      `the first of them: ${first === undefined ? "" : first.message}`
    )
  }
}

/**
 * - `query`: which runs to copy, all unless said otherwise. With a run go those that it cannot do without: the one that it was
 *   forked from, its parent, its children, and theirs
 * - `owned`: what to do with runs that somebody executes now: `"refuse"` them, as is the default, or copy what is durable
 *   of them as it stands. Whoever takes such a copy up does again what its owner does after that
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly query?: Omit<ListQuery, "order" | "limit" | "cursor"> | undefined
  readonly owned?: "refuse" | "asItStands" | undefined
}

/**
 * What was done: how many runs were copied and how many were there already, how many entries, artifacts and commands that
 * were not dealt with yet were written.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  readonly copied: number
  readonly present: number
  readonly entries: number
  readonly artifacts: number
  readonly commands: number
}

const pageSize = 1000

/** The entries of a run from a position on, up to another one. */
const readAll = /* @__PURE__ */ Effect.fnUntraced(function* (
  store: Service,
  run: string,
  from: number,
  to: number
) {
  const entries: Array<Journal.Entry> = []
  for (let at = from; at <= to;) {
    const page = yield* store.read(run, { from: at, to, limit: pageSize })
    if (page.length === 0) break
    for (const entry of page) entries.push(entry)
    at += page.length
  }
  return entries
})

/** What may be the address of something. */
const digest = /(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g

interface Copy {
  readonly from: Service
  readonly to: Service
  readonly hash: (text: string) => string
  readonly asItStands: boolean
  /** Addresses that were looked for. */
  readonly looked: Set<string>
}

/** Checks that entries are a chain that ends at a head. The first entry of a fork names one of another run. */
const checkChain = /* @__PURE__ */ Effect.fnUntraced(function* (
  { hash, to }: Copy,
  entries: ReadonlyArray<Journal.Entry>,
  head: Journal.Head
) {
  const first = entries[0]
  const broken = (run: string, seq: number, detail: string) => new Journal.ChainBroken({ run, seq, detail })
  let at: Journal.Head | undefined
  let origin: string | undefined
  if (first?.event.kind === "forked") {
    const { run, seq } = first.event.from
    const [forked] = yield* to.read(run, { from: seq, limit: 1 })
    origin = forked === undefined ? "" : hash(forked.line)
  }
  for (const entry of entries) at = yield* Effect.fromResult(Journal.follow(hash, at, entry, origin))
  if (first === undefined || at?.seq !== head.seq || at.hash !== head.hash) {
    const run = first?.event.run ?? ""
    return yield* broken(run, at?.seq ?? 0, `it ends here, and not at seq ${head.seq} as its store says`)
  }
})

/** Copies what a journal names that the store has under its address. */
const copyArtifacts = /* @__PURE__ */ Effect.fnUntraced(function* (
  { from, looked, to }: Copy,
  entries: ReadonlyArray<Journal.Entry>
) {
  let count = 0
  for (const { event, line } of entries) {
    for (const [address] of line.matchAll(digest)) {
      if (address === event.prev || looked.has(address)) continue
      const bytes = yield* from.getArtifact(address)
      if (bytes !== undefined && (yield* to.getArtifact(address)) === undefined) {
        yield* to.putArtifact(bytes)
        count += 1
      }
      looked.add(address)
    }
  }
  return count
})

/** Copies the commands that the run has not dealt with: neither here nor, if it has gone on there, there. */
const copyCommands = /* @__PURE__ */ Effect.fnUntraced(function* (
  { from, to }: Copy,
  { head, info }: Stored
) {
  const received = yield* from.inbox(info.run, cursorOf(info.inbox ?? {}))
  const pending = received.filter(({ position, source }) => !isHandled(info, source, position))
  if (pending.length === 0) return 0
  const there = yield* to.get(info.run)
  const later = yield* readAll(to, info.run, head.seq + 1, there.head.seq)
  const known = new Set(later.flatMap(({ event }) => ("command" in event ? [event.command?.id] : [])))
  for (const { command } of yield* to.inbox(info.run, {})) known.add(command.id)
  let count = 0
  for (const { command } of pending) {
    if (known.has(command.id)) continue
    yield* to.send(command)
    count += 1
  }
  return count
})

/** A run, if it is there. */
const find = (store: Service, run: string): Effect.Effect<Stored | undefined, StoreError> =>
  Effect.catchTag(store.get(run), "RunNotFound", () => Effect.succeed(undefined))

/** How what is there is to what is to be copied: the same, or what became of it; or else why it is not. */
const compare = /* @__PURE__ */ Effect.fnUntraced(function* (
  { from, hash, to }: Copy,
  { head, info: { run } }: Stored,
  there: Stored
) {
  const shorter = Math.min(head.seq, there.head.seq)
  const hashAt = (store: Service) =>
    Effect.map(store.read(run, { from: shorter, limit: 1 }), ([entry]) =>
      entry === undefined ? undefined : hash(entry.line)
    )
  if ((yield* hashAt(from)) !== (yield* hashAt(to))) {
    const detail = "the other store has another run under this id; rename one of them, or delete the other"
    return yield* new NotCopied({ run, reason: "different", detail })
  }
  if (there.head.seq >= head.seq) return
  const detail =
    `the other store has an older copy of it, up to seq ${there.head.seq} of ${head.seq}; ` +
    "delete that one, or copy into a store that has none"
  return yield* new NotCopied({ run, reason: "older", detail })
})

const nothing: Report = { copied: 0, present: 0, entries: 0, artifacts: 0, commands: 0 }

/** Copies a run that is there. Whatever it cannot do without in the other store is there. */
const copyRun = /* @__PURE__ */ Effect.fnUntraced(function* (copy: Copy, stored: Stored) {
  const { from, to } = copy
  const { head, info } = stored
  const { run } = info
  if (stored.owner !== undefined && !copy.asItStands && !isTerminal(info.status)) {
    const detail = `${stored.owner} executes it; stop that worker, or copy it as it stands`
    return yield* new NotCopied({ run, reason: "owned", detail })
  }
  const before = yield* find(to, run)
  if (before !== undefined) yield* compare(copy, stored, before)
  const entries = yield* readAll(from, run, 0, head.seq)
  yield* checkChain(copy, entries, head)
  // Before the run: whoever takes it up finds them.
  const artifacts = yield* copyArtifacts(copy, entries)
  const [first, ...rest] = entries
  let created = false
  if (before === undefined && first !== undefined) {
    const batch = { entries: [first, ...rest], head: head.hash } as const
    const outcome = yield* Effect.result(to.create(batch))
    if (Result.isFailure(outcome) && outcome.failure._tag === "StoreError") return yield* outcome.failure
    created = Result.isSuccess(outcome)
    // Somebody else copied it meanwhile, or made another one.
    if (!created) yield* compare(copy, stored, yield* to.get(run))
  }
  yield* checkChain(copy, yield* readAll(to, run, 0, head.seq), head)
  const commands = yield* copyCommands(copy, stored)
  return {
    copied: created ? 1 : 0,
    present: created ? 0 : 1,
    entries: created ? entries.length : 0,
    artifacts,
    commands
  } satisfies Report
})

/** What is wrong with one run; what is wrong with a store fails. */
const ofOneRun = (
  run: string,
  error: NotCopied | Journal.ChainBroken | RunNotFound | StoreError
): Effect.Effect<NotCopied, StoreError> => {
  if (error._tag === "NotCopied") return Effect.succeed(error)
  if (error._tag === "StoreError" && error.reason._tag !== "Corrupt") return Effect.fail(error)
  return Effect.succeed(new NotCopied({ run, reason: "unreadable", detail: error.message }))
}

/**
 * Copies runs from one store to another: their journals with the snapshots in them, what these name by its SHA-256 (the
 * shapes of flows, and artifacts), and the commands that are not dealt with. Index rows follow from the journals.
 *
 * A run is there with all that was durable of it, or not at all, also after a crash: do it again, and it goes on where
 * it was. Each run's chain of hashes is verified before and after, in the other store. A run that the other store has
 * already is left as it is; it may have gone on there.
 *
 * A journal is held in memory as a whole, since it is stored in one step. Values that are kept under names, such as the
 * cursors of observers, say where in this store something is, and are not copied.
 *
 * A run that is executed in both stores does everything twice from there: let only one of them have workers.
 *
 * @category copying
 * @since 0.1.0
 */
export const copyRuns = Effect.fn("Transfer.copyRuns")(function* (
  from: Service,
  to: Service,
  options?: Options
): Effect.fn.Return<Report, TransferIncomplete | StoreError> {
  const { hash } = yield* Hasher
  const copy: Copy = { from, to, hash, asItStands: options?.owned === "asItStands", looked: new Set() }
  const all = options?.query === undefined
  const tried = new Set<string>()
  /** The runs whose relatives were looked for. */
  const families = new Set<string>()
  const notCopied: Array<NotCopied> = []
  let report = nothing

  /** The runs that one cannot do without, and those that cannot do without it. */
  const relatives = Effect.fnUntraced(function* ({ forkOf, parent, run }: RunInfo) {
    const found = [parent, forkOf?.run].filter((other) => other !== undefined)
    let cursor: string | undefined
    do {
      const page = yield* from.list({ parent: run, ...(cursor === undefined ? undefined : { cursor }) })
      for (const child of page.runs) found.push(child.run)
      cursor = page.cursor
    } while (cursor !== undefined)
    return found
  })

  const copyWithOrigin = (run: string): Effect.Effect<void, StoreError> =>
    Effect.gen(function* () {
      if (tried.has(run)) return
      tried.add(run)
      const stored = yield* find(from, run)
      // Deleted meanwhile.
      if (stored === undefined) return
      const { forkOf } = stored.info
      if (forkOf !== undefined) yield* copyWithOrigin(forkOf.run)
      const done = yield* Effect.result(copyRun(copy, stored))
      if (Result.isFailure(done)) {
        notCopied.push(yield* ofOneRun(run, done.failure))
        return
      }
      const before = report
      report = {
        copied: before.copied + done.success.copied,
        present: before.present + done.success.present,
        entries: before.entries + done.success.entries,
        artifacts: before.artifacts + done.success.artifacts,
        commands: before.commands + done.success.commands
      }
    })

  /** Copies a run, and unless all are copied anyway, whatever belongs to it. */
  const copyFamily = Effect.fnUntraced(function* (run: string) {
    const waiting = [run]
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      yield* copyWithOrigin(next)
      if (all || families.has(next)) continue
      families.add(next)
      const stored = yield* find(from, next)
      if (stored !== undefined) waiting.push(...(yield* relatives(stored.info)))
    }
  })

  let cursor: string | undefined
  do {
    const page = yield* from.list({
      ...options?.query,
      order: "oldest",
      ...(cursor === undefined ? undefined : { cursor })
    })
    for (const { run } of page.runs) yield* copyFamily(run)
    cursor = page.cursor
  } while (cursor !== undefined)

  if (notCopied.length > 0) return yield* new TransferIncomplete({ copied: report.copied, notCopied })
  return report
})
