/**
 * The command and its subcommands.
 */
import * as Command from "effect/cli/Command"
import { answer, cancel, pause, resume, retry, signal } from "./commands/act.ts"
import { doctor } from "./commands/doctor.ts"
import { events } from "./commands/events.ts"
import { fork } from "./commands/fork.ts"
import { graph } from "./commands/graph.ts"
import { history } from "./commands/history.ts"
import { check, replay } from "./commands/replay.ts"
import { init } from "./commands/init.ts"
import { run } from "./commands/run.ts"
import { runs } from "./commands/runs.ts"
import { show } from "./commands/show.ts"
import { blame, diff, state } from "./commands/state.ts"
import { testFrom } from "./commands/testFrom.ts"
import { verify } from "./commands/verify.ts"
import { worker } from "./commands/worker.ts"
import { Output } from "./output.ts"
import * as Settings from "./settings.ts"

export const root = Command.make("waymark").pipe(
  Command.withDescription("Look into runs of Waymark flows, steer them, and execute them."),
  Command.withSubcommands([
    { group: "Look", commands: [runs, show, history, state, diff, blame, events, graph, verify] },
    { group: "Steer", commands: [answer, signal, pause, resume, retry, cancel, fork] },
    { group: "Execute", commands: [run, worker, replay, check, testFrom] },
    { group: "Set up", commands: [init, doctor] }
  ]),
  Command.provide(Output.layer),
  Command.withGlobalFlags(Settings.all)
)
