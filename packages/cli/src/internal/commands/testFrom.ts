import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Arguments from "../arguments.ts"
import * as ConfigFile from "../configFile.ts"
import { BadInput } from "../failures.ts"
import { Output } from "../output.ts"
import * as Place from "../place.ts"
import { runNamed } from "../runNamed.ts"
import * as TestFrom from "../testFrom.ts"

export const testFrom = Command.make(
  "test-from",
  {
    run: Arguments.run,
    out: Flag.String("out").pipe(
      Flag.withAlias("o"),
      Flag.withDescription("Where the test is written, test/<run>.test.ts by default; - prints it"),
      Flag.withMetavar("file"),
      Flag.optional
    ),
    module: Flag.String("module").pipe(
      Flag.withAlias("m"),
      Flag.withDescription(
        "A file that exports the flow, its handlers or its tools; several times if there are several. By default, where the flows are defined"
      ),
      Flag.withMetavar("file"),
      Flag.atLeast(0)
    ),
    handlers: Flag.String("handlers").pipe(
      Flag.withDescription("The name of the exported layer with the handlers, if several may be meant"),
      Flag.atLeast(0)
    ),
    name: Flag.String("name").pipe(Flag.withDescription("The name of the test"), Flag.optional),
    force: Flag.Boolean("force").pipe(
      Flag.withDescription("Write over a file that is there"),
      Flag.withDefault(false)
    )
  },
  Effect.fn("test-from")(function* ({ force, handlers, module, name, out, run }) {
    const output = yield* Output
    const fs = yield* FileSystem.FileSystem
    const loaded = yield* Place.configured
    yield* Effect.gen(function* () {
      const info = yield* runNamed(run)
      const isPrinted = Option.getOrUndefined(out) === "-"
      const byDefault = Path.join(
        Path.dirname(loaded.file),
        "test",
        `${info.run.replaceAll(/[^\w.-]/g, "_")}.test.ts`
      )
      const file = Option.isSome(out) && !isPrinted ? ConfigFile.given(out.value) : byDefault
      if (!isPrinted && !force && (yield* fs.exists(file))) {
        return yield* new BadInput({
          what: file,
          detail: "it is there already: name another with --out, or use --force"
        })
      }
      const text = yield* TestFrom.textOf(loaded, info.run, file, {
        modules: module,
        ...(handlers.length === 0 ? undefined : { handlers }),
        ...(Option.isSome(name) ? { name: name.value } : undefined)
      })
      if (isPrinted) return yield* output.document({ run: info.run, text }, () => text.trimEnd())
      yield* fs.makeDirectory(Path.dirname(file), { recursive: true })
      yield* fs.writeFileString(file, text)
      yield* output.document({ run: info.run, file }, () => `${output.paint("green", "+")} ${file}`)
    }).pipe(Effect.provide(Place.reading))
  })
).pipe(
  Command.withShortDescription("Make a test of a run."),
  Command.withDescription(
    "Make a test of a run: fake tools answer as the tools did, what people did is done again, and the outcome has to be the same."
  ),
  Command.withExamples([
    { command: "waymark test-from ticket-42", description: "Writes test/ticket-42.test.ts" },
    {
      command: "waymark test-from ticket-42 -m src/flow.ts -m src/tools.ts -o -",
      description: "Prints it; what it imports is in two files"
    }
  ])
)
