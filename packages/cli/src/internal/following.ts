/**
 * Waiting for a run until there is nothing to wait for: it has ended, or somebody has to do something.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { RunInfo } from "@waymark/core/RunInfo"
import { isTerminal } from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import type * as RunState from "@waymark/core/RunState"
import * as Worker from "@waymark/core/Worker"
import { ExitCode } from "../ExitCode.ts"
import { EndWith } from "./failures.ts"
import { Output } from "./output.ts"
import * as RunText from "./runText.ts"
import * as Text from "./text.ts"
import * as Watching from "./watching.ts"

/** Whether a run will not go on by itself, as far as it knows: other runs that it waits for may. */
const isQuiet = ({ status, waits }: RunInfo): boolean =>
  isTerminal(status) ||
  status === "paused" ||
  (status === "waiting" && waits.every(({ type }) => type !== "until"))

/** The first row after a position. */
const after = (run: string, seq: number) =>
  Runs.progress(run).pipe(
    Stream.filter((row) => row.seq > seq),
    Stream.runHead,
    Effect.map(Option.getOrUndefined)
  )

/** The row of a run when it has ended, is paused, or waits for somebody; `see` is given each row on the way. */
export const settled = (
  run: string,
  see: (info: RunInfo) => Effect.Effect<void> = () => Effect.void
): Effect.Effect<RunInfo, Effect.Error<ReturnType<typeof after>>, Runs.Runs> =>
  Effect.gen(function* () {
    while (true) {
      const last = yield* Runs.progress(run).pipe(Stream.tap(see), Stream.takeUntil(isQuiet), Stream.runLast)
      const info = Option.getOrUndefined(last)
      if (info === undefined) continue
      const [child] = info.waits.filter(({ type }) => type === "run")
      if (info.status !== "waiting" || child?.name === undefined) return info
      // It goes on when the other one ends; that one may wait for somebody.
      const other = yield* Effect.raceFirst(settled(child.name), Effect.as(after(run, info.seq), undefined))
      if (other === undefined) continue
      if (!isTerminal(other.status)) return info
      yield* after(run, info.seq)
    }
  })

/** What came of a run that was waited for. */
export interface Outcome {
  readonly run: string
  readonly status: RunInfo["status"]
  readonly output?: unknown
  readonly error?: unknown
  readonly reason?: string
  readonly pause?: unknown
  readonly waits?: ReadonlyArray<RunText.OpenWait>
}

export const outcomeOf = (
  { ending, pause, run, status }: RunState.RunState,
  waits: ReadonlyArray<RunText.OpenWait>
): Outcome => ({
  run,
  status,
  ...(ending?.status === "completed" ? { output: ending.output } : undefined),
  ...(ending?.status === "failed" ? { error: ending.error } : undefined),
  ...(ending?.status === "cancelled" ? { reason: ending.reason } : undefined),
  ...(pause === undefined ? undefined : { pause }),
  ...(waits.length === 0 ? undefined : { waits })
})

export const codeOf = (status: RunInfo["status"]): ExitCode => {
  if (status === "completed") return ExitCode.success
  if (status === "failed") return ExitCode.failed
  return status === "cancelled" ? ExitCode.cancelled : ExitCode.resting
}

/** Asks the worker of this process, if there is one, to execute a run. */
export const takeUp = Effect.fnUntraced(function* (run: string) {
  const worker = yield* Effect.serviceOption(Worker.Worker)
  if (Option.isSome(worker)) yield* worker.value.takeUp(run)
})

/** Executes a run, waits for it and says what came of it; the exit code says it, too. */
export const conclude = Effect.fnUntraced(function* (run: string) {
  yield* takeUp(run)
  const output = yield* Output
  const runs = yield* Runs.Runs
  yield* Watching.watch(run, (see) => settled(run, see))
  const state = yield* runs.stateAt(run)
  const waits = RunText.waitsOf(state)
  const outcome = outcomeOf(state, waits)
  const inDoubt = yield* Runs.callsInDoubt(run)
  const rest = yield* RunText.restText(state, waits, inDoubt, yield* RunText.now)
  yield* output.document(outcome, () => {
    const { paint } = output
    const { ending } = state
    const head = `${RunText.statusOf(state, paint)} ${paint("gray", Text.inline(run, 80))}`
    if (ending?.status === "completed")
      return ending.output === null ? [head] : [head, Text.block(ending.output)]
    if (ending?.status === "failed")
      return [head, RunText.failureOf(ending.error), `  waymark show ${Text.inline(run)}`, ...rest]
    if (ending?.status === "cancelled") return [head, Text.clean(ending.reason, true)]
    return [head, ...rest]
  })
  const code = codeOf(state.status)
  if (code !== ExitCode.success) return yield* new EndWith({ code })
})
