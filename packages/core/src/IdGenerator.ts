/**
 * Where the ids of runs and commands come from if nobody names them.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

/**
 * Makes ids that are unique in a store.
 *
 * @category models
 * @since 0.1.0
 */
export interface IdGenerator {
  readonly next: Effect.Effect<string>
}

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

const encode = (value: number, length: number): string => {
  let text = ""
  for (let i = 0; i < length; i++) {
    text = alphabet[value % 32]! + text
    value = Math.floor(value / 32)
  }
  return text
}

/**
 * The generator in use. By default ids are 26 characters that sort by the millisecond they were made in, with 80 random
 * bits; they follow the Clock and Random services, so a test that controls these controls the ids.
 *
 * @category services
 * @since 0.1.0
 */
export const IdGenerator: Context.Reference<IdGenerator> = Context.Reference<IdGenerator>(
  "@waymark/core/IdGenerator",
  {
    defaultValue: () => ({
      next: Effect.withFiber((fiber) => {
        const random = fiber.getRef(Random.Random)
        let id = encode(fiber.getRef(Clock.Clock).currentTimeMillisUnsafe(), 10)
        for (let i = 0; i < 4; i++) id += encode(Math.floor(random.nextDoubleUnsafe() * (2 ** 20 + 1)), 4)
        return Effect.succeed(id)
      })
    })
  }
)
