/**
 * The compatibility lock of a team: a folder of journals that were recorded, replayed against the flows of today.
 *
 * A handler that would not do any more what it did is found before it is deployed, and so is a run under way that could not
 * go on. Record runs that matter, commit the files, and call `suite` in a test.
 *
 * ```ts
 * import * as Flow from "@waymark/core/Flow"
 * import * as Node from "@waymark/core/Node"
 * import * as ReplaySuite from "@waymark/testing/ReplaySuite"
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 *
 * const Greet = Flow.make("greet", { input: Schema.String, start: "greet", nodes: { greet: Node.make({ to: ["end"] }) } })
 * const GreetHandlers = Greet.toLayer({ greet: ({ next }) => Effect.succeed(next.end()) })
 *
 * // In a test file.
 * export const register = () =>
 *   ReplaySuite.suite({
 *     folder: new URL("./journals", import.meta.url),
 *     flows: [Greet],
 *     handlers: GreetHandlers
 *   })
 *
 * // In a script, with the store that has the run: writes journals/greet-1.jsonl.
 * export const keep = ReplaySuite.record("greet-1", { folder: "test/journals" })
 * ```
 *
 * It reads and writes files, so it is for Node.
 *
 * @since 0.1.0
 */
import { describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Codec } from "@waymark/core/Codec"
import type * as Flow from "@waymark/core/Flow"
import { isTerminal } from "@waymark/core/RunInfo"
import type { RunInfo } from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import { Store } from "@waymark/core/Store"
import type * as StoreModule from "@waymark/core/Store"
import type * as Tool from "@waymark/core/Tool"
import { differences } from "./internal/differences.ts"
import * as Folder from "./internal/folder.ts"
import * as Given from "./internal/given.ts"
import { rowsOf } from "./internal/rows.ts"
import { storyOf } from "./internal/story.ts"
import type { HandlersOf } from "./internal/workerProcess.ts"
import * as RecordedStore from "./RecordedStore.ts"

/**
 * Against what to replay.
 *
 * - `flows`, `handlers`: those of today. The handlers' tools need not be there: none is called
 * - `codec`: what the values in the journals are sealed by, if they are
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Flows extends ReadonlyArray<Flow.Any>, E> {
  readonly flows: Flows
  readonly handlers: Layer.Layer<HandlersOf<Flows>, E, Tool.Handler<any>>
  readonly codec?: Codec | undefined
}

/**
 * What was found out about a recorded run.
 *
 * - `same`: its chain is whole, its handlers do what they did, and if it had not ended, it can go on
 * - `diverges`: a handler does something else than it did
 * - `stuck`: the run had not ended, and could not go on
 * - `broken`: its journal cannot be read, or was changed
 * - `unknown`: it is a run of a flow that is not among those of today
 * - `outdated`: it ended under another version of its flow. Nobody will execute it again, so it is not replayed
 *
 * `detail` says it in words, of a run that diverges the first three places; `visits` is how many executions of handlers
 * were compared.
 *
 * @category models
 * @since 0.1.0
 */
export interface Finding {
  readonly run: string
  readonly flow: string
  readonly verdict: "same" | "diverges" | "stuck" | "broken" | "unknown" | "outdated"
  readonly detail: string
  readonly visits: number
}

/**
 * A recorded run does not come to the same with the flows of today.
 *
 * @category errors
 * @since 0.1.0
 */
export class ReplayFailed extends Schema.TaggedError<ReplayFailed>()("ReplayFailed", {
  /** The path of the journal. */
  file: Schema.String,
  run: Schema.String,
  flow: Schema.String,
  verdict: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.file}: recorded run ${JSON.stringify(this.run)} of flow ${this.flow}: ${this.detail}`
  }
}

/**
 * There is a file of that name already, or no journal where one is expected.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidFolder extends Schema.TaggedError<InvalidFolder>()("InvalidFolder", {
  folder: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `folder ${this.folder} of recorded journals: ${this.detail}`
  }
}

type AnyOptions = { readonly [K in keyof Options<[], never>]: unknown }

interface FolderOptions {
  readonly folder: string | URL
  readonly name?: string | undefined
}

const kinds: Given.Kinds<AnyOptions> = {
  flows: Given.flows,
  handlers: Given.aLayer,
  codec: Given.optional(Given.kind("a codec", Given.isObject))
}

const json = (value: unknown): string => JSON.stringify(value)

/** The last things that the run had done before an event. */
const ledTo = (run: string, seq: number) =>
  Effect.gen(function* () {
    const events = yield* Stream.runCollect((yield* Runs.Runs).events(run, { to: seq }))
    return storyOf(events).slice(-6)
  })

/** So many divergences of a run are told: a change that is meant makes most visits come out otherwise. */
const mostTold = 3

/** A call as a divergence tells it, but for the name, which follows from the rest. */
const callOf = (told: Schema.Json) => {
  if (typeof told !== "object" || told === null || !("tool" in told)) return undefined
  const { call, ...rest } = told
  return rest
}

/** Where two calls differ, or two ends of an attempt; not what makes a call another thing than an end. */
const differencesOf = (expected: Schema.Json, got: Schema.Json): ReadonlyArray<string> => {
  const calls = [callOf(expected), callOf(got)]
  if (calls.every((call) => call === undefined)) return differences(expected, got)
  return calls.includes(undefined) ? [] : differences(...(calls as [object, object]))
}

const divergenceLines = ({
  attempt,
  branch,
  expected,
  got,
  node,
  seq,
  visit
}: Runs.Divergence): ReadonlyArray<string> => {
  const where = branch === undefined ? "" : ` in branch ${branch}`
  const place = `visit ${visit} of node ${node}${where}${attempt > 1 ? `, attempt ${attempt},` : ""}`
  return [
    `${place} does something else than it did (event ${seq})`,
    `  recorded: ${json(expected)}`,
    `  now:      ${json(got)}`,
    ...differencesOf(expected, got).map((line) => `  ${line}`)
  ]
}

/** The first divergences of a run: what had led to the first one, and whether there are more than are told. */
const divergencesText = Effect.fnUntraced(function* (run: string, found: ReadonlyArray<Runs.Divergence>) {
  const [first, ...others] = found.slice(0, mostTold)
  if (first === undefined) return undefined
  return [
    ...divergenceLines(first),
    "it had done, up to there:",
    ...(yield* ledTo(run, first.seq)).map((line) => `  ${line}`),
    ...others.flatMap(divergenceLines),
    ...(found.length > mostTold ? ["and there is more that is not as recorded"] : [])
  ].join("\n")
})

/** Whether a run that had not ended can go on. */
const stuck = <F extends Flow.Any>(flow: F, run: string) =>
  Runs.checkCompatibility(flow).pipe(
    Stream.filter((verdict) => verdict.run === run),
    Stream.runCollect,
    Effect.map(([verdict]) =>
      verdict === undefined || verdict._tag === "Continues" || verdict._tag === "Migrates"
        ? undefined
        : `it could not go on: ${verdict.why}`
    )
  )

const examine = Effect.fnUntraced(function* (flows: ReadonlyArray<Flow.Any>, info: RunInfo) {
  const finding = (verdict: Finding["verdict"], detail: string, visits = 0): Finding => ({
    run: info.run,
    flow: info.flow,
    verdict,
    detail,
    visits
  })
  const verified = yield* Effect.result(Runs.verify(info.run))
  if (verified._tag === "Failure") return finding("broken", verified.failure.message)
  const flow = flows.find(({ id }) => id === info.flow) as (Flow.Any & { readonly id: "any" }) | undefined
  if (flow === undefined) {
    const known = flows.map(({ id }) => id).join(", ")
    return finding("unknown", `there is no such flow among those to replay against (${known})`)
  }
  if (isTerminal(info.status) && info.version !== flow.version) {
    return finding(
      "outdated",
      `it ended under version ${info.version}; the flow is at version ${flow.version}`
    )
  }
  // A run under way is brought to the version of today first: that is what the other check does.
  if (info.version === flow.version) {
    const replayed = yield* Effect.result(Runs.replay(Runs.ref(flow, info.run), { most: mostTold + 1 }))
    if (replayed._tag === "Failure") return finding("broken", replayed.failure.message)
    const report = replayed.success
    const diverges = yield* divergencesText(info.run, report.divergences)
    if (diverges !== undefined) return finding("diverges", diverges, report.visits)
    const reason = isTerminal(info.status) ? undefined : yield* stuck(flow, info.run)
    return reason === undefined ? finding("same", "", report.visits) : finding("stuck", reason, report.visits)
  }
  const reason = yield* stuck(flow, info.run)
  return reason === undefined ? finding("same", "") : finding("stuck", reason)
})

/**
 * Replays the runs in these lines, and says of each what came of it. A line that is no entry of a journal is a defect of the
 * recording: all its runs are `broken`.
 *
 * @category checking
 * @since 0.1.0
 */
export const check = <const Flows extends ReadonlyArray<Flow.Any>, E>(
  lines: ReadonlyArray<string>,
  options: Options<Flows, E>
): Effect.Effect<ReadonlyArray<Finding>, E> =>
  Effect.gen(function* () {
    Given.refuse("ReplaySuite.check", [
      ...Given.problemOf("lines", lines, Given.texts),
      ...Given.problemsOf<AnyOptions>(options, kinds)
    ])
    const { codec, flows, handlers } = options
    const made = yield* Effect.result(RecordedStore.make(lines))
    if (made._tag === "Failure") {
      const { message, run } = made.failure
      return [{ run: run ?? "?", flow: "?", verdict: "broken", detail: message, visits: 0 } satisfies Finding]
    }
    const store = made.success
    const program = Effect.gen(function* () {
      return yield* Effect.forEach(yield* rowsOf(store), (info) => examine(flows, info))
    })
    const base = Layer.merge(
      Layer.succeed(Store, store),
      codec === undefined ? Layer.empty : Layer.succeed(Codec, codec)
    )
    // Nobody calls a tool, so nobody misses its handler.
    const own = handlers as Layer.Layer<Flow.Handlers<"any">, E>
    return yield* program.pipe(
      Effect.catchTag(["StoreError", "RunNotFound", "CodecError"], (error) =>
        Effect.succeed<ReadonlyArray<Finding>>([
          { run: "?", flow: "?", verdict: "broken", detail: error.message, visits: 0 }
        ])
      ),
      Effect.provide(Layer.provideMerge(Layer.merge(own, Runs.layer), base))
    )
  })

/**
 * Registers a test for each file in a folder (`*.jsonl`), which fails with {@link ReplayFailed} if a run in it does not come
 * to the same; the runs that are `outdated` are named in the report. It is an error if there is no file.
 *
 * @category constructors
 * @since 0.1.0
 */
export const suite = <const Flows extends ReadonlyArray<Flow.Any>, E>(
  options: Options<Flows, E> & { readonly folder: string | URL; readonly name?: string | undefined }
): void => {
  Given.options<AnyOptions & FolderOptions>("ReplaySuite.suite", options, {
    ...kinds,
    folder: Given.aFolder,
    name: Given.optional(Given.aText)
  })
  const { codec, flows, handlers } = options
  const folder = Folder.pathOf(options.folder)
  const names = Folder.journalsIn(folder)
  if (names.length === 0) {
    throw new InvalidFolder({ folder, detail: "it has no *.jsonl; write one with ReplaySuite.record" })
  }
  describe(options.name ?? "recorded journals", () => {
    for (const name of names) {
      it.live(`${name}: comes to the same`, ({ annotate }) =>
        Effect.gen(function* () {
          const findings = yield* check(Folder.readLines(folder, name), { codec, flows, handlers })
          if (findings.length === 0)
            return yield* new InvalidFolder({
              folder,
              detail: `${name}.jsonl holds no journal; record it anew`
            })
          const bad = findings.find(({ verdict }) => verdict !== "same" && verdict !== "outdated")
          if (bad !== undefined) return yield* new ReplayFailed({ ...bad, file: Folder.fileOf(folder, name) })
          for (const { detail, run, verdict } of findings) {
            if (verdict === "outdated")
              yield* Effect.promise(() => annotate(`run ${run} was not replayed: ${detail}`, "notice"))
          }
        }).pipe(Effect.catchCause((cause) => Effect.fail(Cause.squash(cause))))
      )
    }
  })
}

/**
 * Writes the journal of a run to a folder, with those of the run that it was forked from and of the runs that it started, as
 * `<name>.jsonl`: the id of the run, unless given. A file that is there is not written again. Gives the path.
 *
 * Values stand in it as the store has them: look what is in there before you commit it.
 *
 * @category recording
 * @since 0.1.0
 */
export const record = (
  run: Runs.RunLike,
  options: { readonly folder: string | URL; readonly name?: string | undefined }
): Effect.Effect<string, InvalidFolder | StoreModule.StoreError | StoreModule.RunNotFound, Store> =>
  Effect.gen(function* () {
    Given.refuse("ReplaySuite.record", [
      ...Given.problemOf("run", run, Given.aRun),
      ...Given.problemsOf<FolderOptions>(options, {
        folder: Given.aFolder,
        name: Given.optional(Given.aText)
      })
    ])
    const id = typeof run === "string" ? run : run.id
    const lines = yield* RecordedStore.record(id)
    const folder = Folder.pathOf(options.folder)
    const name = options.name ?? id.replaceAll(/[^\w.-]+/g, "-")
    return yield* Effect.try({
      try: () => Folder.write(folder, name, lines),
      catch: (error) =>
        new InvalidFolder({ folder, detail: error instanceof Error ? error.message : String(error) })
    })
  })
