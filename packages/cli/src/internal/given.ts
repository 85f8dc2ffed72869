/**
 * JSON on a command line: in place, in a file (`@file`), or on standard input (`-`).
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as ConfigFile from "./configFile.ts"
import { BadInput } from "./failures.ts"

const parse = (what: string, text: string): Effect.Effect<unknown, BadInput> =>
  Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Json))(text).pipe(
    Effect.mapError(({ message }) => new BadInput({ what, detail: `it is not JSON: ${message}` }))
  )

/** What has to be JSON: other texts are taken as they are. */
const looksLikeJson = /^\s*(?:[[{"]|-?\d|(?:true|false|null)\s*$)/

/** The value that was meant: JSON, or a text. */
export const value = Effect.fnUntraced(function* (what: string, text: string) {
  if (text === "-") {
    const stdio = yield* Stdio.Stdio
    const read = yield* stdio.stdin.pipe(Stream.decodeText(), Stream.mkString)
    return yield* parse(what, read)
  }
  if (text.startsWith("@")) {
    const fs = yield* FileSystem.FileSystem
    const file = ConfigFile.given(text.slice(1))
    const read = yield* Effect.mapError(
      fs.readFileString(file),
      ({ message }) => new BadInput({ what, detail: `${file} cannot be read: ${message}` })
    )
    return yield* parse(`${what} in ${file}`, read)
  }
  return looksLikeJson.test(text) ? yield* parse(what, text) : text
})

/** `name=value`, several times. Nothing after the equals sign is `undefined`. */
export const named = Effect.fnUntraced(function* (what: string, texts: ReadonlyArray<string>) {
  const all: { [name: string]: unknown } = {}
  for (const text of texts) {
    const at = text.indexOf("=")
    if (at < 1) return yield* new BadInput({ what, detail: `${JSON.stringify(text)} is not name=value` })
    const name = text.slice(0, at)
    const rest = text.slice(at + 1)
    all[name] = rest === "" ? undefined : yield* value(`${what} ${name}`, rest)
  }
  return all
})
