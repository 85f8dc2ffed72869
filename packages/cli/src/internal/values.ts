/**
 * Values as they are given from outside, in their stored form, and what the schemas of a flow make of them.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Flow from "@waymark/core/Flow"
import { InvalidValue } from "@waymark/core/RunError"
import { UnknownName } from "./failures.ts"
import { like } from "./names.ts"

/** A value of a schema from its stored form: all that does not fit is told. */
const decode = (
  schema: Schema.Codec<any, any>,
  json: unknown,
  what: string
): Effect.Effect<any, InvalidValue> =>
  Schema.decodeUnknownEffect(Schema.toCodecJson(schema), { errors: "all", onExcessProperty: "error" })(
    json
  ).pipe(Effect.mapError(({ message }) => new InvalidValue({ what, detail: message })))

/** The input of a flow. */
export const input = (flow: Flow.Any, json: unknown): Effect.Effect<any, InvalidValue> =>
  decode(flow.input, json, `the input of flow ${JSON.stringify(flow.id)}`)

/** Edits of a run's state: the whole new content of some channels; `undefined` empties one. */
export const edits = Effect.fnUntraced(function* (
  flow: Flow.Any,
  given: { readonly [channel: string]: unknown }
) {
  const content: { [channel: string]: unknown } = {}
  const known = Object.keys(flow.state)
  for (const name of Object.keys(given)) {
    const channel = Object.hasOwn(flow.state, name) ? flow.state[name] : undefined
    if (channel === undefined) {
      return yield* new UnknownName({ what: "channel", name, like: like(name, known), known })
    }
    const { kind, schema } = channel
    const whole: Schema.Codec<any, any> =
      kind === "list"
        ? Schema.Array(schema)
        : kind === "record"
          ? Schema.Record(Schema.String, schema)
          : schema
    const json = given[name]
    content[name] =
      json === undefined ? undefined : yield* decode(whole, json, `channel ${JSON.stringify(name)}`)
  }
  return content
})
