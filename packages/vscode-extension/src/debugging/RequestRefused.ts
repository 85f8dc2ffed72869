/** How the debugger says no. */
import * as Schema from "effect/Schema"

/** A request that cannot be met; the message is shown to the person. */
export class RequestRefused extends Schema.TaggedError<RequestRefused>()("RequestRefused", {
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}
