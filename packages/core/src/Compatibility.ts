/**
 * Whether a flow can go on with the runs that are there: to be asked before it is deployed.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type * as Schema from "effect/Schema"
import { Codec } from "./Codec.ts"
import * as Flow from "./Flow.ts"
import { Hasher } from "./Hasher.ts"
import type { Difference } from "./internal/definition/difference.ts"
import { load } from "./internal/engine/reader.ts"
import * as Rehearsal from "./internal/engine/rehearsal.ts"
import * as Versions from "./internal/engine/versions.ts"
import { isTerminal } from "./internal/status.ts"
import * as RunState from "./RunState.ts"
import type { RunInfo } from "./RunInfo.ts"
import { Store } from "./Store.ts"
import type { StoreError } from "./Store.ts"

export type {
  /**
   * One thing by which a run does not fit a flow.
   *
   * @category models
   * @since 0.1.0
   */
  Difference
} from "./internal/definition/difference.ts"

interface Judged {
  readonly run: string
  /** The version that the run is at. */
  readonly version: number
  /** The node that its main line is in, where that is known. */
  readonly node?: string
  /** Why, for people. */
  readonly why: string
}

/**
 * What becomes of a run.
 *
 * - `Continues`: it goes on as it is
 * - `Migrates`: it goes on after the flow's migrations, at version `to`
 * - `Diverges`: the handler of an open visit asks for a call (`got`) that was not recorded while a recorded one
 *   (`expected`) is unclaimed; the run would be paused
 * - `Breaks`: it would be paused as incompatible, fail, or be left alone, because of the differences
 *
 * @category models
 * @since 0.1.0
 */
export type Verdict =
  | (Judged & { readonly _tag: "Continues" })
  | (Judged & { readonly _tag: "Migrates"; readonly to: number })
  | (Judged & {
      readonly _tag: "Diverges"
      readonly branch: string
      readonly visit: number
      readonly expected: { readonly tool: string; readonly call: string; readonly seq: number }
      readonly got: { readonly tool: string; readonly call: string; readonly input: Schema.Json }
    })
  | (Judged & { readonly _tag: "Breaks"; readonly differences: ReadonlyArray<Difference> })

/**
 * How to check.
 *
 * - `timeout`: how long the handler of an open visit may take, in real time, to come to something that is not recorded;
 *   10 seconds by default. Only a handler that does more than call tools needs any
 * - `pageSize`: how many rows of the run index are read at once, 100 by default
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly timeout?: Duration.Input | undefined
  readonly pageSize?: number | undefined
}

const breaks = (
  { node, run, version }: Pick<RunInfo, "run" | "version" | "node">,
  ...differences: ReadonlyArray<Difference>
): Verdict => ({
  run,
  version,
  ...(node === undefined ? undefined : { node }),
  _tag: "Breaks",
  differences,
  why: differences.map(({ message }) => message).join("; ")
})

const unfinished = ["pending", "running", "waiting", "paused", "cancelling"] as const

/**
 * Looks at all unfinished runs of a flow in the store, oldest first, and says of each what becomes of it with this flow
 * and these handlers: whether it continues, migrates, diverges or breaks, and why.
 *
 * The handlers of open visits are executed as far as the journal goes: recorded results of calls are served, no tool is
 * called, and nothing is written. What handlers do besides calling tools does happen.
 *
 * A run that cannot be read is a verdict on that run. The stream fails only if the store cannot list its runs.
 *
 * @category checking
 * @since 0.1.0
 */
export const checkCompatibility = <F extends Flow.Any>(
  flow: F,
  options: Options = {}
): Stream.Stream<Verdict, StoreError, Store | Flow.Handlers<F["id"]>> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const store = yield* Store
      const journals = { store, codec: yield* Codec, hash: (yield* Hasher).hash }
      const context = yield* Effect.context<Flow.Handlers<F["id"]>>()
      const provided = Context.getUnsafe(
        context,
        Flow.handlersKey(flow.id) as Context.Key<never, Flow.HandlersService>
      )
      const rehearsal: Rehearsal.Options = {
        journals,
        flow,
        service: {
          ...provided,
          flow,
          context: Context.merge(context, provided.context as Context.Context<never>) as Context.Context<any>
        },
        live: yield* Clock.Clock,
        timeout: Duration.fromInputUnsafe(options.timeout ?? "10 seconds")
      }

      const judge = Effect.fnUntraced(function* (row: RunInfo): Effect.fn.Return<Verdict | undefined> {
        const loaded = yield* Effect.result(load(journals, row.run))
        if (Result.isFailure(loaded)) {
          // Deleted since it was listed.
          if (loaded.failure._tag === "RunNotFound") return undefined
          return breaks(row, { kind: "journal", message: loaded.failure.message })
        }
        let { state } = loaded.success
        if (isTerminal(state.status)) return undefined
        const { run, version } = state
        const node = RunState.nodeOf(state)
        const judged = node === undefined ? { run, version } : { run, version, node }
        if (version > flow.version) {
          const message = `it is at version ${version}, and is left to workers that have that version`
          return breaks(judged, { kind: "version", message })
        }
        if (state.status === "cancelling") {
          return { ...judged, _tag: "Continues", why: "it is being cancelled" }
        }
        const assessment = yield* Versions.assess(journals, flow, state)
        if (assessment !== undefined) {
          if (Result.isFailure(assessment)) return breaks(judged, ...assessment.failure)
          const { epoch, seq, time } = state
          const event = { run, seq: seq + 1, epoch, time, prev: "", ...assessment.success }
          state = Result.getOrThrow(RunState.apply(state, event, 0))
        }
        const finding = yield* Rehearsal.rehearse(rehearsal, state)
        if (finding === undefined) {
          return assessment === undefined
            ? { ...judged, _tag: "Continues", why: "its journal fits the flow" }
            : {
                ...judged,
                _tag: "Migrates",
                to: flow.version,
                why: `a migration leads from version ${version} to ${flow.version}`
              }
        }
        if (finding.kind !== "diverged") return breaks(judged, finding)
        const { kind: _, ...divergence } = finding
        const { expected, got, visit } = divergence
        const why =
          `visit ${visit} of node "${divergence.node}" asks for call ${got.call} of tool ${got.tool}, which is not recorded, ` +
          `and not for call ${expected.call} of tool ${expected.tool}, which is (seq ${expected.seq})`
        return { ...judged, ...divergence, _tag: "Diverges", why }
      })

      const contained = (row: RunInfo): Effect.Effect<Verdict | undefined> =>
        // What the author of a flow wrote may break where no failure is expected.
        Effect.catchDefect(judge(row), (defect) =>
          Effect.succeed(
            breaks(row, { kind: "handler", message: `it cannot be looked at: ${String(defect)}` })
          )
        )

      return Stream.paginate(undefined as string | undefined, (cursor) =>
        Effect.map(
          store.list({
            flow: flow.id,
            status: unfinished,
            order: "oldest",
            limit: options.pageSize ?? 100,
            ...(cursor === undefined ? undefined : { cursor })
          }),
          ({ cursor: next, runs }) => [runs, Option.fromUndefinedOr(next)] as const
        )
      ).pipe(
        Stream.mapEffect(contained),
        Stream.filter((verdict) => verdict !== undefined)
      )
    })
  )
