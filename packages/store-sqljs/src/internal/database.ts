/**
 * The database in memory: sql.js, with statements that are prepared once.
 */
import type { SqlValue, Statement } from "sql.js"
import type { Engine } from "./engine.ts"
import { blockSize } from "./pageFile.ts"
import type { Capture } from "./pageFile.ts"

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
  /** Whether what has changed is known, and not only the whole. */
  readonly inBlocks: boolean
  /** What the database is as a file now; one at a time. */
  readonly capture: () => Capture
  readonly close: () => void
}

/**
 * Nothing of this database is ever read from a disk by SQLite itself: the redo log makes it durable, and a fold a file. A
 * journal in memory is for rolling back.
 */
const pragmas = (maxBytes: number): string =>
  `PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -16384;
   PRAGMA max_page_count = ${Math.ceil(maxBytes / 4096)};`

/** All of it, for want of something better: it stops everything else, and is as large as the database. */
const captureOf = (bytes: Uint8Array): Capture => ({
  size: bytes.length,
  changed: Array.from({ length: Math.ceil(bytes.length / blockSize) }, (_, block) => block),
  read: (block, count) => bytes.subarray(block * blockSize, (block + count) * blockSize),
  end: () => {}
})

export const open = (engine: Engine, bytes: Uint8Array | undefined, maxBytes: number): Database => {
  const { database, file } = engine.open(bytes)
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
    inBlocks: file !== undefined,
    capture: () => (file === undefined ? captureOf(database.export()) : file.capture()),
    close: () => {
      statements.clear()
      database.close()
    }
  }
}
