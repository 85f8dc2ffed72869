/**
 * Questions that runs ask, and their answers in a terminal.
 */
import * as Effect from "effect/Effect"
import * as Prompt from "effect/cli/Prompt"
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import type { RunInfo } from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import { BadInput, UnknownName } from "./failures.ts"
import * as Given from "./given.ts"
import { like } from "./names.ts"
import * as RunText from "./runText.ts"
import * as Text from "./text.ts"

/** The question of this name, or the only one. */
export const choose = Effect.fnUntraced(function* (info: RunInfo, name: string | undefined) {
  const runs = yield* Runs.Runs
  const asked = RunText.waitsOf(yield* runs.stateAt(info.run)).filter(({ type }) => type === "user")
  const names = asked.map((wait) => wait.name ?? wait.wait)
  if (name !== undefined) {
    const found = asked.filter((wait) => wait.name === name || wait.wait === name)
    if (found.length === 1) return found[0]!
    if (found.length > 1) {
      const known = found.map(({ wait }) => wait).join(", ")
      return yield* new BadInput({
        what: "the question",
        detail: `several are called ${name}; name one as ${known}`
      })
    }
    return yield* new UnknownName({
      what: "open question",
      name,
      like: like(name, names),
      known: names,
      hint: `the run is ${info.status} and asks nothing`
    })
  }
  const [only, ...more] = asked
  if (only === undefined) {
    return yield* new BadInput({ what: "the question", detail: `the run is ${info.status} and asks nothing` })
  }
  if (more.length > 0)
    return yield* new BadInput({ what: "the question", detail: `name one of ${names.join(", ")}` })
  return only
})

/** Asks for an answer, in a terminal. */
export const ask = Effect.fnUntraced(function* (wait: RunText.OpenWait) {
  const { canPrompt } = yield* TerminalCapabilities
  if (!canPrompt) return yield* new BadInput({ what: "the answer", detail: "give it, as JSON or a text" })
  const message = Text.clean(typeof wait.prompt === "string" ? wait.prompt : (wait.name ?? "answer"))
  if (Array.isArray(wait.choices) && wait.choices.length > 0) {
    const choices = wait.choices.map((value: unknown) => ({ title: Text.inline(value, 80), value }))
    return yield* Prompt.run(Prompt.Select<unknown>({ message, choices }))
  }
  return yield* Given.value("the answer", yield* Prompt.run(Prompt.String({ message })))
})
