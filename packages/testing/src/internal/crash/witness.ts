/**
 * Watches what a worker does, from the outside: it sees every node that begins and every tool call that is carried out,
 * and compares them with what is durable at that moment.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { format } from "effect/Formatter"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import { Codec } from "@waymark/core/Codec"
import type { Event } from "@waymark/core/Event"
import { NodeMiddlewares } from "@waymark/core/Middleware"
import type { NodeMiddleware } from "@waymark/core/Middleware"
import { isTerminal } from "@waymark/core/RunInfo"
import { visitOf } from "@waymark/core/RunState"
import type { RunState } from "@waymark/core/RunState"
import { ToolExecutor } from "@waymark/core/ToolExecutor"
import type { Request } from "@waymark/core/ToolExecutor"
import { short } from "../eventText.ts"
import type { Execution } from "./outcome.ts"
import { overOf, recordOf, stateOf } from "./ledger.ts"
import type { Ledger, Over, RunLedger } from "./ledger.ts"

export type Mutable<A> = { -readonly [K in keyof A]: A[K] }

export interface Witness {
  readonly executions: Array<Mutable<Execution>>
  /** What must not have happened, as it was seen. */
  readonly problems: Array<string>
  /** A digest of what was carried out, and of how it ended. */
  readonly digest: () => string
  /** How often a handler has begun, or ended, so far. */
  readonly progress: () => number
  /** Goes around the executor and the nodes of a process's worker. `process` counts from 1. */
  readonly layer: (process: number) => Layer.Layer<never>
  /** The codec that the last process had. */
  readonly codec: () => Codec | undefined
  /** The power was cut: what had ended by now, or was ending, must stay so. */
  readonly cut: () => void
}

export const nameOf = ({ invocation: { key, node, run, visit }, input, tool, undo }: Request): string =>
  `${undo === undefined ? "" : "undoing "}tool ${tool.name} with ${short(input, 200)} at node ${node} (visit ${visit}) of run ${short(run)}, key ${key.slice(0, 8)}`

const unsyncedSteps: ReadonlySet<string> = new Set([
  "visited",
  "visitFailed",
  "attemptFailed",
  "branchFailed",
  "joined"
])

/** Whether a visit of a branch comes after an event, and not beside it: the branch's own, or those that it joins. */
const isBefore = (event: Event, branch: string): boolean => {
  const other = "branch" in event && event.branch !== undefined ? event.branch : ""
  return other === branch || branch === "" || other === "" || other.startsWith(`${branch}/`)
}

export const make = (ledger: Ledger, hash: (text: string) => string): Witness => {
  const executions: Array<Mutable<Execution>> = []
  const problems: Array<string> = []
  let codec: Codec | undefined
  let digest = ""
  let progress = 0
  const remember = (text: string): void => {
    digest = hash(`${digest}\n${text}`)
  }
  const carriedOut = new Map<string, number>()
  /** Runs that were over at the last cut, why, and how often they had been restarted by then. */
  const over = new Map<string, Over & { readonly restarts: number }>()

  const isRestarting = (run: RunLedger): boolean =>
    run.pending.some(({ event }) => event.kind === "restarted")
  /** How a run was over when the power was cut, unless somebody has retried it since. */
  const overThen = (run: RunLedger): Over | undefined => {
    const known = over.get(run.run)
    return known !== undefined && known.restarts === stateOf(run)?.restarts && !isRestarting(run)
      ? known
      : undefined
  }
  /** Why nothing of a run may be executed any more, if that is so. */
  const overBy = (run: RunLedger, { status }: RunState): string | undefined => {
    const then = overThen(run)
    if (then !== undefined) return `${then.why} when the power was cut`
    return (isTerminal(status) || status === "cancelling") && !isRestarting(run) ? `is ${status}` : undefined
  }
  /** Whether the run is cancelled by this process: then finalizers are executed in it, and may call tools. */
  const isCancelled = (run: RunLedger, { status }: RunState): boolean =>
    (status === "cancelling" || run.pending.some(({ event }) => event.kind === "cancelRequested")) &&
    overThen(run)?.isEnding !== true
  /** A handler that waits and has no fiber is executed up to its wait once more, for the sake of its finalizers. */
  const isUnwound = (run: RunLedger, state: RunState, branch: string): boolean =>
    isCancelled(run, state) && (visitOf(state, branch)?.waiting.length ?? 0) > 0

  const judge = (request: Request, run: RunLedger | undefined): void => {
    const { key, run: id } = request.invocation
    const place = JSON.stringify([id, key])
    const before = carriedOut.get(place) ?? 0
    carriedOut.set(place, before + 1)
    const state = run === undefined ? undefined : stateOf(run)
    if (run === undefined || state === undefined) {
      problems.push(`${nameOf(request)} was carried out, but no durable journal knows the run`)
      return
    }
    const { announced, completed, excused } = recordOf(run, key)
    const isUndo = request.undo !== undefined
    const atMostOnce = request.tool.delivery === "atMostOnce" && !isUndo
    if (completed !== undefined) {
      problems.push(
        `${nameOf(request)} was carried out again, after its success at seq ${completed} was durable`
      )
    } else if (atMostOnce && before > excused) {
      problems.push(
        `${nameOf(request)} is an at-most-once call; it was carried out again although nobody knows what the time before came to`
      )
    }
    const isCommitted =
      atMostOnce || state.durability !== "ephemeral" || request.tool.compensate !== undefined
    if (announced <= before && isCommitted) {
      problems.push(
        `${nameOf(request)} was carried out before the event that says so was durable (run is ${state.durability})`
      )
    }
    if (isUndo) {
      if (state.compensating === undefined) {
        problems.push(
          `${nameOf(request)} was carried out before it was durable that the run undoes its calls`
        )
      }
    } else if (state.compensating !== undefined) {
      problems.push(`${nameOf(request)} was carried out in a run that undoes its calls`)
    } else {
      const why = overBy(run, state)
      if (why !== undefined && !isCancelled(run, state))
        problems.push(`${nameOf(request)} was carried out in a run that ${why}`)
    }
  }

  const nodeBegins: NodeMiddleware = (handler, { branch, node, run: id, visit }) =>
    Effect.suspend(() => {
      const run = ledger.runs.get(id)
      const state = run === undefined ? undefined : stateOf(run)
      const where = `node ${node} (visit ${visit}) of run ${short(id)}`
      if (run !== undefined && state !== undefined) {
        for (const { event } of run.pending) {
          if (event.kind === "claimed" && event.cause === "crash") {
            problems.push(`${where} began before it was durable that the run was recovered`)
          }
          if (state.durability === "strict" && unsyncedSteps.has(event.kind) && isBefore(event, branch)) {
            problems.push(
              `${where} began before the ${event.kind} event at seq ${event.seq} was durable, in a strict run`
            )
          }
        }
        const why = overBy(run, state)
        if (why !== undefined && !isUnwound(run, state, branch))
          problems.push(`${where} began in a run that ${why}`)
      }
      progress += 1
      return Effect.onExit(handler, () =>
        Effect.sync(() => {
          progress += 1
        })
      )
    })

  const carryOut = (process: number, user: ToolExecutor): ToolExecutor => {
    const watch = (request: Request, carriedOut: Effect.Effect<unknown, unknown>) =>
      Effect.suspend(() => {
        const { attempt, key, node, repeated, run, visit } = request.invocation
        judge(request, ledger.runs.get(run))
        const execution: Mutable<Execution> = {
          process,
          tool: request.tool.name,
          input: request.input,
          run,
          node,
          visit,
          key,
          attempt,
          repeated,
          result: "unknown",
          ...(request.undo === undefined ? undefined : { undoes: request.undo.key })
        }
        const number = executions.push(execution)
        remember(`${number} ${execution.tool} ${key} ${attempt} ${format(request.input)}`)
        return Effect.onExit(carriedOut, (exit) =>
          Effect.sync(() => {
            for (const { defect } of Exit.isSuccess(exit)
              ? []
              : exit.cause.reasons.filter(Cause.isDieReason)) {
              if (Predicate.isTagged(defect, "UnexpectedCall"))
                problems.push(
                  `${(defect as unknown as Error).message}; give the fake a reply to it (FakeTools.always, answer, script), in a \`world\` that is made anew each time`
                )
            }
            if (Exit.isSuccess(exit)) execution.result = "succeeded"
            else
              execution.result = exit.cause.reasons.some(({ _tag }) => _tag !== "Interrupt")
                ? "failed"
                : "interrupted"
            remember(`${number} ${execution.result}`)
          })
        )
      })
    return {
      execute: (request, local) => watch(request, user.execute(request, local)),
      compensate: (request, local) => watch(request, user.compensate?.(request, local) ?? local)
    }
  }

  return {
    executions,
    problems,
    digest: () => digest,
    progress: () => progress,
    codec: () => codec,
    layer: (process) =>
      Layer.effectContext(
        Effect.gen(function* () {
          codec = yield* Codec
          return Context.make(ToolExecutor, carryOut(process, yield* ToolExecutor)).pipe(
            Context.add(NodeMiddlewares, [nodeBegins, ...(yield* NodeMiddlewares)])
          )
        })
      ),
    cut: () => {
      over.clear()
      for (const run of ledger.runs.values()) {
        const why = overOf(run)
        if (why !== undefined) over.set(run.run, { ...why, restarts: stateOf(run)!.restarts })
      }
    }
  }
}
