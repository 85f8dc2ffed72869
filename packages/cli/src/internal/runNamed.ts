/**
 * Runs as they are named on a command line: by their id, or by the beginning of it.
 */
import * as Effect from "effect/Effect"
import type { RunInfo } from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import { AmbiguousName, BadInput, UnknownName } from "./failures.ts"
import { like } from "./names.ts"
import * as Place from "./place.ts"

const pageSize = 1000

/** The row of the run that was meant. */
export const runNamed = Effect.fnUntraced(function* (name: string) {
  const runs = yield* Runs.Runs
  const exact = yield* runs.get(name).pipe(
    Effect.catchTag("RunNotFound", () => Effect.undefined),
    // What cannot be an id can be no beginning of one either.
    Effect.catchIf(
      (error) => error._tag === "StoreError" && error.reason._tag === "Invalid" && name === "",
      () => Effect.undefined
    )
  )
  if (exact !== undefined) return exact
  const matches: Array<RunInfo> = []
  const others: Array<string> = []
  let cursor: string | undefined
  do {
    const page = yield* runs.list({ limit: pageSize, ...(cursor === undefined ? undefined : { cursor }) })
    for (const info of page.runs) {
      if (name !== "" && info.run.startsWith(name)) matches.push(info)
      else others.push(info.run)
    }
    cursor = page.cursor
  } while (cursor !== undefined && matches.length < 6)
  const [only, ...more] = matches
  if (only === undefined) {
    return yield* new UnknownName({
      what: "run",
      name,
      where: (yield* Place.chosen).where,
      like: like(name, others),
      hint: others.length === 0 ? "this store has no runs yet" : "`waymark runs` lists them"
    })
  }
  if (more.length === 0) return only
  return yield* new AmbiguousName({ what: "run", name, matches: matches.slice(0, 5).map(({ run }) => run) })
})

/** A run, and a position of it if one is given: `run@seq`. */
export const positionNamed = Effect.fnUntraced(function* (name: string) {
  const [, run, seq] = /^(.*)@(\d+)$/s.exec(name) ?? []
  if (run === undefined || run === "") return { info: yield* runNamed(name), seq: undefined }
  // An id may look like that.
  const runs = yield* Runs.Runs
  const exact = yield* Effect.catchTag(runs.get(name), "RunNotFound", () => Effect.undefined)
  if (exact !== undefined) return { info: exact, seq: undefined }
  return { info: yield* runNamed(run), seq: Number(seq) }
})

/** A position that was given apart from its run. */
export const seqGiven = (text: string): Effect.Effect<number, BadInput> =>
  /^\d+$/.test(text)
    ? Effect.succeed(Number(text))
    : Effect.fail(
        new BadInput({ what: "the position", detail: `${JSON.stringify(text)} is no whole number from 0` })
      )
