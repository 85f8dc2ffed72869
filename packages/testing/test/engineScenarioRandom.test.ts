/** Everything at once, in one flow, in random disorder. */
import { describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { judge } from "./engineScenarioModel.ts"
import { play, scriptOf } from "./engineScenarioPlay.ts"
import type { Script } from "./engineScenarioPlay.ts"

const problemOf = (script: Script): Effect.Effect<string | undefined> =>
  Effect.map(
    Effect.exit(
      Effect.flatMap(play(script), (played) =>
        Effect.sync(() => {
          try {
            judge(played)
          } catch (error) {
            throw new Error(`${(error as Error).message}\n\n${played.timeline()}`, { cause: error })
          }
        })
      )
    ),
    (exit) => (Exit.isSuccess(exit) ? undefined : Cause.pretty(exit.cause).split("\n    at ")[0]!)
  )

/** What is left of a script when everything is taken away without which it fails, too. */
const shrink = Effect.fnUntraced(function* (script: Script) {
  let small = script
  const attempt = function* (smaller: Script) {
    if ((yield* problemOf(smaller)) === undefined) return false
    small = smaller
    return true
  }
  for (let size = script.actions.length; size >= 1; size = Math.floor(size / 2)) {
    for (let at = small.actions.length - size; at >= 0; at -= size) {
      const actions = small.actions.filter((_, index) => index < at || index >= at + size)
      yield* attempt({ ...small, actions })
    }
  }
  for (let at = small.late.length - 1; at >= 0; at--) {
    // What comes later stays where it is, if it can.
    yield* attempt({ ...small, late: small.late.slice(0, at) })
  }
  const { order } = small
  yield* attempt({ ...small, earlier: false })
  yield* attempt({ ...small, keepWaiting: 0 })
  yield* attempt({ ...small, order: { ...order, failures: 0 } })
  yield* attempt({ ...small, order: { ...small.order, pages: 1 } })
  yield* attempt({ ...small, order: { ...small.order, hangs: false } })
  return small
})

const described = ({ actions, late, ...script }: Script): string =>
  [
    JSON.stringify(script),
    ...actions.map((action) => `  ${JSON.stringify(action)}`),
    ...late.map((cut) => `  late ${JSON.stringify(cut)}`)
  ].join("\n")

const scripts = 1_000
const each = 100

describe("a random script of signals, answers, cancels, pauses, power cuts, and clocks that are set", () => {
  for (let first = 1; first <= scripts; first += each) {
    it.effect(
      `comes to what a simple model says (seeds ${first} to ${first + each - 1})`,
      () =>
        Effect.gen(function* () {
          for (let seed = first; seed < first + each; seed++) {
            const script = scriptOf(seed)
            if ((yield* problemOf(script)) === undefined) continue
            const small = yield* shrink(script)
            const problem = yield* problemOf(small)
            return yield* Effect.die(new Error(`seed ${seed}, shrunk to\n${described(small)}\n\n${problem}`))
          }
        }),
      600_000
    )
  }
})
