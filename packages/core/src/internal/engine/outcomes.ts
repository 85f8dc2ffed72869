/**
 * What the events are that a handler's answer or failure amounts to, by the policies of its node.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Results from "effect/Result"
import type { Body, Failure, Next as NextBody, Ops } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import * as Next from "../../Next.ts"
import * as Node from "../../Node.ts"
import type { OpenVisit } from "../../RunState.ts"
import { retryable } from "./calls.ts"
import { encode } from "./encoded.ts"
import * as Failures from "./failure.ts"
import * as Retry from "./retry.ts"
import type { TypedState } from "./typedState.ts"

/**
 * What an attempt comes to: events, and the state after them; or a failure for good, after which no policy of the node
 * lets the run go on. An error may be encoded in another way where the run fails with it: its schema is that of the flow.
 */
export type Outcome =
  | { readonly bodies: readonly [Body, ...ReadonlyArray<Body>]; readonly state: TypedState }
  | { readonly failure: Failure; readonly ofRun?: Failure }

/** The attempt that ended: `join` is the join of the fan-out that its branch belongs to. */
export interface Attempted {
  readonly branch: string
  readonly join: string | undefined
  readonly visit: OpenVisit
  readonly started: number
  readonly state: TypedState
}

export interface Outcomes {
  readonly answered: (attempted: Attempted, next: Next.Next) => Outcome
  readonly failed: (attempted: Attempted, outcome: Failures.Outcome) => Effect.Effect<Outcome>
}

const routeFor = (node: Node.Any, outcome: Failures.Outcome): Node.OnError | undefined => {
  if (outcome._tag === "Error") {
    const tag = Failures.tagOf(outcome.error)
    return Object.hasOwn(node.onError, tag) ? node.onError[tag] : undefined
  }
  if (outcome._tag === "Defect" && outcome.defect instanceof Node.NodeTimeout) {
    if (Object.hasOwn(node.onError, "NodeTimeout")) return node.onError["NodeTimeout"]
  }
  return node.onDefect
}

const placeOf = ({ branch, started, visit: { attempt, node, visit } }: Attempted) => ({
  ...(branch === "" ? undefined : { branch }),
  node,
  visit,
  attempt,
  started
})

/** The flow's own code broke outside of a handler: in a reducer, a schema, or a retry policy. */
const broke = (defect: unknown): Outcome => ({ failure: Failures.store({ _tag: "Defect", defect }, []) })

const fanningOut = (
  flow: Flow.Any,
  node: string,
  next: Next.NextFanOut
): Results.Result<NextBody, Failure> => {
  const { concurrency, join, policy } = flow.nodes[node]!.fanOut!
  const limit = next.concurrency ?? concurrency
  const branches: Array<Extract<NextBody, { join: string }>["branches"][number]> = []
  for (const { item, node: to } of next.branches) {
    const schema = flow.nodes[to]!.item
    if (schema === undefined) {
      branches.push({ node: to })
      continue
    }
    const encoded = encode(schema, item)
    if (Exit.isFailure(encoded)) {
      return Results.fail(Failures.mismatch(`the item of branch ${branches.length} at node ${to}`, encoded))
    }
    branches.push({ node: to, item: encoded.value })
  }
  return Results.succeed({
    branches,
    join,
    ...(policy === "failFast" ? undefined : { policy }),
    ...(limit === undefined ? undefined : { concurrency: limit })
  })
}

const ending = (flow: Flow.Any, output: unknown, before: Body, state: TypedState): Outcome => {
  const encoded = encode(flow.output, output)
  return Exit.isFailure(encoded)
    ? { failure: Failures.mismatch("the output of the flow", encoded) }
    : { bodies: [before, { kind: "completed", output: encoded.value }], state }
}

/** How far the retry policy of an open visit has come. */
interface Retries {
  readonly node: string
  readonly visit: number
  readonly policy: Retry.Retry
}

/** The events that the policies of a node make of a failure. */
const failed = /* @__PURE__ */ Effect.fnUntraced(function* (
  flow: Flow.Any,
  clock: Clock.Clock,
  retries: Map<string, Retries>,
  attempted: Attempted,
  outcome: Failures.Outcome
): Effect.fn.Return<Outcome> {
  const { branch, join, state, visit } = attempted
  const node = flow.nodes[visit.node]!
  const schemas = [node.error, flow.error]
  const error = Failures.store(outcome, schemas)
  const place = { ...placeOf(attempted), error }

  const retried = node.retry === undefined ? undefined : retryable(node, outcome)
  if (retried !== undefined) {
    let retry = retries.get(branch)
    if (retry?.node !== visit.node || retry.visit !== visit.visit) {
      retry = { node: visit.node, visit: visit.visit, policy: Retry.make(node.retry!) }
      retries.set(branch, retry)
    }
    const now = clock.currentTimeMillisUnsafe()
    const last = { time: now, error: retried.value }
    const delay = yield* Retry.delayAfter(retry.policy, visit.failures, schemas, last)
    if (delay !== undefined) return { bodies: [{ kind: "attemptFailed", ...place, due: now + delay }], state }
  }

  const route = routeFor(node, outcome)
  if (route === undefined || (typeof route !== "string" && route.status === "stop")) {
    return { failure: error, ofRun: Failures.store(outcome, [flow.error, node.error]) }
  }
  const decided =
    typeof route === "string"
      ? { status: "failed" as const, to: route }
      : { status: route.status, to: route.to }
  const body: Body = {
    kind: "visitFailed",
    ...place,
    outcome: decided.to === join ? { ...decided, joins: true } : decided
  }
  return decided.to === "end" ? ending(flow, undefined, body, state) : { bodies: [body], state }
})

/** For one execution: it remembers how far the retry policies of open visits have come. */
export const make = (flow: Flow.Any, clock: Clock.Clock): Outcomes => {
  const retries = new Map<string, Retries>()

  const answered = (attempted: Attempted, given: Next.Next): Outcome => {
    const { branch, join, state: before, visit } = attempted
    if (retries.size > 0) retries.delete(branch)
    const valid = Next.validate(flow, visit.node, given)
    if (Results.isFailure(valid)) return broke(valid.failure)
    const next = valid.success
    let state = before
    let ops: Ops | undefined
    if (next.update !== undefined) {
      const updated = before.update(next.update, branch !== "")
      if (Results.isFailure(updated)) {
        return { failure: Failures.encoding(updated.failure.what, updated.failure.message) }
      }
      state = updated.success.state
      ops = updated.success.ops
    }
    const visited = (to: NextBody): Body =>
      ops === undefined
        ? { kind: "visited", ...placeOf(attempted), next: to }
        : { kind: "visited", ...placeOf(attempted), ops, next: to }
    switch (next._tag) {
      case "End":
        return ending(flow, next.output, visited({ end: true }), state)
      case "To":
        return { bodies: [visited(next.to === join ? { to: next.to, joins: true } : { to: next.to })], state }
      case "FanOut": {
        const to = fanningOut(flow, visit.node, next)
        return Results.isFailure(to) ? { failure: to.failure } : { bodies: [visited(to.success)], state }
      }
    }
  }

  return {
    answered: (attempted, next) => {
      try {
        return answered(attempted, next)
      } catch (error) {
        return broke(error)
      }
    },
    failed: (attempted, outcome) =>
      Effect.catchDefect(failed(flow, clock, retries, attempted, outcome), (defect) =>
        Effect.succeed(broke(defect))
      )
  }
}
