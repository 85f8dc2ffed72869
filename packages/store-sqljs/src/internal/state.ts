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
import * as Doubts from "./doubts.ts"
import type { Engine } from "./engine.ts"
import type { Step } from "./operation.ts"
import { stepsOf } from "./operation.ts"
import * as Redo from "./redo.ts"
import { formatVersion, tables, views } from "./schema.ts"

export interface State {
  readonly database: Database.Database
  readonly applier: Apply.Applier
  /** What cannot be known because parts of the logs are damaged. */
  readonly doubts: Doubts.Doubts
  /** The log that is read or written, and the byte up to which it was taken in. */
  log: number
  offset: number
  /** Where the log before it ends, if that was read or written. */
  before: number | undefined
  /** How many bytes were taken in from logs, of which the database at its place knows nothing. */
  logged: number
}

export interface Options {
  readonly persistence: Persistence["Service"]
  readonly engine: Engine
  readonly hasher: Hasher
  readonly maxBytes: number
  /** Passes over damaged parts of the logs; what they were about is in doubt. Such a state cannot be written on. */
  readonly tolerant: boolean
  /** Reads damaged pages of the database as they are: for those who compare what they read with the chain of hashes. */
  readonly trusting: boolean
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

/** What a reason says of something that was thrown. */
export const damageOf = (place: string, cause: unknown, detail: string) => {
  const offset = cause instanceof Database.DamagedPage ? cause.offset : undefined
  return { _tag: "Corrupt", path: place, detail, ...(offset === undefined ? undefined : { offset }) } as const
}

/** Runs something on the database; what SQLite says goes into the error. */
export const onDatabase = <A>(place: string, body: () => A): Effect.Effect<A, StoreError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(body())
    } catch (cause) {
      const said = cause instanceof Error ? cause.message : String(cause)
      return /full|out of memory/i.test(said)
        ? failure({ _tag: "NoSpace", path: place }, cause)
        : failure(damageOf(place, cause, said), cause)
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
const loadDatabase = Effect.fnUntraced(function* ({ engine, maxBytes, persistence, trusting }: Options) {
  const { place } = persistence
  const bytes = yield* persistence.readDatabase
  const database = yield* onDatabase(place, () => Database.open(engine, bytes, maxBytes, trusting))
  if (bytes === undefined) yield* onDatabase(place, () => setUp(database))
  const setting = (key: string): Effect.Effect<number, StoreError> =>
    Effect.catch(
      onDatabase(place, () => Number(database.first("SELECT value FROM store WHERE key = ?", [key])?.[0])),
      ({ reason }) =>
        corrupt(
          place,
          "it is not a Waymark store, or it is damaged",
          reason._tag === "Corrupt" ? (reason.offset ?? 0) : 0
        )
    )
  const format = yield* setting("format")
  if (format > formatVersion) return yield* unsupported(place, format)
  return { database, generation: yield* setting("generation") }
})

/** The number of the event that was added last. */
const lastEvent = (place: string, database: Database.Database): Effect.Effect<number, StoreError> =>
  onDatabase(place, () =>
    Number(database.first("SELECT seq FROM sqlite_sequence WHERE name = 'event'")?.[0] ?? 0)
  )

/** Passes over what is damaged, or fails. */
const passOver = (
  { persistence, tolerant }: Options,
  { database, doubts }: State,
  place: Doubts.Place,
  subjects: ReadonlyArray<string> | undefined,
  detail: string
): Effect.Effect<void, StoreError> =>
  tolerant
    ? Effect.map(lastEvent(persistence.place, database), (last) => doubts.note(place, subjects, last))
    : corrupt(
        place.path,
        `${detail}; with \`readOnly\` everything else can be read, and a repair makes it usable again`,
        place.offset
      )

/** Carries out what stands in a frame, as far as it is not in doubt. */
const applyFrame = Effect.fnUntraced(function* (options: Options, state: State, steps: ReadonlyArray<Step>) {
  const { place } = options.persistence
  const allowed = steps.filter(state.doubts.allows)
  const applied = yield* Effect.result(onDatabase(place, () => state.applier.apply(allowed)))
  if (Result.isSuccess(applied)) return allowed
  const { reason } = applied.failure
  if (reason._tag !== "Corrupt" || reason.offset === undefined) return yield* applied.failure
  const damaged = { path: place, offset: reason.offset }
  yield* passOver(options, state, damaged, Doubts.subjectsOf(allowed), reason.detail)
  return []
})

/** Takes in what a log holds from where the state stands; `applied` is told of it. */
export const takeIn = Effect.fnUntraced(function* (
  options: Options,
  state: State,
  applied: (steps: ReadonlyArray<Step>) => void
): Effect.fn.Return<boolean, StoreError> {
  const { hasher, persistence } = options
  const bytes = yield* persistence.readLog(state.log, state.offset)
  if (bytes === undefined) return false
  const path = persistence.placeOf(state.log)
  for (const part of Redo.scan(bytes, state.offset, hasher).parts) {
    if ("subjects" in part) {
      const detail = "what was written here is damaged, and more was written after it"
      yield* passOver(options, state, { path, offset: part.start }, part.subjects, detail)
      state.offset = part.end
      continue
    }
    const steps = stepsOf(part.lines)
    if (Result.isFailure(steps)) return yield* corrupt(path, steps.failure, part.start)
    if (part.start === 0) {
      const first = steps.success[0]?.operation
      if (first?.$ !== "log") return yield* corrupt(path, "it does not begin as a redo log does", 0)
      if (first.format > formatVersion) return yield* unsupported(path, first.format)
      if (first.generation !== state.log) {
        return yield* corrupt(path, `it is redo log ${first.generation}, under another name`, 0)
      }
      const { before } = state
      if (before !== undefined && first.follows !== undefined && first.follows !== before) {
        const end = { path: persistence.placeOf(state.log - 1), offset: before }
        yield* passOver(options, state, end, undefined, `the log should go on to byte ${first.follows}`)
      }
    }
    const done = yield* applyFrame(options, state, steps.success)
    state.logged += part.end - state.offset
    state.offset = part.end
    applied(done)
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
    state.before = state.offset
    state.offset = 0
  }
})

/** Everything that a place holds. */
export const load = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<State, StoreError> {
  let missing: number | undefined
  while (true) {
    const { database, generation } = yield* loadDatabase(options)
    const state: State = {
      database,
      applier: Apply.make(database),
      doubts: Doubts.make(),
      log: generation,
      offset: 0,
      before: undefined,
      logged: 0
    }
    const followed = yield* Effect.onError(
      follow(options, state, () => {}),
      () => Effect.sync(() => database.close())
    )
    if (followed) return state
    database.close()
    // Whoever writes has put a newer database there meanwhile.
    if (missing !== state.log) {
      missing = state.log
      continue
    }
    const { persistence } = options
    return yield* corrupt(persistence.placeOf(missing), "this redo log is gone, and a later one is there", 0)
  }
})
