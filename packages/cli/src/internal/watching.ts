/**
 * What is seen of a run that goes on, on standard error: in a terminal one line that changes, else a line now and then.
 */
import * as CliOutput from "effect/cli/CliOutput"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { RunInfo } from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import * as RunState from "@waymark/core/RunState"
import { Output } from "./output.ts"
import * as RunText from "./runText.ts"
import * as StandardOutput from "./standardOutput.ts"
import * as Text from "./text.ts"

/** How often a line in a terminal is drawn anew, and how often a line is printed where there is none. */
const every = { terminal: "100 millis", plain: "1 second" } as const

/** What a run waits for that goes on by itself, as far as one line can hold it. */
const waitsText = ({ due, waits }: RunInfo, now: number | undefined): string => {
  const [wait, ...more] = waits
  if (wait === undefined) return ""
  const until =
    due === undefined || now === undefined || due <= now
      ? ""
      : `, due in ${Text.span(Math.ceil((due - now) / 1000) * 1000)}`
  const others = more.length === 0 ? "" : ` and ${more.length} more`
  return `, for ${wait.type === "until" ? "a time" : `${wait.type} ${Text.inline(wait.name ?? "", 30)}`}${others}${until}`
}

/** How it is with a run: its node, the attempt, its steps, what it told of itself, and what it waits for and until when. */
export const lineOf = (info: RunInfo, attempt: number, now?: number): string => {
  const { node, open, progress, steps } = info
  const where = node === undefined ? "" : `at ${Text.inline(node, 40)}, `
  const again = attempt > 1 ? `attempt ${attempt}, ` : ""
  const branches = open > 1 ? `, ${open} open` : ""
  const far =
    progress === undefined
      ? ""
      : `, ${progress.done}/${progress.total} ${Text.inline(progress.note ?? "", 40)}`.trimEnd()
  return `${where}${again}${Text.count(steps, "step")}${branches}${far}${waitsText(info, now)}`
}

/** The beginning of a text, as much as fits into so many columns. */
export const fit = (text: string, width: number): string => {
  if (CliOutput.displayWidth(text) <= width) return text
  let cut = ""
  for (const char of text) {
    if (CliOutput.displayWidth(cut + char) >= width) break
    cut += char
  }
  return `${cut}…`
}

/** The attempts of the open visits of a run, by branch, as they come. */
const attemptsOf = Effect.fnUntraced(function* (run: string) {
  const runs = yield* Runs.Runs
  const state = yield* runs.stateAt(run)
  const attempts = new Map<string, number>()
  for (const [branch, { attempt }] of RunState.openVisits(state)) attempts.set(branch, attempt)
  const follow = runs
    .events(run, { from: state.seq + 1, kinds: ["attemptFailed", "visited", "visitFailed", "branchFailed"] })
    .pipe(
      Stream.runForEach((event) =>
        Effect.sync(() => {
          const branch = event.branch ?? ""
          if (event.kind === "attemptFailed") attempts.set(branch, event.attempt + 1)
          else attempts.delete(branch)
        })
      )
    )
  return { attempts, follow }
})

/** Shows how it is with a run while something is done that sees its rows. */
export const watch = Effect.fnUntraced(function* <A, E, R>(
  run: string,
  doing: (see: (info: RunInfo) => Effect.Effect<void>) => Effect.Effect<A, E, R>
) {
  const output = yield* Output
  if (output.json) return yield* doing(() => Effect.void)
  const { attempts, follow } = yield* attemptsOf(run)
  const began = yield* RunText.now
  let seen: RunInfo | undefined
  let shown = ""
  const clear = () => {
    if (shown !== "") StandardOutput.writeError("\r\u001b[K")
    shown = ""
  }
  const draw = Effect.map(RunText.now, (now) => {
    if (seen === undefined) return
    const status = RunText.statusOf(seen, output.paint)
    const most = Math.max(1, ...attempts.values())
    const elapsed = Text.span(Math.floor((now - began) / 1000) * 1000)
    if (!output.canAnimate) {
      const line = lineOf(seen, most)
      if (line !== shown) StandardOutput.writeError(`${status} ${elapsed} ${line}\n`)
      shown = line
      return
    }
    const width = (process.stderr.columns ?? 80) - seen.status.length - 4
    const line = fit(`${elapsed} ${lineOf(seen, most, now)}`, width)
    if (line === shown) return
    StandardOutput.writeError(`\r\u001b[K${status} ${line}`)
    shown = line
  })
  const interval = output.canAnimate ? every.terminal : every.plain
  const drawing = Effect.forever(Effect.andThen(Effect.sleep(interval), draw))
  const restore = output.canAnimate ? StandardOutput.beforeOthers(clear) : () => {}
  yield* Effect.forkScoped(drawing)
  // Without it the line says less; what is wrong with the journal shows elsewhere.
  yield* Effect.forkScoped(Effect.ignore(follow))
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      restore()
      if (output.canAnimate) clear()
    })
  )
  return yield* doing((info) => Effect.sync(() => void (seen = info)))
}, Effect.scoped)
