/** What is to be seen at a checkpoint: scopes of variables, and values by their paths. */
import * as Effect from "effect/Effect"
import type { DebugProtocol } from "@vscode/debugprotocol"
import type { Event } from "@waymark/core/Event"
import { openVisits, stateOf } from "@waymark/core/RunState"
import { failureOf } from "../reading/Documents.ts"
import * as Journey from "./Journey.ts"
import type { Reader } from "./Journey.ts"
import { RequestRefused } from "./RequestRefused.ts"
import * as Values from "./Values.ts"

/** The scopes at an event: the state after it, what it changed, its failure, input and output, and itself. */
export const scopesOf = Effect.fnUntraced(function* (reader: Reader, values: Values.Values, event: Event) {
  const state = yield* reader.stateAt(event.seq)
  const found: Array<DebugProtocol.Scope> = []
  const add = (name: string, value: unknown, path: string, hint?: string) => {
    const reference = values.refer(value, path)
    if (reference === 0) return
    found.push({
      name,
      variablesReference: reference,
      expensive: false,
      ...(hint === undefined ? {} : { presentationHint: hint })
    })
  }
  add("State", stateOf(state), "state", "locals")
  add("Changes", Journey.changesOf(event), "changes")
  const failure = failureOf(event)
  if (failure !== undefined) add("Error", failure, "error")
  const output: { [name: string]: unknown } = {}
  if (event.kind === "completed") output["output"] = event.output
  if (event.kind === "visited") output["next"] = event.next
  if (event.kind === "visitFailed") output["outcome"] = event.outcome
  if (event.kind === "waitOpened") output["waits for"] = event.on
  if (event.kind === "waitEnded") output["outcome"] = event.outcome
  const visit = [...openVisits(state)].find(([branch]) => branch === Journey.branchOf(event))?.[1]
  const item = visit?.item
  add("Input", { input: state.input.value, ...(item === undefined ? {} : { item }) }, "input")
  add("Output", output, "output")
  const { prev: _, ...rest } = event
  add("Event", rest, "event")
  return { scopes: found }
})

/** What paths begin with; anything else is a channel. */
const rootsOf = Effect.fnUntraced(function* (reader: Reader, event: Event) {
  const state = yield* reader.stateAt(event.seq)
  const plain = stateOf(state)
  return {
    ...plain,
    state: plain,
    input: state.input.value,
    changes: Journey.changesOf(event) ?? {},
    event,
    error: failureOf(event)
  }
})

/** What stands at a path, as a variable. An expression that is no path is refused. */
export const lookUp = Effect.fnUntraced(function* (
  reader: Reader,
  values: Values.Values,
  event: Event,
  expression: string
) {
  const keys = Values.keysOf(expression)
  if (keys === undefined) {
    return yield* new RequestRefused({
      detail: "A history executes nothing: name a channel or a path, such as state.items[0]."
    })
  }
  const value = Values.lookUp(yield* rootsOf(reader, event), keys)
  if (value === undefined) return yield* new RequestRefused({ detail: `There is no ${expression} here.` })
  const {
    evaluateName: __,
    name: ___,
    value: result,
    ...variable
  } = values.describe(expression, value, expression)
  return { result, ...variable }
})
