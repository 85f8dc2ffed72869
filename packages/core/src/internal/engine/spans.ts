/**
 * The spans of runs.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"
import type { Environment } from "./execution.ts"

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
