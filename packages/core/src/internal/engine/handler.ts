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
import * as Children from "./children.ts"
import * as Claims from "./claims.ts"
import * as Grace from "./grace.ts"
import * as Telling from "./telling.ts"
import { SeededRandom, VisitClock } from "./visitClock.ts"
import * as Waits from "./waits.ts"

export interface Surroundings {
  readonly clock: Clock.Clock
  readonly nodeMiddlewares: ReadonlyArray<NodeMiddleware>
  readonly traced: boolean
}

export interface Host extends Children.Host {
  /** Where the open waits of the visit stand in the journal, and when they were opened. */
  readonly openedAt: (wait: string) => { readonly seq: number; readonly time: number }
}

export interface Attempt {
  readonly visit: OpenVisit
  readonly branch: string
  readonly state: { readonly [channel: string]: unknown }
  readonly input: unknown
  /** What a fan-out handed to the visit, if the node takes something. */
  readonly item: { readonly value: unknown } | undefined
  /** How the branches came out that the visit joins, if it does. */
  readonly branches: (() => ReadonlyArray<Next.BranchResult>) | undefined
  /** Whether an earlier process may have executed this attempt, or it was executed up to a wait. */
  readonly recovered: boolean
  readonly timeout: Duration.Duration | undefined
}

export interface Prepared {
  readonly effect: Effect.Effect<Next.Next, unknown>
  /** To be run when the effect is done: its tool calls are over, and its scope is closed. */
  readonly close: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
}

const contextOf = ({ branches, input, item, state }: Attempt): object => {
  const context: { [key: string]: unknown } = { state, input, next: Next.nexts }
  if (item !== undefined) context["item"] = item.value
  // There may be thousands, and not every join looks at them.
  if (branches !== undefined) {
    let results: ReadonlyArray<Next.BranchResult> | undefined
    Object.defineProperty(context, "branches", { enumerable: true, get: () => (results ??= branches()) })
  }
  return context
}

/** The waits that this attempt came to: the ones that are over were kept by it if it is the first. */
function* waitsOf(visit: OpenVisit, host: Host) {
  const { attempt, ended, waiting } = visit
  if (attempt === 1) for (const id of Object.keys(ended)) yield [id, ended[id]!] as const
  for (const id of waiting) yield [id, host.openedAt(id)] as const
}

/** Inside a visit time passes as it is recorded and slept, chance is repeatable, tools are durable, and resources last as long as the visit. */
export const prepare = (
  { clock, nodeMiddlewares, traced }: Surroundings,
  { context: base, flow, handlers }: Flow.HandlersService,
  given: Host,
  attempted: Attempt
): Prepared => {
  const { branch, recovered, timeout, visit } = attempted
  let left = false
  const host = timeout === undefined ? given : until(() => left, visit, given)
  const { attempt, node } = visit
  const handler = handlers[node]!
  const lastFailure = visit.failures[visit.failures.length - 1]
  // Another attempt begins when it was due, not when the one before it failed.
  const visitClock = new VisitClock(clock, Math.max(lastFailure?.time ?? visit.since.time, visit.due ?? 0))
  let closed = false
  let fiber: Fiber.Fiber<unknown, unknown> | undefined
  const place = {
    branch,
    node,
    visit: visit.visit,
    attempt,
    openedAs: visit.openedAs,
    clock: visitClock,
    flow,
    fiber: () => fiber,
    isClosed: () => closed,
    // Fibers that live as long as the visit are known by its scope.
    isAlone: (asking: Fiber.Fiber<unknown, unknown>) =>
      asking === fiber && scope.state._tag === "Empty" && !hasChildren(asking)
  }
  visitClock.isAlone = place.isAlone
  // Most visits call no tool and wait for nothing.
  let known: Claims.Claims | undefined
  const claims = () =>
    (known ??= Claims.make({
      attempt,
      recovered,
      began: visitClock.now,
      clock,
      open: host.open,
      waits: () => waitsOf(host.open(), host),
      isAlone: place.isAlone
    }))
  let calls: Calls.Calls | undefined
  const call: Visit["Service"]["call"] = (tool, given, options) => {
    calls ??= Calls.make(host, claims(), place)
    if (closed) calls.close()
    return calls.call(tool, given, options)
  }
  let waits: Waits.Waits | undefined
  const waiting = () => (waits ??= Waits.make(host, claims(), place))
  const wait: Visit["Service"]["wait"] = (requests) => waiting().wait(requests)
  let children: Children.Children | undefined
  const child: Visit["Service"]["child"] = (of, given, options, how) => {
    children ??= Children.make(host, waiting(), place)
    return children.child(of, given, options, how)
  }
  let telling: Telling.Telling | undefined
  const tell: Visit["Service"]["tell"] = (use) =>
    Effect.suspend(() => {
      telling ??= Telling.make(host, flow, branch, visit, clock)
      if (closed) telling.closed = true
      return use(telling)
    })
  const info = { run: host.run, flow: flow.id, branch, node, visit: visit.visit, attempt }
  const scope = Scope.makeUnsafe()
  // What middleware adds to the context, and the spans around the handler, are to reach it: then the rest of the context
  // is provided around them. Otherwise it is set at once, since merging contexts would cost more than the rest of this.
  const plain = !traced && nodeMiddlewares.length === 0
  const own = (plain ? base : Context.empty()).pipe(
    Context.add(Visit, { ...info, call, child, tell, wait }),
    Context.add(Clock.Clock, visitClock),
    Context.add(
      Random.Random,
      new SeededRandom(() => JSON.stringify([host.run, branch, visit.openedAs ?? node, visit.visit]))
    ),
    Context.add(Scope.Scope, scope)
  ) as Context.Context<any>
  const handled = Effect.withFiber((self) => {
    fiber = self
    return handler(contextOf(attempted))
  })
  let effect: Effect.Effect<Next.Next, unknown> = plain
    ? Effect.setContext(handled, own)
    : Effect.provideContext(handled, own)
  for (let i = nodeMiddlewares.length - 1; i >= 0; i--) effect = nodeMiddlewares[i]!(effect, info)
  if (timeout !== undefined) {
    const millis = Duration.toMillis(timeout)
    const over = Effect.die(new Node.NodeTimeout({ node, millis }))
    effect = Grace.limited(host.limits, effect, Effect.andThen(Effect.sleep(timeout), over), {
      place: { run: host.run, branch, node, visit: visit.visit },
      what: "an attempt",
      onLeft: () => (left = true)
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

/** A host that does nothing any more for an attempt that was left behind. */
const until = (isLeft: () => boolean, visit: OpenVisit, host: Host): Host => {
  const orRefuse = <A>(effect: () => Effect.Effect<A>): Effect.Effect<A> =>
    Effect.suspend(() => (isLeft() ? host.refused : effect()))
  return {
    ...host,
    open: () => (isLeft() ? visit : host.open()),
    append: (body) => orRefuse(() => host.append(body)),
    appendTo: (decide) => orRefuse(() => host.appendTo(decide)),
    openWaits: (bodies) => orRefuse(() => host.openWaits(bodies)),
    deliver: (message, of) => orRefuse(() => host.deliver(message, of)),
    pause: (reason) => orRefuse(() => host.pause(reason)),
    park: orRefuse(() => host.park),
    halted: () => isLeft() || host.halted()
  }
}

/** Whether a fiber has forked others that still run; `true` if that cannot be told. */
const hasChildren = (fiber: object): boolean =>
  !("children" in fiber) || typeof fiber.children !== "function" || fiber.children().size > 0
