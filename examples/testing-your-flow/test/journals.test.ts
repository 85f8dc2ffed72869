/** What was recorded once is done today, too: the lock for changes of the flow. */
import { ReplaySuite } from "@waymark/testing"
import { Refund, RefundHandlers } from "../src/refund.ts"

ReplaySuite.suite({
  folder: new URL("./journals", import.meta.url),
  flows: [Refund],
  handlers: RefundHandlers
})
