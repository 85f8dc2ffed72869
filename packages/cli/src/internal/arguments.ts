/**
 * Arguments and flags that several commands have.
 */
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"

export const run = Argument.String("run").pipe(Argument.withDescription("The run's id, or the beginning of it"))

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

export const limit = (most: number) =>
  Flag.Int("limit").pipe(Flag.withAlias("n"), Flag.withDescription("At most so many"), Flag.withDefault(most))
