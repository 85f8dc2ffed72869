/**
 * A terminal at which a script types, so that the demonstration and the tests answer by themselves.
 */
import { Effect, Layer, Option, Queue, Terminal } from "effect"
import type { Cause } from "effect"

/** For each prompt in turn, the names of the keys that are pressed; what is shown goes to `display`. */
export const layer = (
  prompts: ReadonlyArray<ReadonlyArray<string>>,
  display: (text: string) => Effect.Effect<void>
): Layer.Layer<Terminal.Terminal> =>
  Layer.sync(Terminal.Terminal, () => {
    let next = 0
    return Terminal.make({
      columns: Effect.succeed(100),
      rows: Effect.succeed(30),
      size: Effect.gen(function* () {
        const sizes = yield* Queue.unbounded<Terminal.Size, Cause.Done>()
        yield* Queue.offer(sizes, { columns: 100, rows: 30 })
        return sizes
      }),
      readInput: Effect.gen(function* () {
        const keys = yield* Queue.unbounded<Terminal.UserInput, Cause.Done>()
        for (const name of prompts[next++] ?? []) {
          yield* Queue.offer(keys, {
            input: Option.none(),
            key: { name, ctrl: false, meta: false, shift: false }
          })
        }
        return keys
      }),
      readLine: Effect.fail(new Terminal.QuitError({})),
      display
    })
  })
