/**
 * Following a run that this window had started, until it comes to rest; then saying how.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { isTerminal } from "@waymark/core/RunInfo"
import type { RunInfo } from "@waymark/core/RunInfo"
import type { Editor } from "../Editor.ts"
import type { RunRef } from "../reading/Checkpoints.ts"
import { aboutRun } from "../reading/Status.ts"
import type { Stores } from "../reading/Stores.ts"
import { line } from "../reading/Text.ts"
import type { Workers } from "./Workers.ts"

/** What ends without anybody doing something: the time that a run waits for, runs that it waits for. */
const endsByItself = new Set(["until", "run"])

/** Whether nothing more happens to a run unless somebody does something. */
export const isAtRest = ({ status, waits }: RunInfo): boolean =>
  isTerminal(status) ||
  status === "paused" ||
  (status === "waiting" && waits.some(({ type }) => !endsByItself.has(type)))

/** Its row, now and after each change, until it is at rest. */
const rows = (stores: Pick<Stores["Service"], "changes" | "source">, { run, store }: RunRef) =>
  stores.changes.pipe(
    Stream.filter((changed) => changed.store === store && (changed.runs?.has(run) ?? true)),
    // What changed before anybody listened is looked for.
    Stream.merge(Stream.fromSchedule(Schedule.spaced("300 millis"))),
    Stream.map(() => stores.source(store)?.catalog.get(run)),
    Stream.filter((info) => info !== undefined)
  )

/** Whether somebody makes a run go on within a moment. */
export const hasMoved = (stores: Pick<Stores["Service"], "changes" | "source">, ref: RunRef, from: number) =>
  rows(stores, ref).pipe(
    Stream.filter(({ seq, status }) => seq > from && (status === "running" || isTerminal(status))),
    Stream.runHead,
    Effect.timeoutOption("2 seconds"),
    Effect.map((found) => found._tag === "Some")
  )

/** Waits until a run stands in the list of runs. */
export const listed = (stores: Pick<Stores["Service"], "changes" | "source">, ref: RunRef) =>
  Effect.asVoid(Effect.timeoutOption(Stream.runHead(rows(stores, ref)), "10 seconds"))

/** Waits until all runs of a store are listed. */
export const allListed = (stores: Pick<Stores["Service"], "source">, store: string) =>
  Stream.fromSchedule(Schedule.spaced("100 millis")).pipe(
    Stream.takeUntil(() => stores.source(store)?.loaded ?? true),
    Stream.runDrain
  )

const progressText = ({ node, seq, status }: RunInfo): string =>
  `${status}${node === undefined ? "" : ` at ${line(node, 60)}`}, position ${seq}`

/** Says how a run came to rest, with a way to look closer. */
export const tellRest = (editor: Editor["Service"], ref: RunRef, info: RunInfo) => {
  const name = line(ref.run, 60)
  const offers: { readonly [title: string]: string } =
    info.status === "failed"
      ? { "Show Why": "waymark.showError", "Graph & Timeline": "waymark.openRun" }
      : info.status === "completed"
        ? { "Show Output": "waymark.showOutput", "Graph & Timeline": "waymark.openRun" }
        : info.status === "waiting" && info.waits.some(({ type }) => type === "user")
          ? { Answer: "waymark.answer" }
          : info.status === "waiting" && info.waits.some(({ type }) => type === "event")
            ? { "Send a Signal": "waymark.signal" }
            : info.status === "paused"
              ? { Resume: "waymark.resume" }
              : {}
  const about = aboutRun(info)
  const text = about === info.status ? `${name}: ${about}` : `${name}: ${info.status}, ${line(about, 120)}`
  const tell = info.status === "failed" ? editor.warn : editor.inform
  return Effect.gen(function* () {
    const chosen = yield* tell(text, ...Object.keys(offers))
    const command = chosen === undefined ? undefined : offers[chosen]
    if (command !== undefined) yield* editor.execute(command, ref)
  })
}

/**
 * Follows a run that this window's worker executes until it is at rest after a position, and says how that is. Who stops
 * following does not stop the run, and is asked whether to; the worker is kept for it.
 */
export const follow = (
  editor: Editor["Service"],
  stores: Stores["Service"],
  workers: Workers["Service"],
  ref: RunRef,
  from = -1
) =>
  Effect.gen(function* () {
    const name = line(ref.run, 60)
    const untilRest = Stream.takeUntil<RunInfo>((info) => info.seq > from && isAtRest(info))
    const last = yield* editor.progress(`Run ${name}`, (report) =>
      rows(stores, ref).pipe(
        Stream.tap((info) => report(progressText(info))),
        untilRest,
        Stream.runLast
      )
    )
    if (last?._tag === "Some") {
      yield* Effect.forkDetach(tellRest(editor, ref, last.value))
      return
    }
    // Why the worker dies is told where that is seen first.
    const keeping = workers.use(ref.store, () => Stream.runDrain(untilRest(rows(stores, ref))))
    yield* Effect.forkDetach(Effect.ignore(keeping), { startImmediately: true })
    const asking = editor.inform(
      `Run ${name} goes on, executed by this window's worker.`,
      "Cancel the Run",
      "Pause the Run"
    )
    yield* Effect.forkDetach(
      Effect.flatMap(asking, (chosen) =>
        chosen === "Cancel the Run"
          ? editor.execute("waymark.cancel", ref)
          : chosen === "Pause the Run"
            ? editor.execute("waymark.pause", ref)
            : Effect.void
      )
    )
  })
