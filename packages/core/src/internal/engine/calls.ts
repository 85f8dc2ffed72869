/**
 * The tool calls of a visit: served from the journal where they are recorded, carried out and recorded where not.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { Json } from "effect/Schema"
import type { Body, Durability, Failure } from "../../Event.ts"
import { InDoubt, Unencodable } from "../../Failures.ts"
import type { Call, OpenVisit, RunState } from "../../RunState.ts"
import { NodeTimeout } from "../../Node.ts"
import * as Tool from "../../Tool.ts"
import { makeCodec } from "../definition/codec.ts"
import { frozen } from "../frozen.ts"
import { canonical } from "./canonical.ts"
import type { Claims, Host as Claiming } from "./claims.ts"
import * as Due from "./due.ts"
import { encode } from "./encoded.ts"
import * as Failures from "./failure.ts"
import { invoke } from "./invoke.ts"
import type { Surroundings } from "./invoke.ts"
import * as Retry from "./retry.ts"
import * as Versions from "./versions.ts"
import type { VisitClock } from "./visitClock.ts"
import type { Bodies } from "./writer.ts"

/** What a visit's calls need of the run they belong to. */
export interface Host extends Surroundings, Claiming {
  readonly run: string
  readonly durability: Durability
  readonly hash: (text: string) => string
  /** Nothing sleeps for longer without a look at the clock, in milliseconds. */
  readonly lookInterval: number
  /** Whether what is stored is encrypted. */
  readonly encrypts: boolean
  /** The open visit as the journal has it. */
  readonly open: () => OpenVisit
  /** Appends an event. If that fails, the run is stopped and the effect is interrupted. */
  readonly append: (body: Body) => Effect.Effect<unknown>
  /** The same for events that follow from the state that they are appended to. */
  readonly appendTo: (decide: (state: RunState) => Bodies | undefined) => Effect.Effect<unknown>
  /** The run as the journal has it. */
  readonly state: () => RunState
  /** Waits until everything is durable; the same if that fails. */
  readonly sync: Effect.Effect<void>
  /** Whether the run is being stopped, by whatever: then interruption says nothing about a call. */
  readonly stopping: () => boolean
  /** Whether it stops without ending, so that the visit will be executed again: then finalizers may call nothing. */
  readonly halted: () => boolean
  /** What is asked for then is answered by this. */
  readonly refused: Effect.Effect<never>
  /** Has a handler that is kept while it waits look again whether it is to be. */
  readonly waker: () => (() => void) | undefined
  /** Does what the visit waits for and does nothing else meanwhile: others may have its place. */
  readonly resting: (sleep: Effect.Effect<void>) => Effect.Effect<void>
}

/** The visit that calls are made in. */
export interface Place {
  readonly branch: string
  readonly node: string
  readonly visit: number
  readonly attempt: number
  /** The node's name when the visit was opened, if it has another one now: keys are made of that. */
  readonly openedAs: string | undefined
  readonly clock: VisitClock
  /** Whether nothing but this fiber is executed of the visit. */
  readonly isAlone: (fiber: Fiber.Fiber<unknown, unknown>) => boolean
  readonly isClosed: () => boolean
}

export interface Calls {
  /** Whether a call is being carried out. */
  readonly isBusy: () => boolean
  readonly call: (
    tool: Tool.Any,
    input: unknown,
    options: Tool.CallOptions | undefined
  ) => Effect.Effect<any, any>
  /** The visit is over: what is left of it may call nothing any more. */
  readonly close: () => void
}

export const make = (host: Host, claims: Claims, place: Place): Calls => {
  const { attempt, branch, clock, node, visit } = place
  const where = branch === "" ? { node, visit, attempt } : { branch, node, visit, attempt }
  const occurrences = new Map<string, number>()
  let closed = false
  let underWay = 0

  const recorded = (call: string): Call | undefined =>
    Option.getOrUndefined(HashMap.get(host.open().calls, call))

  const consume = (call: Call): void => {
    if (call.time > clock.now) clock.now = call.time
  }

  /** The run is not failed for what another version of the tool has recorded. */
  const unreadable = (call: Call, { message }: Unencodable): Effect.Effect<never> =>
    host.pause(Versions.unreadableCall(place, call, host.encrypts ? "" : `: ${message}`))

  const fail = (tool: Tool.Any, call: Call, failure: Failure): Effect.Effect<never, unknown> => {
    const outcome = Failures.load(failure, [tool.error])
    if (failure.kind === "error" && outcome._tag === "Defect")
      return unreadable(call, outcome.defect as Unencodable)
    switch (outcome._tag) {
      case "Error":
        return Effect.fail(outcome.error)
      case "Defect":
        return Effect.die(outcome.defect)
      case "Interrupted":
        return Effect.never
    }
  }

  const serve = (tool: Tool.Any, call: Call): Effect.Effect<unknown, unknown> => {
    consume(call)
    if (call.status === "failed") return fail(tool, call, call.error!)
    // What the schema leaves as it is would be changed in the journal's own state, too.
    const exit = makeCodec(tool.output).decode(frozen(call.output))
    if (Exit.isSuccess(exit)) return Effect.succeed(exit.value)
    return unreadable(call, unencodable("the recorded output", exit))
  }

  const unencodable = (what: string, exit: Exit.Failure<unknown, unknown>): Unencodable =>
    new Unencodable({ what, detail: Failures.problemOf(exit) })

  /** Whether the tool's policy gives the call another try after this outcome, and when. */
  const nextTry = (
    tool: Tool.Any,
    retry: Retry.Retry | undefined,
    outcome: Failures.Outcome,
    call: Call,
    now: number
  ): Effect.Effect<number | undefined> => {
    if (retry === undefined) return Effect.succeed(undefined)
    const error = retryable(tool, outcome)
    if (error === undefined) return Effect.succeed(undefined)
    if (error.value instanceof Tool.ToolStalled && tool.while?.(error.value) === false) {
      return Effect.succeed(undefined)
    }
    const last = { time: now, error: error.value }
    return Effect.setContext(Retry.delayAfter(retry, call.retries, [tool.error], last), host.context)
  }

  const settle = (id: string, body: Body) => Effect.map(host.append(body), () => consume(recorded(id)!))

  /** If the run itself is being stopped the call stays without a result: it may have taken effect. */
  const givenUp = (
    tool: Tool.Any,
    call: string,
    exit: Exit.Failure<unknown, unknown>
  ): Effect.Effect<never, unknown> => {
    if (host.stopping()) return Effect.failCause(exit.cause)
    const error = { kind: "interrupted" } as const
    const body: Body = { kind: "callFailed", ...where, call, tool: tool.name, error }
    return Effect.andThen(settle(call, body), Effect.failCause(exit.cause))
  }

  /** Whoever made the call goes on before a handler that is kept because of it. */
  const over = Effect.withFiber(({ currentDispatcher }) => {
    underWay -= 1
    if (underWay === 0 && host.waker() !== undefined)
      currentDispatcher.scheduleTask(() => host.waker()?.(), 0)
    return Effect.void
  })

  /** Tries a call until it succeeds, fails for good, or is interrupted; journals each outcome. */
  const carryOut = (
    tool: Tool.Any,
    id: string,
    key: string,
    encoded: Json,
    input: unknown,
    begun: "fresh" | "repeat" | "inDoubt",
    before?: Effect.Effect<void>,
    due?: number
  ): Effect.Effect<unknown, unknown> =>
    Effect.withFiber((fiber) => {
      const handlerContext = fiber.context
      const live = Context.get(host.context, Clock.Clock)
      const names = { ...where, call: id, tool: tool.name }
      const retry = tool.retry === undefined ? undefined : Retry.make(tool.retry)
      const { compensate, delivery } = tool
      const undoable = compensate && ({ undoable: compensate.inDoubt ? "inDoubt" : "completed" } as const)
      // What cannot be found again cannot be undone.
      const commit = host.durability !== "ephemeral" || delivery === "atMostOnce" || undoable !== undefined
      // What became of a try that took too long is not known.
      let repeated =
        begun === "inDoubt" || recorded(id)?.retries.some(({ error }) => error.kind === "timeout") === true

      const settled = (body: Body) => settle(id, body)

      const sleepUntil = (at: Due.Due): Effect.Effect<void> =>
        Effect.suspend(() => {
          const left = at.left()
          return left > host.lookInterval
            ? Effect.andThen(live.sleep(Duration.millis(host.lookInterval)), sleepUntil(at))
            : live.sleep(Duration.millis(Math.max(0, left)))
        })

      const sleep = (until: number) => {
        const slept = Effect.suspend(() => {
          const at = Due.make(live, until)
          return at.left() > Due.moment && place.isAlone(fiber)
            ? host.resting(sleepUntil(at))
            : sleepUntil(at)
        })
        // What comes after a long sleep should not have to begin before it.
        return commit ? Effect.andThen(host.sync, slept) : slept
      }

      /** Only a declared error says that the call had no effect. */
      const failed = (error: Failure): Body =>
        delivery === "atMostOnce" && error.kind !== "error"
          ? { kind: "callFailed", ...names, error, undecided: true }
          : { kind: "callFailed", ...names, error }

      const interrupted = (exit: Exit.Failure<unknown, unknown>) => givenUp(tool, id, exit)

      const attemptCall = (started: boolean): Effect.Effect<unknown, unknown> => {
        const begin: Body = started
          ? { kind: "callRepeated", ...names }
          : { kind: "callStarted", ...names, key, input: encoded, ...undoable }
        return Effect.uninterruptibleMask((restore) =>
          Effect.gen(function* () {
            // One try after another; the events say where it stands if the process dies between any two of them.
            let body = begin
            if (due !== undefined) {
              const slept = yield* Effect.exit(restore(sleep(due)))
              if (Exit.isFailure(slept)) return yield* interrupted(slept)
            }
            while (true) {
              yield* host.append(body)
              const invocation: Tool.Invocation["Service"] = {
                key,
                attempt: (recorded(id)?.retries.length ?? 0) + 1,
                run: host.run,
                branch,
                node,
                visit,
                repeated
              }
              const execute = invoke(host, { tool, input, invocation }, handlerContext)
              // Nothing is asked of the world before everything that led to it is durable.
              const exit = yield* Effect.exit(restore(commit ? Effect.andThen(host.sync, execute) : execute))
              if (Exit.isSuccess(exit)) {
                const output = encode(tool.output, exit.value)
                if (Exit.isFailure(output)) {
                  const defect = unencodable(`the output of tool ${tool.name}`, output)
                  yield* settled(failed(Failures.store({ _tag: "Defect", defect }, [])))
                  return yield* Effect.die(defect)
                }
                yield* settled({ kind: "callCompleted", ...names, output: output.value })
                return yield* serve(tool, recorded(id)!)
              }
              let outcome = Failures.outcomeOf(exit.cause)
              if (outcome._tag === "Interrupted") {
                if (host.stopping() || Exit.isFailure(yield* Effect.exit(restore(Effect.void))))
                  return yield* interrupted(exit)
                // Nobody would interrupt it again, as is done with a call that whoever made it has given up.
                outcome = { _tag: "Defect", defect: selfInterrupted(tool) }
              }
              const failure = Failures.store(outcome, [tool.error])
              const now = live.currentTimeMillisUnsafe()
              // What became of a try that failed otherwise is not known: at most once means not again.
              const next = yield* Effect.exit(
                delivery === "atMostOnce" && failure.kind !== "error"
                  ? Effect.undefined
                  : Effect.suspend(() => nextTry(tool, retry, outcome, recorded(id)!, now))
              )
              if (Exit.isFailure(next)) {
                // The retry policy broke.
                yield* settled(failed(Failures.store(Failures.outcomeOf(next.cause), [])))
                return yield* next
              }
              const delay = next.value
              if (delay === undefined) {
                yield* settled(failed(failure))
                return yield* fail(tool, recorded(id)!, failure)
              }
              yield* host.append({ kind: "callRetried", ...names, error: failure, due: now + delay })
              const slept = yield* Effect.exit(restore(sleep(now + delay)))
              if (Exit.isFailure(slept)) return yield* interrupted(slept)
              repeated = repeated || outcome._tag === "Defect"
              body = { kind: "callRepeated", ...names }
            }
          })
        )
      }
      return Effect.suspend(() => {
        underWay += 1
        const made = attemptCall(begun !== "fresh")
        return Effect.ensuring(before === undefined ? made : Effect.andThen(before, made), over)
      })
    })

  /** What to do about a call that was started and has no result. */
  const resolve = (
    tool: Tool.Any,
    id: string,
    key: string,
    encoded: Json,
    input: unknown,
    call: Call
  ): Effect.Effect<unknown, unknown> => {
    // Its last try is known to have failed; the next one has not begun.
    if (call.due !== undefined) return carryOut(tool, id, key, encoded, input, "repeat", undefined, call.due)
    if (tool.delivery === "atLeastOnce" || call.released === true) {
      return carryOut(tool, id, key, encoded, input, "inDoubt")
    }
    if (tool.inDoubt === "pause")
      return host.pause({ kind: "inDoubt", node, visit, tool: tool.name, call: id })
    const names = { ...where, call: id, tool: tool.name }
    return Effect.andThen(
      host.append({
        kind: "callFailed",
        ...names,
        error: { kind: "inDoubt", tool: tool.name, call: id, undecided: true }
      }),
      Effect.die(new InDoubt({ tool: tool.name, call: id }))
    )
  }

  const serving = (tool: Tool.Any, call: Call) => Effect.suspend(() => serve(tool, call))

  /** What is recorded may give up the call again, before it is made again. */
  const afterRest = (
    rest: Effect.Effect<void>,
    tool: Tool.Any,
    id: string,
    again: () => Effect.Effect<unknown, unknown>
  ): Effect.Effect<unknown, unknown> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.exit(restore(rest)), (exit) =>
        Exit.isSuccess(exit) ? restore(Effect.suspend(again)) : givenUp(tool, id, exit)
      )
    )

  return {
    isBusy: () => underWay > 0,
    close: () => {
      closed = true
      claims.order?.close()
    },
    call: (tool, input, options) =>
      Effect.withFiber((fiber): Effect.Effect<unknown, unknown> => {
        if (closed) {
          return Effect.die(
            new Error(
              `tool ${tool.name} was called by something that outlived visit ${visit} of node ${node}`
            )
          )
        }
        if (host.halted()) return host.refused
        if (!host.encrypts && hasSecrets(tool)) {
          return Effect.die(
            new Error(`tool ${tool.name} has Redacted values: provide a Codec that encrypts what is stored`)
          )
        }
        const exit = encode(tool.input, input)
        if (Exit.isFailure(exit)) return Effect.die(unencodable(`the input of tool ${tool.name}`, exit))
        const own = options?.key ?? tool.key?.(input) ?? host.hash(canonical(exit.value)).slice(0, 32)
        const base = `${tool.name}/${own}`
        const occurrence = occurrences.get(base) ?? 0
        occurrences.set(base, occurrence + 1)
        const id = `${base}/${occurrence}`
        const key = host
          .hash(JSON.stringify([host.run, branch, place.openedAs ?? node, visit, id]))
          .slice(0, 32)
        const known = recorded(id)
        const asked = { tool: tool.name, call: id, input: exit.value }
        // What is begun together with it is begun, also where it is over at once, or served.
        const begun = place.isAlone(fiber) ? undefined : Effect.yieldNow
        if (known === undefined) {
          const fresh = carryOut(tool, id, key, exit.value, input, "fresh", begun)
          const checked = claims.unrecorded(asked)
          return checked === undefined ? fresh : Effect.andThen(checked, fresh)
        }
        claims.claim(id)
        const { order } = claims
        if (known.status === "started") {
          if (host.unanswered !== undefined) return host.unanswered(asked)
          const again = () => resolve(tool, id, key, exit.value, input, known)
          const rest = order?.rest ?? begun
          return rest === undefined ? again() : afterRest(rest, tool, id, again)
        }
        if (known.error?.kind === "interrupted") {
          // Whatever interrupted it the first time (a timeout, the winner of a race) will do so again.
          const again = Effect.suspend(() => {
            if (host.halted()) return Effect.void
            return Effect.map(order?.turnOfInterrupted(id) ?? Effect.void, () => consume(known))
          })
          const interrupted = Effect.onInterrupt(Effect.never, () => again)
          return order === undefined ? interrupted : Effect.andThen(order.noticed, interrupted)
        }
        const inTurn = (): Effect.Effect<unknown, unknown> => {
          const turn = order?.turnOf(id)
          return turn === undefined ? serve(tool, known) : Effect.andThen(turn, serving(tool, known))
        }
        return begun === undefined ? inTurn() : Effect.andThen(begun, Effect.suspend(inTurn))
      })
  }
}

const selfInterrupted = ({ name }: Tool.Any): Error =>
  new Error(
    `tool ${name} was interrupted, and not by who called it: it interrupts itself, or waits for a fiber that was interrupted`
  )

const secrets = new WeakMap<Tool.Any, boolean>()

const hasSecrets = (tool: Tool.Any): boolean => {
  let known = secrets.get(tool)
  if (known === undefined) secrets.set(tool, (known = Tool.requiresCodec(tool)))
  return known
}

/** The error by which a retry policy decides, if the outcome is one that may be retried at all. */
export const retryable = (
  policy: { readonly while: ((error: any) => boolean) | undefined },
  outcome: Failures.Outcome
): { readonly value: unknown } | undefined => {
  if (outcome._tag === "Error") {
    return policy.while === undefined || policy.while(outcome.error) ? { value: outcome.error } : undefined
  }
  if (outcome._tag === "Defect") {
    const { defect } = outcome
    if (
      defect instanceof Tool.ToolTimeout ||
      defect instanceof Tool.ToolStalled ||
      defect instanceof NodeTimeout
    )
      return { value: defect }
  }
  return undefined
}
