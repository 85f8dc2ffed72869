/**
 * Completion scripts for shells: commands, their flags, and the flags that every command has.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Command from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Settings from "./settings.ts"

type Descriptor = Completions.CommandDescriptor

/** What every command takes, as if it were a command's own. None of it is worth saying no to. */
const common = (): Descriptor["flags"] => {
  const flags = [...builtIns, ...Settings.all].map(({ flag }, i) => [String(i), flag] as const)
  const { flags: all } = Completions.fromCommand(Command.make("waymark", Object.fromEntries(flags)))
  return all.map((flag) => ({ ...flag, negation: false as const }))
}

const withCommon = (descriptor: Descriptor, flags: Descriptor["flags"]): Descriptor => ({
  ...descriptor,
  flags: [...descriptor.flags, ...flags],
  subcommands: descriptor.subcommands.map((subcommand) => withCommon(subcommand, flags))
})

/** That of the library leaves out the flags that every command has. */
const completions: typeof GlobalFlag.Completions = {
  ...GlobalFlag.Completions,
  run: Effect.fnUntraced(function* (shell, { command }) {
    if (Option.isNone(shell)) return
    const descriptor = withCommon(Completions.fromCommand(command), common())
    yield* Console.log(Completions.generate(command.name, shell.value, descriptor))
  })
}

/** The flags that the library brings. */
export const builtIns: ReadonlyArray<GlobalFlag.BuiltIn> = GlobalFlag.BuiltIns.map((flag) =>
  flag === GlobalFlag.Completions ? completions : flag
)
