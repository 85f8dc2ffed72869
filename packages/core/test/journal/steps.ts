/**
 * What may happen to a run next.
 */
import * as HashMap from "effect/HashMap"
import type {
  Body,
  CommandRef,
  Failure,
  Next,
  Of,
  Op,
  Ops,
  PauseReason,
  WaitTarget
} from "../../src/Event.ts"
import type * as Cell from "../../src/internal/cell.ts"
import { hasCompensated, isDue, undoneOf } from "../../src/internal/compensation.ts"
import { isHandled } from "../../src/internal/inbox.ts"
import { get } from "../../src/internal/record.ts"
import * as Snapshot from "../../src/internal/snapshot.ts"
import { isTerminal } from "../../src/internal/status.ts"
import { fanOutAround, openCount, openIn } from "../../src/internal/visits.ts"
import { nodeOf, openVisits } from "../../src/RunState.ts"
import type { OpenVisit, RunState } from "../../src/RunState.ts"
import { hostile, objectOf, textOf, valueOf } from "./choice.ts"
import type { Choice } from "./choice.ts"
import { compensationSteps, endOf } from "./compensationSteps.ts"

const nodes = ["gather", "decide", "toString", "__proto__", "узел"]
const tools = ["search", "mail", "constructor"]
const channels = ["notes", "count", "table", "__proto__", "constructor", "", "\ud800"]
const sources = ["", "w1", "__proto__", "constructor"]
const budgets = ["tokens", "__proto__", "constructor"]

/** Some bodies at once; `more` makes what follows them of what the state is after them. */
export interface Step {
  readonly bodies: ReadonlyArray<Body>
  readonly more?: ReadonlyArray<(state: RunState) => ReadonlyArray<Body>>
}

const failureOf = (choice: Choice): Failure => {
  const { int, pick } = choice
  return pick<() => Failure>([
    () => ({ kind: "error", tag: textOf(choice), error: valueOf(choice), message: textOf(choice) }),
    () => ({ kind: "defect", name: textOf(choice), message: textOf(choice) }),
    () => ({ kind: "defect", name: "Error", message: textOf(choice), stack: textOf(choice) }),
    () => ({ kind: "interrupted" }),
    () => ({
      kind: "timeout",
      what: pick(["node", "tool", "run"] as const),
      name: pick(tools),
      millis: int(0, 99)
    }),
    () => ({ kind: "stepLimit", limit: int(0, 9) }),
    () => ({ kind: "recoveries", limit: int(0, 9) }),
    () => ({ kind: "visitLimit", node: pick(nodes), limit: int(0, 9) }),
    () => ({ kind: "budget", budget: pick(budgets), limit: int(0, 9) }),
    () => ({ kind: "inDoubt", tool: pick(tools), call: textOf(choice) }),
    () => ({ kind: "inDoubt", tool: pick(tools), call: textOf(choice), undecided: true }),
    () => ({ kind: "encoding", what: "the output", message: textOf(choice) }),
    () => ({ kind: "conflict", channel: pick(channels), branches: ["1.0", "1.1"], nodes: [pick(nodes)] }),
    () => ({ kind: "quorum", needed: int(1, 3), completed: 0, failed: int(0, 3) }),
    () => ({ kind: "cancelled", run: textOf(choice), reason: textOf(choice) })
  ])()
}

const opOf = (choice: Choice, cell: Cell.Cell | undefined): Op => {
  const { int, pick } = choice
  const kinds: Array<() => Op> = [
    () => ({ set: valueOf(choice) }),
    () => ({ set: pick([[], {}, 0, "x".repeat(int(500, 3000))]) })
  ]
  const append = (): Op => ({
    append: Array.from({ length: int(0, 4) }, () =>
      int(0, 4) === 0 ? "item".repeat(int(500, 9000)) : valueOf(choice)
    )
  })
  const merge = (): Op => ({
    merge: objectOf(
      Array.from({ length: int(0, 4) }, () => [textOf(choice).slice(0, 9), valueOf(choice)] as const)
    )
  })
  const value: unknown = cell?._tag === "Plain" ? cell.value : undefined
  if (cell === undefined || cell._tag === "List" || Array.isArray(value)) kinds.push(append, append, append)
  if (cell !== undefined) kinds.push(() => ({ unset: true }))
  if (cell === undefined || cell._tag === "Record") kinds.push(merge, merge, merge)
  else if (typeof value === "object" && value !== null && !Array.isArray(value)) kinds.push(merge, merge)
  if (cell === undefined || (typeof value === "number" && Math.abs(value) < 1e300))
    kinds.push(() => ({ add: int(-5, 5) / 2 }))
  return pick(kinds)()
}

/** Operations on the channels of a state, or of a branch, whose operations are not applied before its join. */
const opsOf = (choice: Choice, state: RunState | undefined): Ops =>
  objectOf(
    Array.from({ length: choice.int(0, 3) }, () => choice.pick(channels)).map((channel) => {
      if (state === undefined && choice.chance(0.2)) return [channel, { combine: valueOf(choice) }] as const
      return [channel, opOf(choice, state === undefined ? undefined : get(state.channels, channel))] as const
    })
  )

/** New limits of some nodes and budgets. */
const limitsOf = (choice: Choice) => {
  const { chance, int, pick } = choice
  return {
    ...(chance(0.5) ? { maxVisits: objectOf([[pick(nodes), int(0, 9)]]) } : undefined),
    ...(chance(0.5) ? { budgets: objectOf([[pick(budgets), int(0, 99) / 4]]) } : undefined)
  }
}

const commandOf = (
  choice: Choice,
  state: RunState
): {
  readonly command?: CommandRef
  readonly actor?: string
  readonly session?: string
  readonly correlation?: string
} => {
  if (choice.chance(0.4)) return {}
  const source = choice.pick(sources)
  const before = get(state.inbox, source)
  let position = (before?.upTo ?? 0) + choice.int(1, 4)
  while (isHandled(before, position)) position += 1
  const command = { id: textOf(choice), source, position }
  return choice.chance(0.5)
    ? { command }
    : { command, actor: textOf(choice), session: textOf(choice), correlation: textOf(choice) }
}

export const created = (choice: Choice): Of<"created"> | Extract<Body, { kind: "created" }> => {
  const { chance, int, pick } = choice
  return {
    kind: "created",
    flow: textOf(choice),
    version: int(0, 3),
    fingerprint: textOf(choice),
    start: pick(nodes),
    input: chance(0.3) ? "input".repeat(200) : valueOf(choice),
    state: objectOf(
      Array.from(
        { length: int(0, 4) },
        () => [pick(channels), chance(0.3) ? "big".repeat(300) : valueOf(choice)] as const
      )
    ),
    durability: pick(["pipelined", "strict", "ephemeral"] as const),
    maxSteps: int(0, 1000),
    maxRecoveries: int(0, 5),
    ...limitsOf(choice),
    ...(chance(0.3) ? { timeout: int(1, 9999) } : undefined),
    ...(chance(0.5)
      ? { session: textOf(choice), actor: textOf(choice), correlation: textOf(choice) }
      : undefined),
    ...(chance(0.5)
      ? { tags: [textOf(choice)], attributes: objectOf([[pick(hostile), textOf(choice)]]) }
      : undefined),
    ...(chance(0.3) ? { parent: { run: "p", branch: "1.0", node: pick(nodes), visit: 1 } } : undefined),
    ...(chance(0.3) ? { signals: [textOf(choice)] } : undefined),
    ...(chance(0.3) ? { trace: { traceId: "t", spanId: "s" } } : undefined)
  }
}

export const forkOf = (choice: Choice, state: RunState): Body => {
  const { chance } = choice
  const node = nodeOf(state)
  return {
    kind: "forked",
    from: { run: state.run, seq: state.seq },
    flow: state.flow,
    version: state.version,
    steps: state.steps,
    open: openCount(state),
    durability: state.durability,
    ...(state.timeout === undefined ? undefined : { timeout: state.timeout }),
    ...(node === undefined ? undefined : { node }),
    ...(chance(0.5) ? { edits: opsOf(choice, state) } : undefined),
    ...(chance(0.3)
      ? { session: textOf(choice), actor: textOf(choice), trace: { traceId: "t2", spanId: "s2" } }
      : undefined)
  }
}

/** A weighted choice of what may happen; what may not is left out. */
class Menu {
  readonly #choice: Choice
  readonly #items: Array<{ readonly weight: number; readonly make: () => Step }> = []

  constructor(choice: Choice) {
    this.#choice = choice
  }

  add(weight: number, make: () => Step | ReadonlyArray<Body>): void {
    this.#items.push({
      weight,
      make: () => {
        const made = make()
        return "bodies" in made ? made : { bodies: made }
      }
    })
  }

  choose(): Step {
    let at = this.#choice.fraction() * this.#items.reduce((sum, { weight }) => sum + weight, 0)
    for (const { make, weight } of this.#items) {
      at -= weight
      if (at < 0) return make()
    }
    return this.#items[0]!.make()
  }
}

/** What an open visit may tell. */
const addTold = (
  menu: Menu,
  choice: Choice,
  state: RunState,
  place: {
    readonly branch?: string
    readonly node: string
    readonly visit: number
    readonly attempt: number
  },
  visit: OpenVisit
): void => {
  const { chance, int, pick } = choice
  const mark = textOf(choice)
  if (visit.marks === undefined || !HashMap.has(visit.marks, mark)) {
    const budget = pick(budgets)
    const held = get(state.budgets ?? {}, budget) ?? { spent: 0, limit: int(0, 40) }
    const amount = int(0, 9) / 4
    const spent = { ...place, budget, total: held.spent + amount, limit: held.limit }
    menu.add(2, () => [{ kind: "emitted", ...place, mark, name: textOf(choice), value: valueOf(choice) }])
    menu.add(1, () => [
      {
        kind: "logged",
        ...place,
        mark,
        text: textOf(choice),
        ...(chance(0.5) ? { data: valueOf(choice) } : undefined)
      }
    ])
    menu.add(1, () => [
      {
        kind: "tagged",
        ...place,
        mark,
        ...(chance(0.5) ? { tags: [textOf(choice), pick(hostile)] } : undefined),
        ...(chance(0.5) ? { attributes: objectOf([[pick(hostile), textOf(choice)]]) } : undefined)
      }
    ])
    menu.add(2, () => [
      { kind: "spent", ...spent, mark, amount },
      ...(chance(0.3) ? [{ kind: "budgetWarned" as const, ...spent }] : [])
    ])
  }
  menu.add(1, () => [
    {
      kind: "progressed",
      ...place,
      nth: (visit.progress?.nth ?? 0) + int(1, 9),
      done: int(0, 9) / 2,
      total: int(0, 9),
      ...(chance(0.5) ? { note: textOf(choice) } : undefined)
    }
  ])
}

/** What may happen in an open visit. */
const addVisit = (
  menu: Menu,
  choice: Choice,
  state: RunState,
  branch: string,
  visit: OpenVisit,
  now: number
): void => {
  const { chance, int, pick } = choice
  const inBranch = branch === "" ? {} : { branch }
  const place = { ...inBranch, node: visit.node, visit: visit.visit, attempt: visit.attempt }
  const join = fanOutAround(state, branch)?.join
  const paused = state.status === "paused"
  const waits = visit.waiting
  /** A migration may have given the join the name of a node. */
  const leadTo = (to: string) => (to === join ? { to, joins: true as const } : { to })
  /** An attempt ends only when nothing waits in it. */
  const ending = (body: Body, ...more: ReadonlyArray<Body>): ReadonlyArray<Body> => [
    ...waits.map((wait): Body => ({ kind: "waitEnded", ...inBranch, wait, outcome: { lost: true } })),
    body,
    ...more
  ]
  const visited = (next: Next): Body => {
    const place_ = { kind: "visited" as const, ...place, started: now }
    // What a branch changes is not applied before the join, so it may be anything.
    return chance(0.7)
      ? { ...place_, ops: opsOf(choice, branch === "" ? state : undefined), next }
      : { ...place_, next }
  }
  if (!paused) {
    menu.add(8, () => ending(visited(leadTo(pick(nodes)))))
    menu.add(2, () =>
      ending({
        kind: "attemptFailed",
        ...place,
        started: now,
        error: failureOf(choice),
        due: now + int(0, 99),
        ...(chance(0.3) ? { restart: true as const } : undefined)
      })
    )
    menu.add(2, () =>
      ending({
        kind: "visitFailed",
        ...place,
        started: now,
        error: failureOf(choice),
        outcome: {
          status: pick(["failed", "tolerated", "skipped"] as const),
          ...leadTo(join !== undefined && chance(0.5) ? join : pick(nodes))
        }
      })
    )
    if (branch !== "") menu.add(2, () => ending({ kind: "branchFailed", ...place, error: failureOf(choice) }))
    if (branch.length < 12) {
      menu.add(2, () =>
        ending(
          visited({
            branches: Array.from({ length: int(0, 3) }, () =>
              chance(0.5) ? { node: pick(nodes) } : { node: pick(nodes), item: valueOf(choice) }
            ),
            join: "join",
            ...(chance(0.5) ? { policy: pick(["collect" as const, { quorum: int(0, 2) }]) } : undefined),
            ...(chance(0.3) ? { concurrency: int(1, 9) } : undefined)
          })
        )
      )
    }
    if (join !== undefined) menu.add(12, () => ending(visited({ to: join, joins: true })))
    if (branch === "") {
      menu.add(0.2, () => ending(visited({ end: true }), { kind: "completed", output: valueOf(choice) }))
      menu.add(0.1, () => ending(visited({ end: true })))
      menu.add(0.1, () =>
        ending(
          {
            kind: "visitFailed",
            ...place,
            started: now,
            error: failureOf(choice),
            outcome: { status: "skipped", to: "end" }
          },
          { kind: "completed", output: null }
        )
      )
    }
    const sleep = textOf(choice)
    if (visit.slept === undefined || !HashMap.has(visit.slept, sleep))
      menu.add(2, () => [{ kind: "slept", ...place, sleep }])
    const call = textOf(choice)
    if (!HashMap.has(visit.calls, call)) {
      menu.add(5, () => [
        {
          kind: "callStarted",
          ...place,
          call,
          tool: pick(tools),
          key: textOf(choice),
          input: valueOf(choice),
          ...(chance(0.5) ? { undoable: pick(["completed", "inDoubt"] as const) } : undefined)
        }
      ])
    }
    const wait = `${branch}:${int(0, 9)}${pick(hostile)}`
    if (!HashMap.has(state.waits, wait) && !Object.hasOwn(visit.ended, wait)) {
      const on = pick<WaitTarget>([
        { type: "event", name: textOf(choice) },
        { type: "event", name: "e", key: textOf(choice) },
        { type: "until" },
        { type: "user", name: "u", prompt: textOf(choice), choices: valueOf(choice) },
        { type: "job", id: textOf(choice) },
        { type: "run", run: textOf(choice) }
      ])
      const schema = chance(0.3) ? { schema: valueOf(choice) } : {}
      const due = chance(0.3) ? { due: now + int(0, 999) } : {}
      const race = chance(0.3) ? { race: waits[0] ?? wait } : {}
      menu.add(3, () => [{ kind: "waitOpened", ...place, wait, on, ...race, ...schema, ...due }])
    }
  }
  if (!paused) addTold(menu, choice, state, place, visit)
  for (const [call, { status, tool }] of visit.calls) {
    if (status !== "started") continue
    const names = { ...place, call, tool }
    const by = commandOf(choice, state)
    menu.add(3, () => [{ kind: "callCompleted", ...names, ...by, output: valueOf(choice) }])
    menu.add(1, () => [{ kind: "callFailed", ...names, ...by, error: failureOf(choice) }])
    menu.add(1, () => [{ kind: "callFailed", ...names, error: failureOf(choice), undecided: true }])
    menu.add(1, () => [{ kind: "callReleased", ...names, ...by }])
    if (!paused) {
      menu.add(1, () => [{ kind: "callRepeated", ...names }])
      menu.add(1, () => [{ kind: "callRetried", ...names, error: failureOf(choice), due: now + int(0, 99) }])
    }
  }
  for (const wait of waits) {
    const outcome = pick<Of<"waitEnded">["outcome"]>([
      { value: valueOf(choice) },
      { value: null },
      { failure: failureOf(choice) },
      { timedOut: true },
      { lost: true }
    ])
    const signal = state.signals.length > 0 && chance(0.5) ? { signal: pick(state.signals).seq } : {}
    menu.add(3, () => [
      { kind: "waitEnded", ...inBranch, wait, outcome, ...signal, ...commandOf(choice, state) }
    ])
  }
}

/** What a migration makes of what some branches have changed. */
const otherUpdates = (choice: Choice, state: RunState): Of<"migrated">["updates"] & {} =>
  objectOf(
    [...HashMap.values(state.fanOuts)].map(({ id, updates }) => [
      id,
      objectOf(
        [...updates]
          .filter(() => choice.chance(0.5))
          .map(([branch, made]) => [
            branch,
            Array.from({ length: made.length }, () => opsOf(choice, undefined))
          ])
      )
    ])
  )

/** A snapshot: its pieces, its head, and between them what may come in meanwhile. */
const snapshotOf = (choice: Choice, state: RunState): Step => {
  const plan = Snapshot.plan(state)
  const at = state.seq
  const more: Array<(state: RunState) => ReadonlyArray<Body>> = plan.pieces.map((piece) => (now) => {
    piece.placed(now.run, now.seq + 1)
    const bodies: Array<Body> = [Snapshot.pieceBody(piece, at)]
    if (choice.chance(0.2)) bodies.push({ kind: "annotated", note: "meanwhile", ...commandOf(choice, now) })
    return bodies
  })
  return { bodies: [], more: [...more, (now) => [Snapshot.headBody(plan, now, at)]] }
}

/** Some events that may follow, as they would be made at this time. */
export const nextOf = (choice: Choice, state: RunState, now: number, head: string): Step => {
  const { chance, int, pick } = choice
  const menu = new Menu(choice)
  const by = () => commandOf(choice, state)
  menu.add(1, () => [{ kind: "annotated", note: textOf(choice), data: valueOf(choice), ...by() }])
  menu.add(1, () => [
    {
      kind: "bookmarked",
      at: int(0, state.seq),
      name: textOf(choice),
      note: textOf(choice),
      tags: [textOf(choice)],
      ...by()
    }
  ])
  menu.add(1, () => [{ kind: "commandIgnored", reason: "status", note: textOf(choice), ...by() }])
  const key = chance(0.3) ? { key: textOf(choice) } : {}
  if (!isTerminal(state.status))
    menu.add(1, () => [
      { kind: "signalled", name: textOf(choice), ...key, payload: valueOf(choice), ...by() }
    ])
  menu.add(1.5, () => [
    {
      kind: "claimed",
      owner: textOf(choice),
      cause: pick(["handover", "crash"] as const),
      previous: { epoch: state.epoch, seq: state.seq, hash: head },
      ...(chance(0.3) ? { purpose: "command" as const } : undefined),
      ...(chance(0.3) ? { trace: { traceId: "t3", spanId: "s3" } } : undefined)
    }
  ])
  for (const message of HashMap.keys(state.outbox)) menu.add(2, () => [{ kind: "delivered", message }])
  if (undoneOf(state).length > 0) menu.add(15, () => [{ kind: "restarted", ...by() }])
  if (state.status === "failed" && nodeOf(state) !== undefined && !hasCompensated(state)) {
    const edits = chance(0.5) ? { edits: opsOf(choice, state) } : {}
    menu.add(15, () => [{ kind: "restarted", ...edits, ...by() }])
  }
  if (isTerminal(state.status)) return menu.choose()

  if (state.compensating !== undefined) {
    for (const [weight, body] of compensationSteps(choice, state, failureOf, now))
      menu.add(weight, () => [body])
    menu.add(2, () => snapshotOf(choice, state))
    return menu.choose()
  }

  const paused = state.status === "paused"
  const visits = [...openVisits(state)]
  if (visits.length > 0) {
    const [branch, visit] = pick(visits)
    addVisit(menu, choice, state, branch, visit, now)
  } else if (nodeOf(state) === undefined && !paused) {
    menu.add(2, () => [{ kind: "completed", output: valueOf(choice) }])
  }
  if (!paused) {
    for (const [branch, { completed, count, ended, id, node, policy, visit }] of state.fanOuts) {
      const inBranch = branch === "" ? undefined : { branch }
      const dropped = openIn(state, branch).visits.length
      const left = dropped === 0 ? {} : { dropped }
      if (branch !== "" && chance(0.2)) {
        const error = failureOf(choice)
        menu.add(1, () => [{ kind: "branchFailed", ...inBranch, node, visit, error, ...left }])
      }
      if (typeof policy === "object" ? completed < policy.quorum : ended.length < count) continue
      const ops = chance(0.7) ? { ops: opsOf(choice, branch === "" ? state : undefined) } : {}
      menu.add(20, () => [{ kind: "joined", ...inBranch, fanOut: id, ...ops, ...left }])
    }
  }
  const message = textOf(choice)
  if (!HashMap.has(state.outbox, message)) {
    menu.add(1, () => [{ kind: "sent", to: textOf(choice), message, body: valueOf(choice) }])
  }
  if (paused) menu.add(8, () => [{ kind: "resumed", ...by() }])
  else if (state.status !== "cancelling") {
    const reason = pick<PauseReason>([
      { kind: "requested" },
      { kind: "requested", note: textOf(choice) },
      {
        kind: "diverged",
        node: pick(nodes),
        visit: 1,
        expected: { tool: pick(tools), call: "c", seq: 1 },
        got: { tool: pick(tools), call: "d", input: valueOf(choice) }
      },
      { kind: "inDoubt", node: pick(nodes), visit: 1, tool: pick(tools), call: "c" },
      { kind: "incompatible", message: textOf(choice) },
      { kind: "budget", node: pick(nodes), visit: 1, budget: pick(budgets), spent: 7, limit: 5.5 },
      { kind: "stepLimit", limit: int(0, 9) },
      { kind: "visitLimit", node: pick(nodes), limit: int(0, 9) }
    ])
    menu.add(1, () => [{ kind: "paused", reason, ...by() }])
  }
  menu.add(1, () => [
    {
      kind: "limitsChanged",
      ...(chance(0.5) ? { maxSteps: int(0, 1000) } : undefined),
      ...limitsOf(choice),
      ...by()
    }
  ])
  if (!paused) {
    menu.add(0.5, () => [{ kind: "limitWarned", steps: state.steps, limit: state.maxSteps }])
    const node = { node: textOf(choice), steps: int(0, 9), limit: int(0, 9) }
    menu.add(0.5, () => [{ kind: "limitWarned", ...node }])
  }
  if (state.status === "cancelling")
    menu.add(1, () => [endOf(state, { kind: "cancelled", reason: textOf(choice) })])
  else menu.add(0.5, () => [{ kind: "cancelRequested", reason: textOf(choice), ...by() }])
  const where = visits.length > 0 && chance(0.7) ? visits[0]![1] : undefined
  if (state.status !== "cancelling" || !isDue(state)) {
    menu.add(0.7, () => [
      endOf(state, {
        kind: "failed",
        error: failureOf(choice),
        ...(where === undefined
          ? undefined
          : { node: where.node, visit: where.visit, attempt: where.attempt })
      })
    ])
  }
  menu.add(1, () => [
    {
      kind: "migrated",
      from: { version: state.version, fingerprint: state.fingerprint },
      version: state.version + 1,
      fingerprint: textOf(choice),
      ops: opsOf(choice, state),
      ...(chance(0.3) ? { input: chance(0.5) ? "other".repeat(200) : valueOf(choice) } : undefined),
      ...(chance(0.5) ? { nodes: objectOf([[pick([...nodes, "join"]), pick(nodes)]]) } : undefined),
      ...(chance(0.5) ? { updates: otherUpdates(choice, state) } : undefined),
      ...(chance(0.3) ? { signals: chance(0.5) ? [] : [textOf(choice)] } : undefined)
    }
  ])
  menu.add(4, () => snapshotOf(choice, state))
  // One that was not finished.
  menu.add(0.5, () => [{ kind: "snapshotPart", at: state.seq, content: valueOf(choice) }])
  return menu.choose()
}
