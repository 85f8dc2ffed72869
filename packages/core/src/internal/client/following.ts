/**
 * Following the row of a run.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Schema from "effect/Schema"
import { AwaitTimeout } from "../../RunError.ts"
import { apply, isTerminal, RunStatus } from "../../RunInfo.ts"
import type { RunInfo } from "../../RunInfo.ts"
import type { RunLike, Runs } from "../../Runs.ts"
import { RunNotFound } from "../../Store.ts"
import type { StoreError } from "../../Store.ts"
import { page } from "../engine/pages.ts"
import { idOf, Service } from "./client.ts"
import type { Client } from "./client.ts"

/**
 * A run ended without what was waited for.
 *
 * @category errors
 * @since 0.1.0
 */
export class RunEnded extends Schema.TaggedError<RunEnded>()("RunEnded", {
  run: Schema.String,
  status: RunStatus,
  /** The position of the event that ended it. */
  seq: Schema.Int
}) {
  override get message(): string {
    return `run ${JSON.stringify(this.run)} ended (${this.status}, at seq ${this.seq}) without what was waited for`
  }
}

type FollowError = RunNotFound | StoreError

/** The row as it is, or, after a row that was seen, as it is after each event that came; waits for one to come. */
const rowsAfter = /* @__PURE__ */ Effect.fnUntraced(function* (
  { store }: Client,
  run: string,
  last: RunInfo | undefined
): Effect.fn.Return<ReadonlyArray<RunInfo>, FollowError> {
  if (last !== undefined) yield* store.changed(run, last.seq)
  const { info } = yield* store.get(run)
  if (last === undefined) return [info]
  // Deleted, and started anew under the same id.
  if (info.createdAt !== last.createdAt || info.seq <= last.seq) return yield* new RunNotFound({ run })
  const rows: Array<RunInfo> = []
  let row = last
  for (const { event } of yield* store.read(run, { from: last.seq + 1, ...page })) {
    rows.push((row = apply(row, event)))
    if (isTerminal(row.status)) break
  }
  return rows
})

/**
 * The row of a run as it is now, then as it is after each event that comes, until the run has ended; fails if it is
 * deleted. No row is given before its event is durable, and none is left out: whoever takes long gets them later.
 *
 * @category following
 * @since 0.1.0
 */
export const progress = (run: RunLike): Stream.Stream<RunInfo, FollowError, Runs> =>
  Stream.unwrap(
    Service.useSync(({ client }) =>
      Stream.paginate(undefined as RunInfo | undefined, (seen) =>
        Effect.map(rowsAfter(client, idOf(run), seen), (rows) => {
          const last = rows.at(-1) ?? seen
          const ended = last !== undefined && isTerminal(last.status)
          return [rows, ended ? Option.none() : Option.some(last)] as const
        })
      )
    )
  )

/**
 * Waits until the row of a run satisfies a predicate, and gives that row. Every row is asked about, the present one
 * first, however short it lasted.
 *
 * Fails with `RunEnded` if the run ends without it, with `RunNotFound` if it is deleted, and with `AwaitTimeout` if the
 * timeout passes; the run goes on then. A predicate that throws is a defect.
 *
 * @category following
 * @since 0.1.0
 */
export const awaitUntil: {
  (run: RunLike, predicate: (info: RunInfo) => boolean): Effect.Effect<RunInfo, RunEnded | FollowError, Runs>
  (
    run: RunLike,
    predicate: (info: RunInfo) => boolean,
    options: { readonly timeout: Duration.Input }
  ): Effect.Effect<RunInfo, RunEnded | AwaitTimeout | FollowError, Runs>
} = (
  run: RunLike,
  predicate: (info: RunInfo) => boolean,
  options?: { readonly timeout: Duration.Input }
): Effect.Effect<RunInfo, any, Runs> =>
  Service.use(({ client }) => {
    const id = idOf(run)
    const ended = (info: RunInfo) =>
      new RunEnded({ run: id, status: info.status, seq: info.ended ?? info.seq })
    const found = Effect.gen(function* () {
      let last: RunInfo | undefined
      while (last === undefined || !isTerminal(last.status)) {
        for (const info of yield* rowsAfter(client, id, last)) {
          if (predicate(info)) return info
          last = info
        }
      }
      return yield* ended(last)
    })
    if (options === undefined) return found
    return Effect.timeoutOrElse(found, {
      duration: options.timeout,
      orElse: () =>
        Effect.gen(function* () {
          const { info } = yield* client.store.get(id)
          if (predicate(info)) return info
          if (isTerminal(info.status)) return yield* ended(info)
          const millis = Duration.toMillis(Duration.fromInputUnsafe(options.timeout))
          return yield* new AwaitTimeout({ run: id, status: info.status, millis })
        })
    })
  })
