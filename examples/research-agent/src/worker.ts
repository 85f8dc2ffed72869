/**
 * One process that works on the question. With `--kill-in`, it kills itself inside a call: in a request to the model
 * (`model:2` is the second one of this process), or in a call of a tool (`read_section:1`).
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Runs, Worker } from "@waymark/core"
import { FsStore } from "@waymark/store-fs"
import { Effect, Layer, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Agent, ai } from "./agent.ts"
import * as ChatModel from "./chatModel.ts"
import { AgentHandlers } from "./handlers.ts"
import { Folders, ResearchTools } from "./library.ts"
import * as ScriptedModel from "./scriptedModel.ts"
import { Witness } from "./witness.ts"

/** From the call that is meant on none is finished any more, and a moment later the process kills itself. */
const killer = (at: string | undefined) => {
  const counts = new Map<string, number>()
  let dying = false
  return (of: "model" | "tool", name: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      const which = of === "model" ? "model" : name
      const count = (counts.get(which) ?? 0) + 1
      counts.set(which, count)
      if (dying) return Effect.never
      if (`${which}:${count}` !== at) return Effect.void
      dying = true
      return Effect.andThen(
        Effect.sleep("100 millis"),
        Effect.sync(() => {
          process.kill(process.pid, "SIGKILL")
        })
      )
    })
}

const work = Command.make(
  "worker",
  {
    run: Argument.String("run"),
    question: Argument.String("question"),
    directory: Flag.String("directory"),
    library: Flag.String("library"),
    reports: Flag.String("reports"),
    witness: Flag.String("witness"),
    killIn: Flag.String("kill-in").pipe(Flag.optional)
  },
  ({ directory, killIn, library, question, reports, run, witness }) =>
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      // The first process starts the run; the others join it.
      const started = yield* runs.start(Agent, { question }, { id: run, actor: "demo" })
      yield* runs.await(started)
    }).pipe(
      Effect.provide(
        Worker.layer({ flows: [Agent] }).pipe(
          Layer.provide(AgentHandlers),
          Layer.provide(ai.layer),
          // A real model, if there is a key for one in the environment.
          Layer.provide([ChatModel.layerOr(ScriptedModel.layer(Effect.sleep("50 millis"))), ResearchTools]),
          Layer.provide([
            Witness.layer(witness, killer(Option.getOrUndefined(killIn))),
            Layer.succeed(Folders, { library, reports }),
            FsStore.layer({ directory })
          ])
        )
      )
    )
)

Command.run(work, { version: "0.0.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
