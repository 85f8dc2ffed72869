import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Worker from "@waymark/core/Worker"
import * as ConfigFile from "../configFile.ts"
import { BadInput } from "../failures.ts"
import { Output } from "../output.ts"
import * as Place from "../place.ts"
import * as RunLines from "../runLines.ts"
import * as StandardOutput from "../standardOutput.ts"
import * as LastError from "../worker/lastError.ts"

export const worker = Command.make(
  "worker",
  {
    stdio: Flag.Boolean("stdio").pipe(
      Flag.withDescription("Take requests on standard input: for editors. Ends when that closes"),
      Flag.withDefault(false)
    ),
    socket: Flag.String("socket").pipe(
      Flag.withDescription("Take requests at a socket of this machine"),
      Flag.withMetavar("path"),
      Flag.optional
    ),
    asked: Flag.Boolean("asked").pipe(
      Flag.withDescription("Execute only runs that requests are about, and the runs that these start"),
      Flag.withDefault(false)
    )
  },
  Effect.fn("worker")(function* ({ asked, socket, stdio }) {
    if (stdio && Option.isSome(socket)) {
      return yield* new BadInput({ what: "--stdio and --socket", detail: "choose one" })
    }
    const path = Option.map(socket, ConfigFile.given)
    if (stdio || Option.isSome(path)) {
      StandardOutput.reserve()
      LastError.begin(Option.getOrUndefined(Option.map(path, LastError.fileBeside)))
    }
    const output = yield* Output
    const loaded = yield* Place.configured
    if (stdio || Option.isSome(path)) {
      const { serve } = yield* Effect.promise(() => import("../worker/serve.ts"))
      return yield* serve(loaded, Option.getOrUndefined(path), asked ? "asked" : "all")
    }
    if (asked) {
      return yield* new BadInput({ what: "--asked", detail: "it takes --stdio or --socket to ask for a run" })
    }
    // It is said who executes runs before it is said which.
    const introduced = yield* Latch.make(false)
    const tell = RunLines.tell(output)
    return yield* Effect.gen(function* () {
      const { owner } = yield* Worker.Worker
      const ids = loaded.config.flows.map(({ flow }) => flow.id)
      yield* output.line(
        { worker: owner, flows: ids },
        () => `executes ${ids.join(", ")}; Ctrl-C ends it in good order`
      )
      yield* introduced.open
      return yield* Effect.never
    }).pipe(Effect.provide(Place.working("all", (run, what) => introduced.whenOpen(tell(run, what)))))
  })
).pipe(
  Command.withShortDescription("Execute runs until it is stopped."),
  Command.withDescription(
    "Execute runs until it is stopped: those that are started and resumed, here and elsewhere, and those that others left. Says which it takes up and what becomes of them, a line for each; with --json a document on each line."
  ),
  Command.withExamples([
    { command: "waymark worker", description: "In a terminal, or as a service" },
    {
      command: "waymark worker --socket /run/user/1000/waymark.sock",
      description: "With requests from an editor or a program"
    }
  ])
)
