/**
 * Fakes that take their time, and that fail now and then.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Tool from "@waymark/core/Tool"
import { seededRandom } from "../virtualTime.ts"
import type { Call, Fake, Respond } from "./fake.ts"
import type { ReplyOf } from "./replies.ts"
import { carryOut } from "./replies.ts"

/** A fake that looks at each try before, or instead of, the one that it goes around. */
const around = <Name extends string>(fake: Fake<Name>, open: (respond: Respond) => Respond): Fake<Name> => ({
  tool: fake.tool,
  open: () => {
    const opened = fake.open()
    return { ...opened, respond: open(opened.respond) }
  }
})

/**
 * A fake whose replies take so long, by the worker's clock: always the same, or by the try. Unexpected calls are told at
 * once.
 *
 * @category plans
 * @since 0.1.0
 */
export const delayed = <Name extends string>(
  fake: Fake<Name>,
  delay: Duration.Input | ((call: Call) => Duration.Input)
): Fake<Name> =>
  around(fake, (respond) => (input, call) => {
    const response = respond(input, call)
    if (!Effect.isEffect(response) && "unexpected" in response) return response
    const duration = Duration.fromInputUnsafe(typeof delay === "function" ? delay(call) : delay)
    return Effect.delay(Effect.isEffect(response) ? response : carryOut(response), duration)
  })

/**
 * Which tries of a tool fail, and what they get instead of a reply.
 *
 * - `with`: usually `fail(error)`, `die(defect)` or `hang`
 * - `first`: so many tries, from the first one on
 * - `every`: the second, fourth and so on for 2; the third, sixth and so on for 3
 * - `chance`: each one with this probability, from 0 to 1; which ones follows from `seed`, the idempotency key and the number of
 *   the try, so it is the same every time
 *
 * @category models
 * @since 0.1.0
 */
export type FailurePlan<T extends Tool.Any> = { readonly with: ReplyOf<T> } & (
  | { readonly first: number }
  | { readonly every: number }
  | { readonly chance: number; readonly seed?: string | undefined }
)

/**
 * A fake of which some tries fail by a plan. These do not reach the fake that it goes around.
 *
 * @category plans
 * @since 0.1.0
 */
export const failing = <T extends Tool.Any>(
  _tool: T,
  fake: Fake<T["name"]>,
  plan: FailurePlan<T>
): Fake<T["name"]> =>
  around(fake, (respond) => {
    let tries = 0
    const fails = ({ attempt, key }: Call): boolean => {
      tries += 1
      if ("first" in plan) return tries <= plan.first
      if ("every" in plan) return tries % plan.every === 0
      return seededRandom(`${plan.seed ?? ""}/${key}/${attempt}`).nextDoubleUnsafe() < plan.chance
    }
    return (input, call) => (fails(call) ? plan.with : respond(input, call))
  })
