/**
 * The database in memory: sql.js, with statements that are prepared once, and what `export` costs them put back.
 */
import initSqlJs from "sql.js"
import type { Database as SqlDatabase, SqlJsStatic, SqlValue, Statement } from "sql.js"

export type Value = SqlValue

export interface Database {
  /** Runs a statement that gives nothing back. */
  readonly run: (sql: string, values?: ReadonlyArray<Value>) => void
  /** The first row, if there is any. */
  readonly first: (sql: string, values?: ReadonlyArray<Value>) => ReadonlyArray<Value> | undefined
  /** The rows, one after the other. Nothing else may be done with the database until the iteration has ended. */
  readonly rows: (sql: string, values?: ReadonlyArray<Value>) => IterableIterator<ReadonlyArray<Value>>
  /** Runs several statements, without values. */
  readonly script: (sql: string) => void
  /** All of it or nothing. */
  readonly transaction: <A>(body: () => A) => A
  /** How many bytes hold something. */
  readonly size: () => number
  /** The whole database as a file. */
  readonly export: () => Uint8Array
  readonly close: () => void
}

/**
 * Nothing of this database is ever read from a disk by SQLite itself: the redo log makes it durable, and `export` a file. A
 * journal in memory is for rolling back.
 */
const pragmas = (maxBytes: number): string =>
  `PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -16384;
   PRAGMA max_page_count = ${Math.ceil(maxBytes / 4096)};`

export const open = (sqlJs: SqlJsStatic, bytes: Uint8Array | undefined, maxBytes: number): Database => {
  const database: SqlDatabase = new sqlJs.Database(bytes)
  const statements = new Map<string, Statement>()
  database.run(pragmas(maxBytes))

  const statement = (sql: string): Statement => {
    let known = statements.get(sql)
    if (known === undefined) {
      known = database.prepare(sql)
      statements.set(sql, known)
    }
    return known
  }

  const bound = (sql: string, values: ReadonlyArray<Value> | undefined): Statement => {
    const prepared = statement(sql)
    prepared.bind(values === undefined ? null : [...values])
    return prepared
  }

  const run: Database["run"] = (sql, values) => {
    const prepared = bound(sql, values)
    try {
      prepared.step()
    } finally {
      prepared.reset()
    }
  }

  const first: Database["first"] = (sql, values) => {
    const prepared = bound(sql, values)
    try {
      return prepared.step() ? prepared.get() : undefined
    } finally {
      prepared.reset()
    }
  }

  const number = (sql: string): number => Number(first(sql)?.[0] ?? 0)

  return {
    run,
    first,
    rows: function* (sql, values) {
      const prepared = bound(sql, values)
      try {
        while (prepared.step()) yield prepared.get()
      } finally {
        prepared.reset()
      }
    },
    script: (sql) => {
      database.run(sql)
    },
    transaction: (body) => {
      run("BEGIN")
      try {
        const result = body()
        run("COMMIT")
        return result
      } catch (error) {
        run("ROLLBACK")
        throw error
      }
    },
    size: () => (number("PRAGMA page_count") - number("PRAGMA freelist_count")) * number("PRAGMA page_size"),
    export: () => {
      // It closes the database and opens it again: prepared statements are gone, and pragmas are what they were at first.
      statements.clear()
      const exported = database.export()
      database.run(pragmas(maxBytes))
      return exported
    },
    close: () => {
      statements.clear()
      database.close()
    }
  }
}

let loaded: Promise<SqlJsStatic> | undefined

/** Loads sql.js, once for each process unless where its WebAssembly lies is said. */
export const load = (locateFile: ((file: string) => string) | undefined): Promise<SqlJsStatic> => {
  if (locateFile !== undefined) return initSqlJs({ locateFile })
  loaded ??= initSqlJs()
  return loaded
}
