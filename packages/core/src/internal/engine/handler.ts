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
import { MaxOpsBeforeYield } from "effect/Scheduler"
import * as Scope from "effect/Scope"
import type * as Flow from "../../Flow.ts"
import type { NodeMiddleware } from "../../Middleware.ts"
import * as Next from "../../Next.ts"
import * as Node from "../../Node.ts"
import type { OpenVisit } from "../../RunState.ts"
import type * as Tool from "../../Tool.ts"
import { Visit } from "../../Visit.ts"
import type * as Wait from "../../Wait.ts"
import { isOfAttempt } from "../visits.ts"
import * as Calls from "./calls.ts"
import * as Children from "./children.ts"
import * as Claims from "./claims.ts"
import * as Grace from "./grace.ts"
import * as Returned from "./returned.ts"
import * as Sleeps from "./sleeps.ts"
import * as Telling from "./telling.ts"
import { SeededRandom, VisitClock } from "./visitClock.ts"
import type { Sleeper } from "./visitClock.ts"
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
  /** What the effect is to be executed with; `undefined` if that is provided already, around it. */
  readonly context: Context.Context<never> | undefined
  /** To be run when the effect is done: its tool calls are over, and its scope is closed. */
  readonly close: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
  /** The first recorded call or wait that it has not asked for. */
  readonly unasked: () => Claims.Recorded | undefined
}

/** The handler as an effect that needs nothing. */
export const complete = ({ context, effect }: Prepared): Effect.Effect<Next.Next, unknown> =>
  context === undefined ? effect : Effect.setContext(effect, context)

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

/** The waits that this attempt came to. */
function* waitsOf(visit: OpenVisit, host: Host) {
  const { ended, waiting } = visit
  for (const id of Object.keys(ended)) if (isOfAttempt(visit, ended[id]!.seq)) yield [id, ended[id]!] as const
  for (const id of waiting) yield [id, host.openedAt(id)] as const
}

/** What a visit may do, as far as its handler has come to do it: most call no tool and wait for nothing. */
class Doing implements Children.Place, Sleeper {
  readonly branch: string
  readonly node: string
  readonly visit: number
  readonly attempt: number
  readonly openedAs: string | undefined
  readonly clock: VisitClock
  readonly scope = Scope.makeUnsafe()
  self: Fiber.Fiber<unknown, unknown> | undefined
  /** Fibers that live as long as the visit are known by its scope. */
  readonly isAlone = (asking: Fiber.Fiber<unknown, unknown>): boolean =>
    asking === this.self && this.scope.state._tag === "Empty" && !hasChildren(asking)
  private closed = false
  private claims: Claims.Claims | undefined
  private calls: Calls.Calls | undefined
  private waits: Waits.Waits | undefined
  private children: Children.Children | undefined
  private telling: Telling.Telling | undefined
  private sleeps: Sleeps.Sleep | undefined
  private readonly live: Clock.Clock
  readonly flow: Flow.Any
  private readonly host: () => Host
  private readonly attempted: Attempt

  constructor(live: Clock.Clock, flow: Flow.Any, host: () => Host, attempted: Attempt) {
    const { branch, visit } = attempted
    this.branch = branch
    this.node = visit.node
    this.visit = visit.visit
    this.attempt = visit.attempt
    this.openedAs = visit.openedAs
    const lastFailure = visit.failures[visit.failures.length - 1]
    // Another attempt begins when it was due, not when the one before it failed.
    this.clock = new VisitClock(live, Math.max(lastFailure?.time ?? visit.since.time, visit.due ?? 0), this)
    this.live = live
    this.flow = flow
    this.host = host
    this.attempted = attempted
  }

  fiber(): Fiber.Fiber<unknown, unknown> | undefined {
    return this.self
  }

  readonly isBusy = (): boolean => this.calls?.isBusy() === true

  isClosed(): boolean {
    return this.closed
  }

  call(tool: Tool.Any, given: unknown, options: Tool.CallOptions | undefined): Effect.Effect<any, any> {
    this.calls ??= Calls.make(this.host(), this.claiming(), this)
    if (this.closed) this.calls.close()
    return this.calls.call(tool, given, options)
  }

  wait(requests: ReadonlyArray<Wait.Request>): ReturnType<Waits.Waits["wait"]> {
    return this.waiting().wait(requests)
  }

  calling(calling: Wait.Calling): Children.Called {
    return this.starting().calling(calling)
  }

  start(of: Flow.Any, given: unknown, options: Flow.ChildOptions | undefined): Effect.Effect<any> {
    return this.starting().start(of, given, options)
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.closed) return this.live.sleep(duration)
      this.sleeps ??= Sleeps.make(this.host(), this.claiming(), this)
      return this.sleeps(duration)
    })
  }

  ahead(): number | undefined {
    return this.attempted.recovered && !this.closed ? this.claiming().unclaimed()?.time : undefined
  }

  tell<A>(use: (telling: Telling.Telling) => Effect.Effect<A>): Effect.Effect<A> {
    return Effect.suspend(() => {
      this.telling ??= Telling.make(this.host(), this.flow, this.branch, this.attempted.visit, this.live)
      if (this.closed) this.telling.closed = true
      return use(this.telling)
    })
  }

  close(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    this.closed = true
    this.calls?.close()
    const rest = this.scope.state._tag === "Empty" ? Effect.void : Scope.close(this.scope, exit)
    return this.telling === undefined ? rest : Effect.andThen(Telling.close(this.telling, exit), rest)
  }

  /** The first recorded call or wait that was not asked for. */
  unasked(): Claims.Recorded | undefined {
    return this.claiming().unclaimed()
  }

  private starting(): Children.Children {
    return (this.children ??= Children.make(this.host(), this.claiming(), this))
  }

  private waiting(): Waits.Waits {
    return (this.waits ??= Waits.make(this.host(), this.claiming(), this))
  }

  private claiming(): Claims.Claims {
    const host = this.host()
    return (this.claims ??= Claims.make({
      host,
      node: this.node,
      visit: this.visit,
      recovered: this.attempted.recovered,
      began: this.clock.now,
      clock: this.live,
      open: host.open,
      waits: () => waitsOf(host.open(), host),
      isAlone: this.isAlone
    }))
  }
}

/**
 * After so many operations a fiber of a handler lets others go on that could. Which ones have done what by then decides
 * races, and a few operations more or less, as when a result is served and not waited for, are not to decide them
 * otherwise: few handlers do as much between two calls.
 */
const operations = 2 ** 20

const unhurried = new WeakMap<Context.Context<any>, Context.Context<any>>()

/** Made once for all visits: fibers remember what they looked up in it. */
const unhurriedOf = (context: Context.Context<any>): Context.Context<any> => {
  let made = unhurried.get(context)
  if (made === undefined) {
    made = Context.add(context, MaxOpsBeforeYield, operations)
    unhurried.set(context, made)
  }
  return made
}

type VisitService = Visit["Service"]

/**
 * The visit as its handler and the functions that it uses see it. What it does may be taken out of it; most visits do
 * nothing of it, and pay for nothing.
 */
class VisitOf implements VisitService {
  readonly run: string
  readonly flow: string
  readonly branch: string
  readonly node: string
  readonly visit: number
  readonly attempt: number
  readonly #doing: Doing

  constructor(run: string, flow: string, doing: Doing) {
    this.run = run
    this.flow = flow
    this.branch = doing.branch
    this.node = doing.node
    this.visit = doing.visit
    this.attempt = doing.attempt
    this.#doing = doing
  }

  get call(): VisitService["call"] {
    const doing = this.#doing
    return (tool, given, options) => doing.call(tool, given, options)
  }

  get wait(): VisitService["wait"] {
    const doing = this.#doing
    return (requests) => doing.wait(requests)
  }

  get start(): VisitService["start"] {
    const doing = this.#doing
    return (of, given, options) => doing.start(of, given, options)
  }

  get tell(): VisitService["tell"] {
    const doing = this.#doing
    return (use) => doing.tell(use)
  }
}

/** Inside a visit time passes as it is recorded and slept, chance is repeatable, tools are durable, and resources last as long as the visit. */
export const prepare = (
  { clock, nodeMiddlewares, traced }: Surroundings,
  { context, flow, handlers }: Flow.HandlersService,
  run: string,
  given: () => Host,
  attempted: Attempt
): Prepared => {
  const { branch, timeout, visit } = attempted
  let left = false
  const host = timeout === undefined ? given : until(() => left, visit, given)
  const { attempt, node } = visit
  const handler = handlers[node]!
  const doing = new Doing(clock, flow, host, attempted)
  // What middleware adds to the context, and the spans around the handler, are to reach it: then the rest of the context
  // is provided around them. Otherwise it is executed with all of it, since merging contexts would cost more than the rest
  // of this.
  const plain = !traced && nodeMiddlewares.length === 0
  const base = unhurriedOf(context)
  const inVisit = Context.add(plain ? base : Context.empty(), Visit, new VisitOf(run, flow.id, doing))
  const inTime = Context.add(inVisit, Clock.Clock, doing.clock)
  const seeded = Context.add(inTime, Random.Random, new SeededRandom(run, branch, visit))
  const own = Context.add(seeded, Scope.Scope, doing.scope) as Context.Context<never>
  let effect: Effect.Effect<Next.Next, unknown> = Effect.withFiber((self) => {
    doing.self = self
    return Returned.effectOf(
      handler(contextOf(attempted)),
      () => `the handler of node ${JSON.stringify(node)} of flow ${JSON.stringify(flow.id)}`
    )
  })
  if (!plain) {
    effect = Effect.provideContext(effect, own)
    const info = { run, flow: flow.id, branch, node, visit: visit.visit, attempt }
    for (let i = nodeMiddlewares.length - 1; i >= 0; i--) {
      const inner = effect
      effect = Effect.suspend(() =>
        Returned.effectOf(nodeMiddlewares[i]!(inner, info), () => "a node middleware")
      )
    }
  }
  if (timeout !== undefined) {
    const millis = Duration.toMillis(timeout)
    const over = Effect.die(new Node.NodeTimeout({ node, millis }))
    // The visit's own clock would go on by that.
    effect = Grace.limited(given().limits, effect, Effect.andThen(clock.sleep(timeout), over), {
      place: { run, branch, node, visit: visit.visit },
      what: "an attempt",
      onLeft: () => (left = true)
    })
  }
  if (traced) {
    effect = Effect.withSpan(effect, `node ${node}`, {
      attributes: { "waymark.run": run, "waymark.node": node, "waymark.visit": visit.visit }
    })
  }
  const close = (exit: Exit.Exit<unknown, unknown>) => doing.close(exit)
  const unasked = () => doing.unasked()
  return plain
    ? { effect, context: own, close, unasked }
    : { effect: Effect.provideContext(effect, base), context: undefined, close, unasked }
}

/** A host that does nothing any more for an attempt that was left behind. */
const until = (isLeft: () => boolean, visit: OpenVisit, given: () => Host): (() => Host) => {
  let made: Host | undefined
  return () => (made ??= limitedHost(isLeft, visit, given()))
}

const limitedHost = (isLeft: () => boolean, visit: OpenVisit, host: Host): Host => {
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
    park: (others) => orRefuse(() => host.park(others)),
    halted: () => isLeft() || host.halted()
  }
}

/** Whether a fiber has forked others that still run; `true` if that cannot be told. */
const hasChildren = (fiber: object): boolean =>
  !("children" in fiber) || typeof fiber.children !== "function" || fiber.children().size > 0
