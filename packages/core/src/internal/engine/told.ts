/**
 * Reading what runs told: their outputs and their logs.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Json } from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Event, Kind, Of } from "../../Event.ts"
import type { InvalidValue } from "../../RunError.ts"
import type * as Run from "../../Run.ts"
import type { RunInfo } from "../../RunInfo.ts"
import { makeCodec } from "../definition/codec.ts"
import { invalid } from "./failure.ts"
import type { EventsOptions } from "./history.ts"
import { checkLimit } from "./pages.ts"
import type { ReadError } from "./reader.ts"

/** What of the client is needed to read. */
export interface Source {
  readonly get: (run: string) => Effect.Effect<RunInfo, ReadError>
  readonly events: <K extends Kind>(run: string, options: EventsOptions<K>) => Stream.Stream<Of<K>, ReadError>
}

/** Where something was told, and when (milliseconds). */
export interface Told {
  readonly run: string
  readonly seq: number
  readonly time: number
  readonly branch: string
  readonly node: string
  readonly visit: number
  readonly attempt: number
}

export interface Emitted<out A> extends Told {
  readonly output: string
  readonly value: A
}

export interface Line extends Told {
  readonly message: string
  readonly data?: Json
}

export interface Page<out A> {
  readonly items: ReadonlyArray<A>
  readonly cursor?: number
}

export interface PageOptions {
  readonly limit?: number | undefined
  readonly order?: "oldest" | "newest" | undefined
  readonly cursor?: number | undefined
}

export interface LogFilter extends PageOptions {
  readonly node?: string | undefined
  readonly since?: number | undefined
  readonly until?: number | undefined
  readonly contains?: string | undefined
}

const toldOf = ({ attempt, branch, node, run, seq, time, visit }: Of<"emitted"> | Of<"logged">): Told => ({
  run,
  seq,
  time,
  branch: branch ?? "",
  node,
  visit,
  attempt
})

/** The events of one kind that are there and pass, as a page. */
const pageOf = <K extends Kind, A, E>(
  source: Source,
  run: string,
  kind: K,
  { cursor, limit = 100, order = "oldest" }: PageOptions,
  passes: (event: Of<K>) => boolean,
  make: (event: Of<K>) => Effect.Effect<A, E>
): Effect.Effect<Page<A>, ReadError | E> =>
  Effect.gen(function* () {
    yield* checkLimit(kind, limit)
    const { seq } = yield* source.get(run)
    const oldest = order === "oldest"
    const range = oldest ? { from: cursor ?? 0, to: seq } : { from: 0, to: Math.min(cursor ?? seq, seq) }
    const events: ReadonlyArray<Event> = yield* source
      .events(run, { ...range, kinds: [kind], order })
      .pipe(Stream.filter(passes), Stream.take(limit), Stream.runCollect)
    const items = yield* Effect.forEach(events as ReadonlyArray<Of<K>>, make)
    const last = events[limit - 1]
    return last === undefined ? { items } : { items, cursor: oldest ? last.seq + 1 : last.seq - 1 }
  })

const emitted =
  (output: Run.AnyOutput | undefined) =>
  (event: Of<"emitted">): Effect.Effect<Emitted<any>, InvalidValue> => {
    const told = { ...toldOf(event), output: event.name }
    if (output === undefined) return Effect.succeed({ ...told, value: event.value })
    const exit = makeCodec(output.schema).decode(event.value)
    if (Exit.isSuccess(exit)) return Effect.succeed({ ...told, value: exit.value })
    const what = `output ${event.name} at seq ${event.seq} of run ${JSON.stringify(event.run)}`
    return Effect.fail(invalid(what, exit))
  }

const isOf = (output: Run.AnyOutput | undefined) => (event: Of<"emitted">) =>
  output === undefined || event.name === output.name

export const outputs = (
  source: Source,
  run: string,
  output: Run.AnyOutput | undefined,
  options: PageOptions
): Effect.Effect<Page<Emitted<any>>, ReadError | InvalidValue> =>
  pageOf(source, run, "emitted", options, isOf(output), emitted(output))

export const outputStream = (
  source: Source,
  run: string,
  output: Run.AnyOutput | undefined,
  from: number
): Stream.Stream<Emitted<any>, ReadError | InvalidValue> =>
  source
    .events(run, { from, kinds: ["emitted"] })
    .pipe(Stream.filter(isOf(output)), Stream.mapEffect(emitted(output)))

/** A text as it was stored; a codec may have made something else of it. */
const textOf = (text: Json): string => (typeof text === "string" ? text : JSON.stringify(text))

export const log = (
  source: Source,
  run: string,
  { contains, node, since, until, ...options }: LogFilter
): Effect.Effect<Page<Line>, ReadError> =>
  pageOf(
    source,
    run,
    "logged",
    options,
    (event) =>
      (node === undefined || event.node === node) &&
      (since === undefined || event.time >= since) &&
      (until === undefined || event.time < until) &&
      (contains === undefined || textOf(event.text).includes(contains)),
    (event) => {
      const line = { ...toldOf(event), message: textOf(event.text) }
      return Effect.succeed(event.data === undefined ? line : { ...line, data: event.data })
    }
  )
