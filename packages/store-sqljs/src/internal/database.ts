/**
 * The database in memory: sql.js, with statements that are prepared once.
 */
import type { SqlValue, Statement } from "sql.js"
import { damagesIn, stamped } from "./checkedFile.ts"
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

/** A page of the database was needed, and is not what was written. */
export class DamagedPage extends Error {
  readonly offset: number
  constructor(offset: number, cause: unknown) {
    super("a page of the database is not what was written", { cause })
    this.offset = offset
  }
}

/** All of it, for want of something better: it stops everything else, and is as large as the database. */
const captureOf = (bytes: Uint8Array): Capture => ({
  size: bytes.length,
  changed: Array.from({ length: Math.ceil(bytes.length / blockSize) }, (_, block) => block),
  read: (block, count) => bytes.subarray(block * blockSize, (block + count) * blockSize),
  end: () => {}
})

/** SQLite looks at the first page at once, and does not say what is wrong with it. */
const opened: Opening = (engine, bytes, trusting) => {
  try {
    return engine.open(bytes, trusting)
  } catch (error) {
    const [damage] = bytes === undefined ? [] : damagesIn(bytes.subarray(0, blockSize))
    throw damage === undefined ? error : new DamagedPage(damage, error)
  }
}
type Opening = (
  engine: Engine,
  bytes: Uint8Array | undefined,
  trusting: boolean
) => ReturnType<Engine["open"]>

export const open = (
  engine: Engine,
  bytes: Uint8Array | undefined,
  maxBytes: number,
  trusting = false
): Database => {
  const { database, file } = opened(engine, bytes, trusting)
  // Where pages are not checked when they are needed, all of them are.
  const damage = file === undefined && bytes !== undefined && !trusting ? damagesIn(bytes)[0] : undefined
  const statements = new Map<string, Statement>()

  /** Says which page it was, if one was needed that is not what was written. */
  const explained = <A>(body: () => A): A => {
    try {
      if (damage !== undefined) throw new DamagedPage(damage, undefined)
      return body()
    } catch (error) {
      const offset = error instanceof DamagedPage ? undefined : file?.damage()
      throw offset === undefined ? error : new DamagedPage(offset, error)
    }
  }

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

  const run: Database["run"] = (sql, values) =>
    explained(() => {
      const prepared = bound(sql, values)
      try {
        prepared.step()
      } finally {
        prepared.reset()
      }
    })

  const first: Database["first"] = (sql, values) =>
    explained(() => {
      const prepared = bound(sql, values)
      try {
        return prepared.step() ? prepared.get() : undefined
      } finally {
        prepared.reset()
      }
    })

  const number = (sql: string): number => Number(first(sql)?.[0] ?? 0)

  const script = (sql: string): void => explained(() => void database.run(sql))
  script(pragmas(maxBytes))

  return {
    run,
    first,
    rows: function* (sql, values) {
      const prepared = explained(() => bound(sql, values))
      try {
        while (explained(() => prepared.step())) yield prepared.get()
      } finally {
        prepared.reset()
      }
    },
    script,
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
    capture: () => (file === undefined ? captureOf(stamped(database.export())) : file.capture()),
    close: () => {
      statements.clear()
      database.close()
    }
  }
}
