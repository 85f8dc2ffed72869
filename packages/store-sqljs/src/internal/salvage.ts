/**
 * What a repair can have of a store that is damaged.
 */
import type { InboxCursor, Received } from "@waymark/core/Store"
import type { Database, Value } from "./database.ts"
import type { Place } from "./doubts.ts"
import * as Query from "./query.ts"
import * as State from "./state.ts"

export interface Salvage {
  /** The ids of all runs, as far as they can be read. */
  readonly runs: () => ReadonlyArray<string>
  /** The commands of a run that are what was sent, and whether there may have been others. */
  readonly inbox: (
    run: string,
    cursor: InboxCursor
  ) => { readonly found: ReadonlyArray<Received>; readonly lost: boolean }
  /** Where redo logs are damaged. */
  readonly damage: () => ReadonlyArray<Place>
}

/** The ids of all runs, one by one, so that a damaged page hides those on it only. */
const everyRun = (database: Database): ReadonlyArray<string> => {
  const look = (sql: string, values: ReadonlyArray<Value>): Value | undefined => {
    try {
      return database.first(sql, values)?.[0]
    } catch {
      // It lies on a page that is damaged. What is on it shows in the report as missing.
      return undefined
    }
  }
  const last = Number(look("SELECT seq FROM sqlite_sequence WHERE name = 'run'", []) ?? 0)
  const found: Array<string> = []
  for (let id = 1; id <= last; id++) {
    const run = look("SELECT run FROM run WHERE id = ?", [id])
    if (typeof run === "string") found.push(run)
  }
  return found
}

export const make = (state: () => State.State): Salvage => ({
  runs: () => everyRun(state().database),
  inbox: (run, cursor) => {
    const { database, doubts } = state()
    try {
      const row = Query.findRun(database, run)
      return {
        found: row === undefined ? [] : Query.inbox(database, row, cursor),
        lost: doubts.ofRun(run) !== undefined
      }
    } catch (thrown) {
      if (!State.isDamage(thrown)) throw thrown
      return { found: [], lost: true }
    }
  },
  damage: () => state().doubts.places()
})
