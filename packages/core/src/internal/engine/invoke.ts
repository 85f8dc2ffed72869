/**
 * One try of a call, or of undoing one: the tool's handler inside executor, middleware, timeout and span, in a scope of
 * its own.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import type { ToolMiddleware } from "../../Middleware.ts"
import * as Tool from "../../Tool.ts"
import type { Request, ToolExecutor } from "../../ToolExecutor.ts"
import * as Grace from "./grace.ts"
import { twoOf } from "../definition/site.ts"
import * as Heartbeat from "./heartbeat.ts"
import * as Returned from "./returned.ts"

export interface Surroundings {
  /** The context that tool handlers run in: not that of the visit, whose time stands still. */
  readonly context: Context.Context<never>
  readonly executor: ToolExecutor
  readonly middlewares: ReadonlyArray<ToolMiddleware>
  readonly traced: boolean
  /** What becomes of tries that take too long and do not stop. */
  readonly limits: Omit<Grace.Options, "context">
}

const missing = (name: string, what: string): Effect.Effect<never> =>
  Effect.die(new Error(`tool ${name} has no ${what}: provide the layer that ${name}.toLayer(...) makes`))

/** What the tool's layer gives for this request. */
const handlerFor = (
  { input, tool, undo }: Request,
  provided: Tool.HandlerService | undefined
): Effect.Effect<unknown, unknown, any> => {
  if (provided === undefined) return missing(tool.name, "handler")
  if (provided.tool !== tool) return Effect.die(new Error(twoOf("tool", tool.name, provided.tool, tool)))
  if (undo === undefined) {
    return Effect.suspend(() =>
      Returned.effectOf(provided.handler(input), () => `the handler of tool ${tool.name}`)
    )
  }
  const { compensate } = provided
  return compensate === undefined
    ? missing(tool.name, "`compensate` here")
    : Effect.suspend(() =>
        Returned.effectOf(
          compensate({ input, output: undo.output, key: undo.key }),
          () => `\`compensate\` of tool ${tool.name}`
        )
      )
}

/** `surrounding` is the context in which the tool's layer is looked for, and whose span the new one belongs to. */
export const invoke = (
  host: Surroundings,
  given: Request,
  surrounding: Context.Context<never>
): Effect.Effect<unknown, unknown> => {
  const { tool, undo } = given
  const heart =
    tool.heartbeat === undefined || undo !== undefined ? undefined : Heartbeat.make(tool.heartbeat, tool.name)
  const request =
    heart === undefined ? given : { ...given, invocation: { ...given.invocation, beat: heart.beat } }
  const { invocation } = request
  const provided = Context.getOrUndefined(surrounding, Tool.handlerKey(tool.name))
  const local = handlerFor(request, provided)
  const inContext = Effect.suspend(() => {
    const scope = Scope.makeUnsafe()
    const own = Context.add(Context.make(Tool.Invocation, invocation), Scope.Scope, scope)
    return local.pipe(
      Effect.provideContext(own as Context.Context<any>),
      Effect.onExit((exit) => Scope.close(scope, exit))
    )
  })
  const { compensate, execute } = host.executor
  const run = undo === undefined ? execute : (compensate ?? ((_request, undoing) => undoing))
  // What plugins throw is an outcome of the try.
  let effect = Effect.suspend(() =>
    Returned.effectOf(run(request, inContext), () => `the tool executor, asked for tool ${tool.name},`)
  )
  for (let i = host.middlewares.length - 1; i >= 0; i--) {
    const inner = effect
    effect = Effect.suspend(() =>
      Returned.effectOf(host.middlewares[i]!(inner, request), () => `a middleware of tool ${tool.name}`)
    )
  }
  const limited = (limit: Effect.Effect<never>) => {
    const { branch, node, run, visit } = invocation
    const place = { run, branch, node, visit, tool: tool.name }
    const what = undo === undefined ? "a tool call" : "what undoes a tool call"
    return Grace.limited(host.limits, effect, limit, { place, what })
  }
  if (heart !== undefined) effect = Effect.andThen(heart.beat, limited(heart.stalled))
  const timeout = undo === undefined ? tool.timeout : tool.compensate?.timeout
  if (timeout !== undefined) {
    const millis = Duration.toMillis(timeout)
    const over = Effect.die(new Tool.ToolTimeout({ tool: tool.name, millis }))
    effect = limited(Effect.andThen(Effect.sleep(timeout), over))
  }
  if (host.traced) {
    effect = Effect.withSpan(effect, `${undo === undefined ? "tool" : "undo"} ${tool.name}`, {
      attributes: {
        "waymark.run": invocation.run,
        "waymark.tool": tool.name,
        "waymark.attempt": invocation.attempt
      }
    })
  }
  // The visit's own Clock and Random are not for the outside world; only its span is.
  const context = provided === undefined ? host.context : Context.merge(host.context, provided.context)
  const span = host.traced ? Context.getOption(surrounding, Tracer.ParentSpan) : Option.none()
  return Effect.setContext(effect, Context.addOrOmit(context, Tracer.ParentSpan, span))
}
