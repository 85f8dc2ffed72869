/**
 * Fakes whose replies come from the schemas of their tools: for tests of properties.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Tool from "@waymark/core/Tool"
import * as Given from "../given.ts"
import { seededRandom } from "../virtualTime.ts"
import type { Fake } from "./fake.ts"
import type { Reply, ReplyOf } from "./replies.ts"
import { fail, succeed } from "./replies.ts"

/**
 * - `seed`: another one gives other values; `""` by default
 * - `failures`: with which probability a try fails, with an error that fits the tool's schema for errors; 0 by default
 * - `size`: how big values may get, 10 by default: see `Arbitrary.SampleOptions`
 *
 * @category models
 * @since 0.1.0
 */
export interface GeneratedOptions {
  readonly seed?: string | number | undefined
  readonly failures?: number | undefined
  readonly size?: number | undefined
}

/** One value of a schema, or the reason why there is none. */
const sample = <S extends Schema.Constraint>(
  schema: S,
  seed: string,
  size: number
): Effect.Effect<S["Type"]> =>
  Arbitrary.sampleEffect(Arbitrary.schema(schema), { count: 1, seed, size }).pipe(
    Effect.map(([value]) => value),
    Effect.catch(({ discards }) =>
      Effect.die(new Error(`no value was found that fits the schema, after ${discards} that do not`))
    )
  )

/**
 * Replies to every try with a value that fits the tool's schema for outputs, or now and then with one that fits its schema
 * for errors. Which one follows from the seed, the idempotency key and the number of the try: a call that is repeated after
 * a crash gets what it got before.
 *
 * Try many seeds: `it.effect.prop("…", { seed: Schema.Int }, ({ seed }) => …)`. To have a failing example shrunk, generate
 * the replies themselves, by {@link arbitraryReplies}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const generated = <T extends Tool.Any>(tool: T, options: GeneratedOptions = {}): Fake<T["name"]> => {
  Given.refuse("FakeTools.generated", [
    ...Given.problemOf("tool", tool, Given.aTool),
    ...Given.problemsOf<GeneratedOptions>(options, {
      seed: Given.optional(Given.anyOf(Given.anyText, Given.kind("a number", Number.isFinite))),
      failures: Given.optional(Given.aShare),
      size: Given.optional(Given.aCount(0))
    })
  ])
  const { failures = 0, seed = "", size = 10 } = options
  return {
    tool,
    open: () => ({
      unused: () => 0,
      respond: (_input, { attempt, key }) => {
        const own = `${seed}/${tool.name}/${key}/${attempt}`
        const fails = failures > 0 && seededRandom(own).nextDoubleUnsafe() < failures
        return fails
          ? Effect.flatMap(sample(tool.error, own, size), Effect.fail)
          : sample(tool.output, own, size)
      }
    })
  }
}

/**
 * Lists of replies of a tool, for `it.effect.prop`: give them to {@link cycle}. A list that makes a property fail is shrunk.
 *
 * With `failures` errors are among them, which fit the tool's schema for errors.
 *
 * @category constructors
 * @since 0.1.0
 */
export const arbitraryReplies = <T extends Tool.Any>(
  tool: T,
  options: { readonly failures?: boolean | undefined; readonly maxLength?: number | undefined } = {}
): Arbitrary.Arbitrary<readonly [ReplyOf<T>, ...Array<ReplyOf<T>>]> => {
  Given.refuse("FakeTools.arbitraryReplies", [
    ...Given.problemOf("tool", tool, Given.aTool),
    ...Given.problemsOf<typeof options>(options, {
      failures: Given.optional(Given.aBoolean),
      maxLength: Given.optional(Given.aCount(1))
    })
  ])
  const Success = Schema.Struct({ _tag: Schema.Literal("Succeed"), value: tool.output })
  const Failure = Schema.Struct({ _tag: Schema.Literal("Fail"), value: tool.error })
  const one = Arbitrary.schema<Schema.Constraint>(
    options.failures === true ? Schema.Union([Success, Failure]) : Success
  )
  const reply = Arbitrary.map(one, (given): Reply<unknown, unknown> => {
    const { _tag, value } = given as { readonly _tag: "Succeed" | "Fail"; readonly value: unknown }
    return _tag === "Succeed" ? succeed(value) : fail(value)
  })
  return Arbitrary.array(reply, {
    minLength: 1,
    maxLength: options.maxLength ?? 8
  }) as Arbitrary.Arbitrary<any>
}
