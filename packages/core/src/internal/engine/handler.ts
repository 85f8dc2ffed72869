/**
 * The handler of a node, ready to be executed once for a visit.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import type * as Flow from "../../Flow.ts"
import type { NodeMiddleware } from "../../Middleware.ts"
import * as Next from "../../Next.ts"
import * as Node from "../../Node.ts"
import type { OpenVisit } from "../../RunState.ts"
import { Visit } from "../../Visit.ts"
import * as Calls from "./calls.ts"
import * as Telling from "./telling.ts"
import { SeededRandom, VisitClock } from "./visitClock.ts"

export interface Surroundings {
  readonly clock: Clock.Clock
  readonly nodeMiddlewares: ReadonlyArray<NodeMiddleware>
  readonly traced: boolean
}

export interface Attempt {
  readonly visit: OpenVisit
  readonly branch: string
  readonly state: { readonly [channel: string]: unknown }
  readonly input: unknown
  /** Whether an earlier process may have executed this attempt. */
  readonly recovered: boolean
  readonly timeout: Duration.Duration | undefined
}

export interface Prepared {
  readonly effect: Effect.Effect<Next.Next, unknown>
  /** To be run when the effect is done: its tool calls are over, and its scope is closed. */
  readonly close: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
}

/** Inside a visit time stands still, chance is repeatable, tools are durable, and resources last as long as the visit. */
export const prepare = (
  { clock, nodeMiddlewares, traced }: Surroundings,
  { context: base, flow, handlers }: Flow.HandlersService,
  host: Calls.Host,
  { branch, input, recovered, state, timeout, visit }: Attempt
): Prepared => {
  const { attempt, node } = visit
  const handler = handlers[node]!
  const lastFailure = visit.failures[visit.failures.length - 1]
  const visitClock = new VisitClock(clock, lastFailure?.time ?? visit.since.time)
  // Most visits call no tool.
  let calls: Calls.Calls | undefined
  const call: Visit["Service"]["call"] = (tool, given, options) => {
    calls ??= Calls.make(host, {
      branch,
      node,
      visit: visit.visit,
      attempt,
      clock: visitClock,
      recovered,
      isAlone
    })
    if (closed) calls.close()
    return calls.call(tool, given, options)
  }
  // Most visits tell nothing.
  let telling: Telling.Telling | undefined
  const tell: Visit["Service"]["tell"] = (use) =>
    Effect.suspend(() => {
      telling ??= Telling.make(host, flow, branch, visit, clock)
      if (closed) telling.closed = true
      return use(telling)
    })
  let closed = false
  let fiber: Fiber.Fiber<unknown, unknown> | undefined
  const info = { run: host.run, flow: flow.id, branch, node, visit: visit.visit, attempt }
  const scope = Scope.makeUnsafe()
  // What middleware adds to the context, and the spans around the handler, are to reach it: then the rest of the context
  // is provided around them. Otherwise it is set at once, since merging contexts would cost more than the rest of this.
  const plain = !traced && nodeMiddlewares.length === 0
  const own = (plain ? base : Context.empty()).pipe(
    Context.add(Visit, { ...info, call, tell }),
    Context.add(Clock.Clock, visitClock),
    Context.add(Random.Random, new SeededRandom(() => JSON.stringify([host.run, branch, node, visit.visit]))),
    Context.add(Scope.Scope, scope)
  ) as Context.Context<any>
  const handled = Effect.withFiber((self) => {
    fiber = self
    return handler({ state, input, next: Next.nexts })
  })
  // Fibers that live as long as the visit are known by its scope.
  const isAlone = (asking: Fiber.Fiber<unknown, unknown>) =>
    asking === fiber && scope.state._tag === "Empty" && !hasChildren(asking)
  let effect: Effect.Effect<Next.Next, unknown> = plain
    ? Effect.setContext(handled, own)
    : Effect.provideContext(handled, own)
  for (let i = nodeMiddlewares.length - 1; i >= 0; i--) effect = nodeMiddlewares[i]!(effect, info)
  if (timeout !== undefined) {
    const millis = Duration.toMillis(timeout)
    effect = Effect.timeoutOrElse(effect, {
      duration: timeout,
      orElse: () => Effect.die(new Node.NodeTimeout({ node, millis }))
    })
  }
  if (traced) {
    effect = Effect.withSpan(effect, `node ${node}`, {
      attributes: { "waymark.run": host.run, "waymark.node": node, "waymark.visit": visit.visit }
    })
  }
  if (!plain) effect = Effect.provideContext(effect, base)
  return {
    effect,
    close: (exit) => {
      closed = true
      calls?.close()
      const rest = scope.state._tag === "Empty" ? Effect.void : Scope.close(scope, exit)
      return telling === undefined ? rest : Effect.andThen(Telling.close(telling, exit), rest)
    }
  }
}

/** Whether a fiber has forked others that still run; `true` if that cannot be told. */
const hasChildren = (fiber: object): boolean =>
  !("children" in fiber) || typeof fiber.children !== "function" || fiber.children().size > 0
