/**
 * Whether what a command brings fits the flow and its tools: only whoever executes a run knows these.
 */
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { Json } from "effect/Schema"
import type * as Schema from "effect/Schema"
import type { Settlement } from "../../Command.ts"
import type * as Flow from "../../Flow.ts"
import type { RunState } from "../../RunState.ts"
import * as Tool from "../../Tool.ts"
import { makeCodec } from "../definition/codec.ts"
import { get } from "../record.ts"
import { visitsOf } from "../visits.ts"
import type { Opened } from "./commands.ts"
import * as Failures from "./failure.ts"

/** What is wrong with a value that has to fit a schema. */
const misfit = (schema: Schema.Codec<any, any>, value: Json): string | undefined => {
  const exit = makeCodec(schema).decode(value)
  return Exit.isSuccess(exit) ? undefined : Failures.problemOf(exit)
}

const toolOf = (service: Flow.HandlersService, state: RunState, id: string): Tool.Any | undefined => {
  for (const [, { calls }] of visitsOf(state)) {
    const call = Option.getOrUndefined(HashMap.get(calls, id))
    if (call !== undefined) {
      const context: Context.Context<never> = service.context
      return Context.getOrUndefined(context, Tool.handlerKey(call.tool))?.tool
    }
  }
  return undefined
}

/** A call that somebody says succeeded has an output that its tool could have given. */
const problemOf = (
  service: Flow.HandlersService,
  state: RunState,
  id: string,
  as: Settlement
): string | undefined => {
  if (!("output" in as)) return undefined
  const tool = toolOf(service, state, id)
  if (tool === undefined) return undefined
  const detail = misfit(tool.output, as.output)
  return detail === undefined ? undefined : `that is no output of tool ${tool.name}: ${detail}`
}

const misfitOf = (
  service: Flow.HandlersService,
  state: RunState,
  { command }: Opened
): string | undefined => {
  const { request } = command
  switch (request.type) {
    case "signal": {
      const schema = get(service.flow.signals, request.name)
      const detail = schema === undefined ? undefined : misfit(schema, request.payload)
      return detail === undefined
        ? undefined
        : `its payload is not what flow ${service.flow.id} declares: ${detail}`
    }
    case "settle":
      return problemOf(service, state, request.call, request.as)
    case "retry":
      for (const [call, as] of Object.entries(request.settle ?? {})) {
        const problem = problemOf(service, state, call, as)
        if (problem !== undefined) return problem
      }
      return undefined
    default:
      return undefined
  }
}

/** The command, with its problem if what it brings does not fit. */
export const checked = (service: Flow.HandlersService, state: RunState, received: Opened): Opened => {
  if (received.problem !== undefined) return received
  const problem = misfitOf(service, state, received)
  return problem === undefined ? received : { ...received, problem: ["doesNotFit", problem] }
}
