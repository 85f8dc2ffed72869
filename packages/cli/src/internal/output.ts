/**
 * Where a command says what came of it.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stdio from "effect/Stdio"
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import { Json } from "./settings.ts"
import * as StandardOutput from "./standardOutput.ts"
import * as Text from "./text.ts"

/** The streams of the process; `reserve` keeps everything else off standard output. */
export const Streams = Context.Reference<{
  readonly out: (text: string) => void
  readonly error: (text: string) => void
  readonly reserve: () => void
}>("@waymark/cli/Streams", {
  defaultValue: () => ({
    out: StandardOutput.write,
    error: (text) => void process.stderr.write(text),
    reserve: StandardOutput.reserve
  })
})

/**
 * - `json`: whether programs read it; then nothing but JSON is printed on standard output
 * - `document`: the one document, or the text that says the same
 * - `line`: one of several documents, or the text that says the same
 * - `note`: for people only, on standard error
 * - `canAnimate`: whether a line that changes can be seen
 */
export class Output extends Context.Service<
  Output,
  {
    readonly json: boolean
    readonly paint: Text.Paint
    readonly canAnimate: boolean
    readonly document: (value: unknown, text: () => string | ReadonlyArray<string>) => Effect.Effect<void>
    readonly line: (value: unknown, text: () => string) => Effect.Effect<void>
    readonly note: (text: string) => Effect.Effect<void>
  }
>()("@waymark/cli/Output") {
  static readonly layer = Layer.effect(
    Output,
    Effect.gen(function* () {
      const json = yield* Json
      const { canAnimate, canColor } = yield* TerminalCapabilities
      const stdio = yield* Stdio.Stdio
      const errorsAreSeen = yield* stdio.stderrIsTerminal
      const streams = yield* Streams
      // For programs nothing but the documents is on standard output, whatever the code of flows prints.
      if (json) streams.reserve()
      const print = (text: string) => Effect.sync(() => streams.out(`${text}\n`))
      return Output.of({
        json,
        paint: Text.painting(canColor && !json),
        canAnimate: canAnimate && errorsAreSeen && !json,
        document: (value, text) => {
          if (json) return print(JSON.stringify(value, undefined, 2))
          const shown = text()
          return print(typeof shown === "string" ? shown : shown.join("\n"))
        },
        line: (value, text) => print(json ? JSON.stringify(value) : text()),
        note: (text) => (json ? Effect.void : Effect.sync(() => streams.error(`${text}\n`)))
      })
    })
  )
}
