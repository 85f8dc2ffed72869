/**
 * Why no test can be made of a run.
 */
import * as Schema from "effect/Schema"

/**
 * No test can be made of a run: it did something that a test cannot repeat, or what the test has to import is not there.
 *
 * @category errors
 * @since 0.1.0
 */
export class CannotGenerate extends Schema.TaggedError<CannotGenerate>()("CannotGenerate", {
  run: Schema.String,
  /** The position of the event that it is about, if it is about one. */
  seq: Schema.optionalKey(Schema.Int),
  detail: Schema.String
}) {
  override get message(): string {
    const where = this.seq === undefined ? "" : ` (event ${this.seq})`
    return `no test can be made of run ${JSON.stringify(this.run)}: ${this.detail}${where}`
  }
}
