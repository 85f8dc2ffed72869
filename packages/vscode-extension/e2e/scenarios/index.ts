/** What a person does with the packaged extension, and sees. */
import type { Window } from "../harness/browser.ts"
import { answer } from "./answer.ts"
import { debugReplay } from "./debugReplay.ts"
import { failedRun } from "./failedRun.ts"
import { fork } from "./fork.ts"
import { forkFromElsewhere } from "./forkFromElsewhere.ts"
import { hostileContent } from "./hostileContent.ts"
import { longRun } from "./longRun.ts"
import { obstacles } from "./obstacles.ts"
import { panel } from "./panel.ts"
import { startAndReplay } from "./startAndReplay.ts"
import { steer } from "./steer.ts"
import { stepBack } from "./stepBack.ts"
import { untrusted } from "./untrusted.ts"

export interface Context extends Window {
  readonly workspace: string
  readonly say: (text: string) => void
}

export interface Scenario {
  readonly name: string
  /** Whether workspaces have to be trusted first, and are not. */
  readonly trust?: boolean
  readonly run: (context: Context) => Promise<void>
}

export const scenarios: ReadonlyArray<Scenario> = [
  { name: "open a folder with a failed run and find the cause", run: failedRun },
  { name: "step back from the failure", run: stepBack },
  { name: "move through the graph and the timeline", run: panel },
  { name: "answer a waiting run, and follow it while another process executes it", run: answer },
  { name: "fork with an edited state and see it complete", run: fork },
  { name: "fork from the panel and from the debugger", run: forkFromElsewhere },
  { name: "execute all runs, and say what an incomplete project lacks", run: obstacles },
  { name: "pause, resume, bookmark, signal, retry and cancel runs that nobody executes", run: steer },
  { name: "start a run, replay it and make a test of it", run: startAndReplay },
  { name: "debug a replay, and a fork, to a breakpoint in TypeScript", run: debugReplay },
  { name: "a run of 100,000 checkpoints", run: longRun },
  { name: "hostile content", run: hostileContent },
  { name: "an untrusted workspace", trust: true, run: untrusted }
]
