/**
 * Executes runs that are there: one, or all of a store that have not ended, by the worker of this window.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { isTerminal } from "@waymark/core/RunInfo"
import type { RunInfo, RunStatus } from "@waymark/core/RunInfo"
import { Editor } from "../Editor.ts"
import { runOf, textField } from "../faces/Arguments.ts"
import { Cursor } from "../faces/Cursor.ts"
import { runChoices } from "../faces/RunChoices.ts"
import { statuses } from "../reading/Status.ts"
import { Stores } from "../reading/Stores.ts"
import { count, line } from "../reading/Text.ts"
import * as Choosing from "./Choosing.ts"
import { allListed, follow, isAtRest } from "./Following.ts"
import * as Obstacles from "./Obstacles.ts"
import { Workers } from "./Workers.ts"
import type { Running } from "./Workers.ts"

const unfinished = statuses.filter((status) => !isTerminal(status))

/** How many runs stand how, in words. */
const tally = (infos: ReadonlyArray<RunInfo>): string => {
  const counts = new Map<RunStatus, number>()
  for (const { status } of infos) counts.set(status, (counts.get(status) ?? 0) + 1)
  return [...counts].map(([status, number]) => `${number} ${status}`).join(", ")
}

/** So many runs are asked for at once. */
const atOnce = 16

const make = Effect.gen(function* () {
  const editor = yield* Editor
  const stores = yield* Stores
  const cursor = yield* Cursor
  const workers = yield* Workers

  const infoOf = (store: string, run: string) => stores.source(store)?.catalog.get(run)

  /** The run that a command is about: its argument's, the one that is looked at, or one that somebody chooses. */
  const chooseRun = (argument: unknown) =>
    Effect.suspend(() => {
      const at = runOf(argument) ?? cursor.current()
      const info = at === undefined ? undefined : infoOf(at.store, at.run)
      // One that has ended is executed only by who says so: it may just have been asked to go on.
      if (at !== undefined && (runOf(argument) !== undefined || info?.endedAt === undefined))
        return Effect.succeed({ store: at.store, run: at.run })
      const choices = runChoices(stores, { statuses: unfinished })
      if (choices.length > 0)
        return editor.pick("Execute which run?", choices, "Type a part of its id, flow or status")
      return Effect.as(Effect.forkDetach(editor.inform("There is no run that has not ended.")), undefined)
    })

  yield* editor.command("waymark.execute", (argument) =>
    Obstacles.inTrust(
      editor,
      "The run cannot be executed here",
      Effect.gen(function* () {
        const ref = yield* chooseRun(argument)
        if (ref === undefined) return
        const info = infoOf(ref.store, ref.run)
        const name = line(ref.run, 80)
        const prospect = yield* workers.prospect(ref.store)
        if (prospect._tag === "None") {
          yield* Obstacles.tell(editor, `Run ${name} cannot be executed here`, prospect.problem)
          return
        }
        const { label, node } = prospect.project
        const yes = yield* editor.confirm(
          `Execute run ${name} here?`,
          `The worker of ${label} takes it up, with ${node}, unless another process has it; and the runs that it starts. Its tools are called for real. Other runs are left alone.`,
          "Execute"
        )
        if (!yes) return
        yield* workers.use(ref.store, ({ client }) =>
          Effect.andThen(
            client.orDied(client.requests.takeUp({ run: ref.run })),
            follow(editor, stores, workers, ref, info?.status === "failed" ? info.seq : -1)
          )
        )
      })
    )
  )

  /** The rows of runs of a store, now and whenever something happens in it. */
  const rowsOf = (store: string, runs: ReadonlyArray<string>) =>
    stores.changes.pipe(
      Stream.filter((change) => change.store === store),
      Stream.merge(Stream.fromSchedule(Schedule.spaced("500 millis"))),
      Stream.map(() => runs.flatMap((run) => infoOf(store, run) ?? []))
    )
  const until = (
    store: string,
    runs: ReadonlyArray<string>,
    isOver: (info: RunInfo) => boolean,
    told: (infos: ReadonlyArray<RunInfo>) => Effect.Effect<void> = () => Effect.void
  ) =>
    rowsOf(store, runs).pipe(
      Stream.tap(told),
      Stream.takeUntil((infos) => infos.every(isOver)),
      Stream.runLast
    )

  const executeAll = (store: string, label: string, { client, project }: Running) =>
    Effect.gen(function* () {
      yield* allListed(stores, store)
      const open = stores
        .source(store)!
        .catalog.newest(Number.POSITIVE_INFINITY, { statuses: unfinished }, false)
      const flows = new Set(client.welcome.flows.map(({ id }) => id))
      const mine = open.filter(({ flow }) => flows.has(flow))
      const others = open.length - mine.length
      const left = [...new Set(open.flatMap(({ flow }) => (flows.has(flow) ? [] : [flow])))]
      const without =
        others === 0
          ? ""
          : `${count(others, "run")} of flows that ${project.label} does not have (${line(left.join(", "), 200)}) ${others === 1 ? "is" : "are"} left alone.`
      if (mine.length === 0) {
        const none = `No run of ${label} that has not ended can be executed here. ${without}`
        yield* Effect.forkDetach(editor.inform(none.trim()))
        return
      }
      const yes = yield* editor.confirm(
        `Execute ${mine.length === 1 ? "the unfinished run" : `all ${mine.length} unfinished runs`} of ${label} here?`,
        [
          `The worker of ${project.label} takes up those that no other process has, with ${project.node}. Their tools are called for real. What waits, goes on when that comes, as long as this worker is there.`,
          `How they stand: ${tally(mine)}. ${without}`.trim()
        ].join("\n\n"),
        "Execute All"
      )
      if (!yes) return
      const runs = mine.map(({ run }) => run)
      const refused: Array<string> = []
      const takeUp = (run: string) =>
        Effect.catchTag(client.orDied(client.requests.takeUp({ run })), "RequestFailed", ({ message }) =>
          Effect.sync(() => void refused.push(`${line(run, 60)}: ${message}`))
        )
      const isStill = (info: RunInfo) => isAtRest(info) || info.status === "waiting"
      const done = yield* editor.progress(`Executing ${count(runs.length, "run")}`, (report) =>
        Effect.andThen(
          Effect.forEach(runs, takeUp, { concurrency: atOnce, discard: true }),
          until(store, runs, isStill, (infos) => report(tally(infos)))
        )
      )
      // Why the worker dies is told where that is seen first.
      const keeping = workers.use(store, () => until(store, runs, isAtRest))
      yield* Effect.forkDetach(Effect.ignore(keeping), { startImmediately: true })
      const text =
        done === undefined
          ? `The runs of ${label} go on, executed by this window's worker.`
          : `Of ${count(runs.length, "run")} of ${label}: ${tally(done._tag === "Some" ? done.value : [])}.`
      const problems = refused.length === 0 ? "" : ` Not taken up: ${line(refused.join("; "), 500)}.`
      const say = refused.length === 0 ? editor.inform : editor.warn
      yield* Effect.forkDetach(say(text + problems))
    })

  yield* editor.command("waymark.executeAll", (argument) =>
    Obstacles.inTrust(
      editor,
      "The runs cannot be executed here",
      Effect.gen(function* () {
        const store = yield* Choosing.store(
          editor,
          stores,
          workers,
          "Execute all unfinished runs of",
          "No run can be executed here",
          textField(argument, "store")
        )
        if (store === undefined) return
        const label = stores.source(store)?.place.label ?? store
        yield* workers.use(store, (running) => executeAll(store, label, running))
      })
    )
  )
})

export const layer: Layer.Layer<never, never, Editor | Stores | Cursor | Workers> = Layer.effectDiscard(make)
