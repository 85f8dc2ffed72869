/**
 * The process: reads the arguments, ends in good order, and says what went wrong.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as CliConfig from "effect/cli/CliConfig"
import * as Command from "effect/cli/Command"
import { ExitCode } from "../ExitCode.ts"
import * as Completions from "./completions.ts"
import { endingOf, type Told } from "./ending.ts"
import * as Presenter from "./presenter.ts"
import { root } from "./root.ts"
import * as StandardOutput from "./standardOutput.ts"
import * as Text from "./text.ts"
import { version } from "./version.ts"
import * as LastError from "./worker/lastError.ts"

const tell = (told: Told, json: boolean): void => {
  if (json) {
    process.stderr.write(`${JSON.stringify({ error: told })}\n`)
    return
  }
  const paint = Text.painting(process.stderr.isTTY && (process.env["NO_COLOR"] ?? "") === "")
  const what = told.stack === undefined ? Text.clean(told.message, true) : Text.clean(told.stack, true)
  process.stderr.write(`${paint("red", "error:")} ${what}\n`)
}

/** Executes the command line in this process, and ends it. */
export const main = (args: ReadonlyArray<string>): void => {
  StandardOutput.endWithReader()
  const isTerminated = { current: false }
  process.on("SIGTERM", () => (isTerminated.current = true))
  const json = args.includes("--json")
  const program = Command.runWith(root, { version })(args).pipe(
    Effect.provide(
      Layer.mergeAll(
        NodeServices.layer,
        Presenter.layer(json),
        Layer.succeed(References.LogToStderr, true),
        CliConfig.layer({ builtIns: Completions.builtIns })
      )
    )
  )
  NodeRuntime.runMain(program, {
    disableErrorReporting: true,
    teardown: (exit) => {
      let code: number = ExitCode.success
      if (Exit.isFailure(exit)) {
        const ending = endingOf(exit.cause)
        code =
          ending.code === ExitCode.interrupted && isTerminated.current ? ExitCode.terminated : ending.code
        if (ending.told !== undefined) {
          if (LastError.hasBegun()) LastError.leave(ending.told)
          else tell(ending.told, json)
        }
      }
      // The code of flows may have left something open, which is no reason to go on.
      StandardOutput.flushed(() => process.exit(code))
    }
  })
}
