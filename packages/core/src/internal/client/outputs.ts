/**
 * What a run tells on its way: its outputs, and its log.
 */
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as Run_ from "../../Run.ts"
import type { InvalidValue } from "../../RunError.ts"
import type { ReadError, RunLike, Runs } from "../../Runs.ts"
import * as Told from "../engine/told.ts"
import { idOf, Service } from "./client.ts"

/**
 * An output that a run gave on its way: which one, and where and when (milliseconds).
 *
 * @category models
 * @since 0.1.0
 */
export type Emitted<A> = Told.Emitted<A>

/**
 * A line of a run's log.
 *
 * @category models
 * @since 0.1.0
 */
export type LogLine = Told.Line

/**
 * Some items, and where to go on: `cursor` is missing if there are no more for now.
 *
 * @category models
 * @since 0.1.0
 */
export type ItemPage<A> = Told.Page<A>

/**
 * Which page to read: at most `limit` items (100 unless said otherwise; a whole number from 0), from `cursor` on, oldest
 * first unless said otherwise.
 *
 * @category models
 * @since 0.1.0
 */
export type PageOptions = Told.PageOptions

/**
 * Which lines of a log to read: those of a node, those between two times (milliseconds, `since` included), those that
 * contain a text.
 *
 * @category models
 * @since 0.1.0
 */
export type LogFilter = Told.LogFilter

const sourceOf = ({ events, get }: Runs["Service"]): Told.Source => ({ get, events })

/**
 * The outputs that a run gave so far, page by page: those of one kind with their types, or all of them as they are
 * stored. Those of a fork begin with the fork.
 *
 * @category outputs
 * @since 0.1.0
 */
export const outputs: {
  <S extends Schema.Codec<unknown, unknown>>(
    run: RunLike,
    output: Run_.Output<string, S>,
    options?: PageOptions
  ): Effect.Effect<ItemPage<Emitted<S["Type"]>>, ReadError | InvalidValue, Runs>
  (
    run: RunLike,
    output?: undefined,
    options?: PageOptions
  ): Effect.Effect<ItemPage<Emitted<Schema.Json>>, ReadError, Runs>
} = (run: RunLike, output?: Run_.AnyOutput, options: PageOptions = {}): Effect.Effect<any, any, Runs> =>
  Service.use((runs) => Told.outputs(sourceOf(runs), idOf(run), output, options))

/**
 * The outputs of a run from the position `from` on: those that are there, then, until the run has ended, those that
 * come. None is given before it is durable.
 *
 * @category outputs
 * @since 0.1.0
 */
export const outputStream: {
  <S extends Schema.Codec<unknown, unknown>>(
    run: RunLike,
    output: Run_.Output<string, S>,
    options?: { readonly from?: number | undefined }
  ): Stream.Stream<Emitted<S["Type"]>, ReadError | InvalidValue, Runs>
  (
    run: RunLike,
    output?: undefined,
    options?: { readonly from?: number | undefined }
  ): Stream.Stream<Emitted<Schema.Json>, ReadError, Runs>
} = (
  run: RunLike,
  output?: Run_.AnyOutput,
  options: { readonly from?: number | undefined } = {}
): Stream.Stream<any, any, Runs> =>
  Stream.unwrap(
    Service.useSync((runs) => Told.outputStream(sourceOf(runs), idOf(run), output, options.from ?? 0))
  )

/**
 * The lines of a run's log that pass a filter, page by page.
 *
 * @category outputs
 * @since 0.1.0
 */
export const log = (
  run: RunLike,
  filter: LogFilter = {}
): Effect.Effect<ItemPage<LogLine>, ReadError, Runs> =>
  Service.use((runs) => Told.log(sourceOf(runs), idOf(run), filter))
