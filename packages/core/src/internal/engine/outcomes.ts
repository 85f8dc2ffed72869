/**
 * What the events are that a handler's answer or failure amounts to, by the policies of its node.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type { Body, Failure } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import * as Next from "../../Next.ts"
import type * as Node from "../../Node.ts"
import type { OpenVisit } from "../../RunState.ts"
import { makeCodec } from "../definition/codec.ts"
import { retryable } from "./calls.ts"
import * as Failures from "./failure.ts"
import * as Retry from "./retry.ts"
import type { Mismatch, TypedState } from "./typedState.ts"

export interface Answer {
  readonly bodies: ReadonlyArray<Body>
  readonly state: TypedState
}

export interface Outcomes {
  readonly answered: (visit: OpenVisit, started: number, next: Next.Next, state: TypedState) => Answer
  readonly failed: (
    visit: OpenVisit,
    started: number,
    outcome: Failures.Outcome
  ) => Effect.Effect<ReadonlyArray<Body>>
}

export const failRun = (error: Failure, { attempt, node, visit }: OpenVisit): Body => ({
  kind: "failed",
  error,
  node,
  visit,
  attempt
})

export const mismatchOf = (what: string, exit: Exit.Failure<unknown, unknown>): Mismatch => {
  const reason = exit.cause.reasons[0]
  return { what, message: reason?._tag === "Fail" ? (reason.error as Error).message : "unknown" }
}

const routeFor = (node: Node.Any, outcome: Failures.Outcome): Node.OnError | undefined => {
  if (outcome._tag === "Error") {
    const tag = Failures.tagOf(outcome.error)
    return Object.hasOwn(node.onError, tag) ? node.onError[tag] : undefined
  }
  if (outcome._tag === "Defect" && Failures.tagOf(outcome.defect) === "NodeTimeout") {
    if (Object.hasOwn(node.onError, "NodeTimeout")) return node.onError["NodeTimeout"]
  }
  return node.onDefect
}

/** For one execution: it remembers how far the retry policy of the open visit has come. */
export const make = (flow: Flow.Any, clock: Clock.Clock): Outcomes => {
  let retry: { readonly node: string; readonly visit: number; readonly policy: Retry.Retry } | undefined

  const unfit = ({ message, what }: Mismatch, visit: OpenVisit): Body =>
    failRun(Failures.encoding(what, message), visit)

  const completed = (output: unknown, before: Body, visit: OpenVisit): ReadonlyArray<Body> => {
    const encoded = makeCodec(flow.output).encode(output)
    return Exit.isFailure(encoded)
      ? [unfit(mismatchOf("the output of the flow", encoded), visit)]
      : [before, { kind: "completed", output: encoded.value }]
  }

  /** The flow's own code broke outside of a handler: in a reducer, a schema, or a retry policy. */
  const broke = (defect: unknown, visit: OpenVisit): Body =>
    failRun(Failures.store({ _tag: "Defect", defect }, []), visit)

  const answered = (visit: OpenVisit, started: number, given: Next.Next, state: TypedState): Answer => {
    const { attempt, node, visit: count } = visit
    const valid = Next.validate(flow, node, given)
    if (Result.isFailure(valid)) return { state, bodies: [broke(valid.failure, visit)] }
    const next = valid.success
    let after = state
    let ops
    if (next.update !== undefined) {
      const updated = state.update(next.update)
      if (Result.isFailure(updated)) return { state, bodies: [unfit(updated.failure, visit)] }
      after = updated.success.state
      ops = updated.success.ops
    }
    const to = next._tag === "End" ? { end: true as const } : { to: next.to }
    const place = { kind: "visited" as const, node, visit: count, attempt, started }
    const body: Body = ops === undefined ? { ...place, next: to } : { ...place, ops, next: to }
    return { state: after, bodies: next._tag === "End" ? completed(next.output, body, visit) : [body] }
  }

  const failed = Effect.fnUntraced(function* (
    visit: OpenVisit,
    started: number,
    outcome: Failures.Outcome
  ): Effect.fn.Return<ReadonlyArray<Body>> {
    const node = flow.nodes[visit.node]!
    const schemas = [node.error, flow.error]
    const error = Failures.store(outcome, schemas)
    const { attempt, node: name, visit: count } = visit
    const place = { node: name, visit: count, attempt, started, error }

    const retried = node.retry === undefined ? undefined : retryable(node, outcome)
    if (retried !== undefined) {
      if (retry?.node !== name || retry.visit !== count) {
        retry = { node: name, visit: count, policy: Retry.make(node.retry!) }
      }
      const now = clock.currentTimeMillisUnsafe()
      const last = { time: now, error: retried.value }
      const delay = yield* Retry.delayAfter(retry.policy, visit.failures, schemas, last)
      if (delay !== undefined) return [{ kind: "attemptFailed", ...place, due: now + delay }]
    }

    const route = routeFor(node, outcome)
    if (route === undefined || (typeof route !== "string" && route.status === "stop"))
      return [failRun(error, visit)]
    const decided =
      typeof route === "string"
        ? { status: "failed" as const, to: route }
        : { status: route.status, to: route.to }
    const body: Body = { kind: "visitFailed", ...place, outcome: decided }
    return decided.to === "end" ? completed(undefined, body, visit) : [body]
  })

  return {
    answered: (visit, started, next, state) => {
      try {
        return answered(visit, started, next, state)
      } catch (error) {
        return { state, bodies: [broke(error, visit)] }
      }
    },
    failed: (visit, started, outcome) =>
      Effect.catchDefect(failed(visit, started, outcome), (defect) => Effect.succeed([broke(defect, visit)]))
  }
}
