/**
 * What waits take. A journal has their JSON Schemas; a worker that has executed the handler knows its schema, which may say
 * more than JSON Schema can.
 */
import * as Exit from "effect/Exit"
import type * as Schema from "effect/Schema"
import type { Json } from "effect/Schema"
import type { WaitTarget } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import type { OpenWait, RunState } from "../../RunState.ts"
import { makeCodec } from "../definition/codec.ts"
import { visitIn } from "../visits.ts"
import * as Failures from "./failure.ts"
import * as RecordedSchema from "./recordedSchema.ts"

/** Why a value does not end a wait; `undefined` if it does. */
export type Problem = (state: RunState, wait: OpenWait, value: Json) => string | undefined

/** The schemas that the handlers of a flow waited with last. */
const known = new WeakMap<Flow.Any, Map<string, Schema.Codec<any, any>>>()
/** Names may be made of anything. */
const limit = 1000

const keyOf = (node: string, on: WaitTarget): string =>
  JSON.stringify([node, on.type, "name" in on ? on.name : "id" in on ? on.id : ""])

export const learn = (
  flow: Flow.Any,
  node: string,
  on: WaitTarget,
  schema: Schema.Codec<any, any> | undefined
): void => {
  if (schema === undefined) return
  let schemas = known.get(flow)
  if (schemas === undefined) known.set(flow, (schemas = new Map()))
  if (schemas.size >= limit) schemas.clear()
  schemas.set(keyOf(node, on), schema)
}

/** By what the journal has alone. */
export const recorded: Problem = (_state, { schema }, value) => RecordedSchema.problemWith(schema, value)

export const problemFor =
  (flow: Flow.Any): Problem =>
  (state, wait, value) => {
    const problem = recorded(state, wait, value)
    if (problem !== undefined) return problem
    const node = visitIn(state, wait.branch)?.node
    const schema = node === undefined ? undefined : known.get(flow)?.get(keyOf(node, wait.on))
    // Another one says nothing about what this wait takes.
    if (schema === undefined || !RecordedSchema.isSame(wait.schema, RecordedSchema.record(schema)))
      return undefined
    const exit = makeCodec(schema).decode(value)
    return Exit.isSuccess(exit) ? undefined : Failures.problemOf(exit)
  }
