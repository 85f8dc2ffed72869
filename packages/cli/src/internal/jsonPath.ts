/**
 * Parts of a state as they are named on a command line: `notes.0.text`.
 */
import * as Effect from "effect/Effect"
import type { Json } from "effect/Schema"
import { ExitCode } from "../ExitCode.ts"
import { EndWith } from "./failures.ts"

export type Path = readonly [channel: string, ...keys: ReadonlyArray<string | number>]

/** A path, whose whole numbers are indices; `\.` stands for a full stop within a key. */
export const parse = (text: string): Path => {
  const keys = text.split(/(?<!\\)\./).map((key) => key.replaceAll("\\.", "."))
  const [channel = "", ...rest] = keys
  return [channel, ...rest.map((key) => (/^\d+$/.test(key) ? Number(key) : key))]
}

/** What stands there, if anything does. */
export const get = (value: Json, path: Path): Json | undefined => {
  let at: Json | undefined = value
  for (const key of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, key)) return undefined
    at = (at as { readonly [key: string]: Json })[key]
  }
  return at
}

/** The command ends so where something is not as it should be. */
export const different: Effect.Effect<never, EndWith> = Effect.suspend(() =>
  Effect.fail(new EndWith({ code: ExitCode.different }))
)
