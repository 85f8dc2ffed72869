/**
 * What a place holds, brought into memory: the database as it was last put there, and what the logs say since.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Hasher } from "@waymark/core/Hasher"
import type { StoreError } from "@waymark/core/Store"
import { failure } from "@waymark/store-kit/Failures"
import type { Persistence } from "../Persistence.ts"
import * as Apply from "./apply.ts"
import * as Database from "./database.ts"
import type { Engine } from "./engine.ts"
import type { Step } from "./operation.ts"
import { stepsOf } from "./operation.ts"
import * as Redo from "./redo.ts"
import { formatVersion, tables, views } from "./schema.ts"

export interface State {
  readonly database: Database.Database
  readonly applier: Apply.Applier
  /** The log that is read or written, and the byte up to which it was taken in. */
  log: number
  offset: number
  /** How many bytes were taken in from logs, of which the database at its place knows nothing. */
  logged: number
}

export interface Options {
  readonly persistence: Persistence["Service"]
  readonly engine: Engine
  readonly hasher: Hasher
  readonly maxBytes: number
}

const corrupt = (place: string, detail: string, offset?: number): Effect.Effect<never, StoreError> =>
  failure({ _tag: "Corrupt", path: place, detail, ...(offset === undefined ? undefined : { offset }) })

const unsupported = (place: string, found: number): Effect.Effect<never, StoreError> =>
  failure({ _tag: "UnsupportedFormat", path: place, found, supported: formatVersion })

/**
 * Whether something that was thrown says that the database is damaged: SQLite throws plain errors, and what it is asked is
 * always the same; and what stands in it as JSON is JSON.
 */
export const isDamage = (thrown: unknown): thrown is Error =>
  thrown instanceof Error && (thrown.name === "Error" || thrown.name === "SyntaxError")

/** Runs something on the database; what SQLite says goes into the error. */
export const onDatabase = <A>(place: string, body: () => A): Effect.Effect<A, StoreError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(body())
    } catch (cause) {
      const said = cause instanceof Error ? cause.message : String(cause)
      return /full|out of memory/i.test(said)
        ? failure({ _tag: "NoSpace", path: place }, cause)
        : failure({ _tag: "Corrupt", path: place, detail: said }, cause)
    }
  })

const setUp = (database: Database.Database): void => {
  database.transaction(() => {
    database.script(tables)
    database.script(views)
    database.run("INSERT INTO store VALUES ('format', ?), ('generation', 1)", [formatVersion])
  })
}

/** The database of a place, as it was last put there. */
const loadDatabase = Effect.fnUntraced(function* ({ engine, maxBytes, persistence }: Options) {
  const { place } = persistence
  const bytes = yield* persistence.readDatabase
  const database = yield* onDatabase(place, () => Database.open(engine, bytes, maxBytes))
  if (bytes === undefined) yield* onDatabase(place, () => setUp(database))
  const setting = (key: string): Effect.Effect<number, StoreError> =>
    Effect.catch(
      onDatabase(place, () => Number(database.first("SELECT value FROM store WHERE key = ?", [key])?.[0])),
      () => corrupt(place, "it is not a Waymark store, or it is damaged")
    )
  const format = yield* setting("format")
  if (format > formatVersion) return yield* unsupported(place, format)
  return { database, generation: yield* setting("generation") }
})

/** Takes in what a log holds from where the state stands; `applied` is told of it. */
export const takeIn = Effect.fnUntraced(function* (
  { hasher, persistence }: Options,
  state: State,
  applied: (steps: ReadonlyArray<Step>) => void
): Effect.fn.Return<boolean, StoreError> {
  const bytes = yield* persistence.readLog(state.log, state.offset)
  if (bytes === undefined) return false
  const place = `${persistence.place}, redo log ${state.log}`
  const { damage, frames } = Redo.scan(bytes, state.offset, hasher)
  for (const frame of frames) {
    const steps = stepsOf(frame.lines)
    if (Result.isFailure(steps)) return yield* corrupt(place, steps.failure, state.offset)
    const first = steps.success[0]?.operation
    if (state.offset === 0) {
      if (first?.$ !== "log") return yield* corrupt(place, "it does not begin as a redo log does", 0)
      if (first.format > formatVersion) return yield* unsupported(place, first.format)
      if (first.generation !== state.log) {
        return yield* corrupt(place, `it is redo log ${first.generation}, under another name`, 0)
      }
    }
    yield* onDatabase(place, () => state.applier.apply(steps.success))
    state.logged += frame.end - state.offset
    state.offset = frame.end
    applied(steps.success)
  }
  if (damage !== undefined) {
    return yield* corrupt(place, "what was written here is damaged, and more was written after it", damage)
  }
  return true
})

/** Goes on through the logs as far as there are any; `false` if they do not follow from here any more. */
export const follow = Effect.fnUntraced(function* (
  options: Options,
  state: State,
  applied: (steps: ReadonlyArray<Step>) => void
): Effect.fn.Return<boolean, StoreError> {
  while (true) {
    // A log is final when there is a next one; so that has to be looked for first.
    const logs = yield* options.persistence.listLogs
    const last = logs[logs.length - 1] ?? 0
    const present = yield* takeIn(options, state, applied)
    if (last <= state.log) return present || last < state.log
    if (!present) return false
    state.log += 1
    state.offset = 0
  }
})

/** Everything that a place holds. */
export const load = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<State, StoreError> {
  while (true) {
    const { database, generation } = yield* loadDatabase(options)
    const state: State = { database, applier: Apply.make(database), log: generation, offset: 0, logged: 0 }
    const followed = yield* Effect.onError(
      follow(options, state, () => {}),
      () => Effect.sync(() => database.close())
    )
    if (followed) return state
    // Whoever writes has put a newer database there meanwhile.
    database.close()
  }
})
