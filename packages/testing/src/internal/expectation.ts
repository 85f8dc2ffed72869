/**
 * What does not hold that a test expected.
 */
import * as Schema from "effect/Schema"

/**
 * An expectation of a test does not hold; Vitest shows `expected` and `actual` side by side.
 *
 * @category errors
 * @since 0.1.0
 */
export class ExpectationFailed extends Schema.TaggedError<ExpectationFailed>()("ExpectationFailed", {
  detail: Schema.String,
  expected: Schema.Unknown,
  actual: Schema.Unknown
}) {
  override get message(): string {
    return this.detail
  }
}
