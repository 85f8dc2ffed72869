/**
 * The spans of runs.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"
import type { Environment } from "./environment.ts"
import type { Writer } from "./writer.ts"

export const nameOf = (flow: string): string => `run ${flow}`

export const attributesOf = (run: string, flow: string, epoch: number) => ({
  "waymark.run": run,
  "waymark.flow": flow,
  "waymark.epoch": epoch
})

/** The span of a new run, under the one that it is started in. */
export const start = (
  { context }: Pick<Environment, "context">,
  run: string,
  flow: string
): Effect.Effect<Tracer.Span> =>
  Effect.makeSpan(nameOf(flow), { attributes: attributesOf(run, flow, 0) }).pipe(
    Effect.provideService(Tracer.Tracer, Context.get(context, Tracer.Tracer))
  )

/** An execution in a span: the run's own, or one that is linked to that of the execution before it. */
export const around = <A>(
  { clock, traced }: Pick<Environment, "clock" | "traced">,
  { lease, state: { flow, run, trace } }: Writer,
  span: Tracer.Span | undefined,
  effect: Effect.Effect<A>
): Effect.Effect<A> => {
  if (!traced) return effect
  if (span !== undefined) {
    return Effect.onExit(Effect.withParentSpan(effect, span), (exit) =>
      Effect.sync(() => span.end(clock.currentTimeNanosUnsafe(), exit))
    )
  }
  const before = trace === undefined ? undefined : Tracer.externalSpan({ ...trace, sampled: true })
  return Effect.withSpan(effect, nameOf(flow), {
    attributes: attributesOf(run, flow, lease.epoch),
    root: true,
    ...(before === undefined ? undefined : { links: [{ span: before, attributes: {} }] })
  })
}
