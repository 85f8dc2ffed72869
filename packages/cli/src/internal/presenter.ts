/**
 * What is said of the command line itself: help, the version, and what is wrong with the arguments.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as CliOutput from "effect/cli/CliOutput"
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import { ExitCode } from "../ExitCode.ts"

/** Wrong arguments are told with how the command is called, on standard error; the whole help is there for the asking. */
export const layer = (json: boolean) =>
  CliOutput.layerPresenter({
    present: Effect.fnUntraced(function* (event) {
      if (event._tag !== "InvalidInvocation") return yield* CliOutput.defaultPresenter.present(event)
      const { commandPath, errors, helpDoc } = event
      const message = errors.map((error) => error.message).join("; ")
      if (json) {
        const error = { tag: errors[0]?._tag ?? "ShowHelp", message, exitCode: ExitCode.usage }
        return yield* Console.error(JSON.stringify({ error }))
      }
      const { canColor } = yield* TerminalCapabilities
      yield* Console.error(CliOutput.defaultFormatter({ colors: canColor }).formatErrors(errors))
      yield* Console.error(`\nusage: ${helpDoc.usage}\nsee:   ${commandPath.join(" ")} --help`)
    })
  })
