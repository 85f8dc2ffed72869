/**
 * How the values of a run are stored: in plain text unless a codec encrypts or compresses them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * A value could not be sealed or opened.
 *
 * @category errors
 * @since 0.1.0
 */
export class CodecError extends Schema.TaggedError<CodecError>()("CodecError", {
  /** The codec's name. */
  codec: Schema.String,
  operation: Schema.Literals(["encode", "decode"]),
  run: Schema.String,
  detail: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message(): string {
    return `codec ${this.codec} could not ${this.operation} a value of run ${JSON.stringify(this.run)}: ${this.detail}`
  }
}

/**
 * Seals and opens what the authors of flows put in journals: inputs, state, tool calls, outputs, errors. What the run
 * index needs (ids, kinds, statuses, names of nodes and tools, times) stays readable.
 *
 * - `encrypts`: whether what it stores cannot be read without a secret; flows with `Redacted` values need that
 * - `encode`, `decode`: inverse to each other, for one run
 *
 * @category models
 * @since 0.1.0
 */
export interface Codec {
  readonly name: string
  readonly encrypts: boolean
  readonly encode: (value: Schema.Json, run: string) => Effect.Effect<Schema.Json, CodecError>
  readonly decode: (value: Schema.Json, run: string) => Effect.Effect<Schema.Json, CodecError>
}

/**
 * The codec in use; none unless a layer provides one.
 *
 * @category services
 * @since 0.1.0
 */
export const Codec: Context.Reference<Codec | undefined> = Context.Reference<Codec | undefined>(
  "@waymark/core/Codec",
  { defaultValue: () => undefined }
)
