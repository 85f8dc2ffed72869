import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as ConfigFile from "../configFile.ts"
import * as Init from "../init.ts"
import { Output } from "../output.ts"

export const init = Command.make(
  "init",
  {
    folder: Argument.String("folder").pipe(
      Argument.withDescription("Where; here unless it is given. It is made if it is not there"),
      Argument.withDefault(".")
    )
  },
  Effect.fn("init")(function* ({ folder }) {
    const output = yield* Output
    const target = ConfigFile.given(folder)
    const files = yield* Init.write(target)
    yield* output.document({ folder: target, files }, () => {
      const here = ConfigFile.given(".")
      return [
        ...files.map((file) => `${output.paint("green", "+")} ${file}`),
        "",
        "next:",
        ...(target === here ? [] : [`  cd ${Path.relative(here, target)}`]),
        "  npm install",
        "  npm start          executes the flow in src/review.ts",
        "  npx waymark runs   lists what was executed",
        "  npm test           tests it, with a fake tool and in virtual time"
      ]
    })
  })
).pipe(
  Command.withShortDescription("Begin a project."),
  Command.withDescription(
    "Begin a project: a flow, its test, and a waymark.config.ts. Nothing that is there is overwritten."
  ),
  Command.withExamples([{ command: "waymark init my-flows", description: "In a new folder" }])
)
