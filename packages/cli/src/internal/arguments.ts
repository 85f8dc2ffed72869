/**
 * Arguments and flags that several commands have.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import { BadInput } from "./failures.ts"

export const run = Argument.String("run").pipe(
  Argument.withDescription("The run's id, or the beginning of it")
)

export const position = (name: string) =>
  Argument.String(name).pipe(Argument.withDescription("A run, or `run@seq` for how it was after that event"))

export const branch = Flag.String("branch").pipe(
  Flag.withDescription("Only what happened in this branch; an empty text for the main line"),
  Flag.optional
)

export const actor = Flag.String("actor").pipe(
  Flag.withDescription("Who asks for it: stands in the run's journal"),
  Flag.optional
)

/** Where a run that is started belongs, and how it is found. */
export const belonging = {
  session: Flag.String("session").pipe(Flag.withDescription("The session that it belongs to"), Flag.optional),
  actor,
  tag: Flag.String("tag").pipe(
    Flag.withDescription("A tag to find it by; may be given several times"),
    Flag.atLeast(0)
  )
}

/** The same as it is asked for. */
export const belongingOf = (given: {
  readonly id: Option.Option<string>
  readonly session: Option.Option<string>
  readonly actor: Option.Option<string>
  readonly tag: ReadonlyArray<string>
}) => ({
  id: Option.getOrUndefined(given.id),
  session: Option.getOrUndefined(given.session),
  actor: Option.getOrUndefined(given.actor),
  tags: given.tag.length === 0 ? undefined : given.tag
})

export const limit = (most: number, description = "At most so many") =>
  Flag.Int("limit").pipe(
    Flag.filter(
      (n) => n >= 1,
      () => "a whole number from 1"
    ),
    Flag.withAlias("n"),
    Flag.withDescription(description),
    Flag.withDefault(most)
  )

/** A duration as Effect writes them: `10 seconds`. */
export const duration = (what: string, text: string): Effect.Effect<Duration.Duration, BadInput> => {
  const [, amount, unit = "s"] = /^(\d+)\s*(ms|s|m|h|d)?$/.exec(text) ?? []
  const units: { readonly [unit: string]: number } = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5 }
  const parsed =
    amount === undefined
      ? Duration.fromInput(text as Duration.Input)
      : Option.some(Duration.millis(Number(amount) * units[unit]!))
  return Option.isSome(parsed)
    ? Effect.succeed(parsed.value)
    : Effect.fail(
        new BadInput({ what, detail: `${JSON.stringify(text)} is no duration, as 30s or 5 minutes are` })
      )
}
