/**
 * Fakes that take their time, and that fail now and then.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Tool from "@waymark/core/Tool"
import * as Given from "../given.ts"
import { seededRandom } from "../virtualTime.ts"
import { aFake } from "./fake.ts"
import type { Call, Fake, Respond } from "./fake.ts"
import type { ReplyOf } from "./replies.ts"
import { aReply, carryOut } from "./replies.ts"

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
): Fake<Name> => {
  Given.refuse("FakeTools.delayed", [
    ...Given.problemOf("fake", fake, aFake),
    ...Given.problemOf("delay", delay, Given.anyOf(Given.aDuration, Given.aFunction))
  ])
  return around(fake, (respond) => (input, call) => {
    const response = respond(input, call)
    if (!Effect.isEffect(response) && "unexpected" in response) return response
    const given = typeof delay === "function" ? delay(call) : delay
    Given.argument("FakeTools.delayed", "delay", given, Given.aDuration)
    const duration = Duration.fromInputUnsafe(given)
    return Effect.delay(Effect.isEffect(response) ? response : carryOut(response), duration)
  })
}

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

const ways = ["first", "every", "chance"] as const

const problemsOfPlan = (plan: object): ReadonlyArray<string> => {
  const problems = Given.problemsOf<{ readonly with: unknown; readonly seed?: string } & Record<Way, number>>(
    plan,
    {
      with: aReply,
      first: Given.optional(Given.aLimit(0)),
      every: Given.optional(Given.aCount(1)),
      chance: Given.optional(Given.aShare),
      seed: Given.optional(Given.anyText)
    }
  )
  const said = Given.isObject(plan) ? ways.filter((way) => plan[way] !== undefined) : ways.slice(0, 1)
  return said.length === 1
    ? problems
    : [...problems, `the plan must say one of ${ways.join(", ")}, and says ${said.join(" and ") || "none"}`]
}

type Way = (typeof ways)[number]
type PartialPlan = { readonly [W in Way]?: number }

/**
 * A fake of which some tries fail by a plan. These do not reach the fake that it goes around.
 *
 * @category plans
 * @since 0.1.0
 */
export const failing = <T extends Tool.Any>(
  tool: T,
  fake: Fake<T["name"]>,
  plan: FailurePlan<T>
): Fake<T["name"]> => {
  Given.refuse("FakeTools.failing", [
    ...Given.problemOf("tool", tool, Given.aTool),
    ...Given.problemOf("fake", fake, aFake),
    ...problemsOfPlan(plan)
  ])
  const { chance = 0, every, first, seed = "" }: { readonly seed?: string | undefined } & PartialPlan = plan
  return around(fake, (respond) => {
    let tries = 0
    const fails = ({ attempt, key }: Call): boolean => {
      tries += 1
      if (first !== undefined) return tries <= first
      if (every !== undefined) return tries % every === 0
      return seededRandom(`${seed}/${key}/${attempt}`).nextDoubleUnsafe() < chance
    }
    return (input, call) => (fails(call) ? plan.with : respond(input, call))
  })
}
