/**
 * What can be said to every command.
 */
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"

/** Output for programs. */
export const Json = GlobalFlag.Setting("json")({
  flag: Flag.Boolean("json").pipe(
    Flag.withDescription("Print JSON: one document, or one on each line where it says so"),
    Flag.withDefault(false)
  )
})

/** Which store to use instead of that of the configuration. */
export const StoreAt = GlobalFlag.Setting("store")({
  flag: Flag.String("store").pipe(
    Flag.withDescription(
      "A store's directory, or its .sqlite file; commands that only read need no configuration then"
    ),
    Flag.withMetavar("path"),
    Flag.optional
  )
})

/** Which configuration to use. */
export const ConfigAt = GlobalFlag.Setting("config")({
  flag: Flag.String("config").pipe(
    Flag.withDescription("The configuration, by default the nearest waymark.config.ts"),
    Flag.withMetavar("file"),
    Flag.optional
  )
})

export type Settings =
  | GlobalFlag.Setting.Identifier<"json">
  | GlobalFlag.Setting.Identifier<"store">
  | GlobalFlag.Setting.Identifier<"config">

export const all = [Json, StoreAt, ConfigAt] as const
