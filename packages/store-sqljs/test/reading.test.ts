/** The database file as other SQLite programs read it while it is folded. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as NodeFs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import * as Disk from "@waymark/store-kit/Disk"
import * as NodeFiles from "@waymark/store-kit/NodeFiles"
import * as BlocksFile from "../src/internal/blocksFile.ts"
import * as CheckedFile from "../src/internal/checkedFile.ts"
import * as Database from "../src/internal/database.ts"
import * as DatabaseFile from "../src/internal/databaseFile.ts"
import { load } from "../src/internal/engine.ts"
import { blockSize } from "../src/internal/pageFile.ts"
import { temporaryDirectory } from "./places.ts"

/** A table in which all rows say the same, on many pages, and a file that it is folded into. */
const subject = (replaceUpTo: number) =>
  Effect.gen(function* () {
    const directory = yield* temporaryDirectory
    const path = `${directory}/runs.sqlite`
    const disk = Disk.make(yield* FileSystem.FileSystem, directory, [])
    const database = Database.open(yield* Effect.promise(() => load(undefined)), undefined, 1e9)
    database.script(`CREATE TABLE said (n INTEGER PRIMARY KEY, word TEXT, text TEXT)`)
    for (let n = 0; n < 400; n++) database.run("INSERT INTO said VALUES (?, 'old', ?)", [n, "x".repeat(2000)])
    let generation = 0
    const file = DatabaseFile.make({
      disk,
      place: path,
      replaceUpTo,
      temporary: () => `tmp-${++generation}`,
      numbered: (kind) =>
        Effect.map(disk.list(), (names) =>
          names.flatMap((name) =>
            name.startsWith(`runs.sqlite-${kind}.`) ? [Number(name.split(".").pop())] : []
          )
        )
    })
    const fold = (meanwhile: () => void) =>
      Effect.suspend(() => {
        const capture = database.capture()
        const read = (block: number, count: number) => {
          meanwhile()
          return capture.read(block, count)
        }
        return Effect.ensuring(
          file.fold({ ...capture, read, blockSize, generation: ++generation }),
          Effect.sync(() => capture.end(true))
        )
      })
    yield* fold(() => {})
    return { database, fold, path }
  }).pipe(Effect.provide(NodeFiles.layer))

/** What a query finds: which words there are, or what is wrong. */
const ask = (connection: DatabaseSync): string => {
  try {
    return connection
      .prepare("SELECT DISTINCT word FROM said ORDER BY word")
      .all()
      .map(({ word }) => String(word))
      .join()
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const look = (path: string): string => {
  const connection = new DatabaseSync(path, { readOnly: true })
  try {
    return ask(connection)
  } finally {
    connection.close()
  }
}

/** Changes every ninth row, so that pages all over the file change; whoever sees a mixture sees both words. */
const change = (database: Database.Database) => {
  for (let n = 0; n < 400; n += 9) database.run("UPDATE said SET word = 'new' WHERE n = ?", [n])
}
const changed = "new,old"

describe("a fold", () => {
  it.live(
    "in place lets nobody begin to read half of it, and nobody take it for what is there afterwards",
    () =>
      Effect.gen(function* () {
        const { database, fold, path } = yield* subject(0)
        const open = new DatabaseSync(path, { readOnly: true })
        assert.strictEqual(ask(open), "old")
        change(database)
        const seen = new Set<string>()
        yield* fold(() => {
          seen.add(look(path))
          seen.add(ask(open))
        })
        seen.delete("old")
        assert.deepStrictEqual([...seen], ["file is not a database"])
        assert.strictEqual(look(path), changed)
        // Also for one that was there all the time.
        assert.strictEqual(ask(open), changed)
        open.close()
      }).pipe(Effect.scoped)
  )

  it.live("of a small database is one step for everybody", () =>
    Effect.gen(function* () {
      const { database, fold, path } = yield* subject(16 * 1024 * 1024)
      const open = new DatabaseSync(path, { readOnly: true })
      change(database)
      const seen = new Set<string>()
      yield* fold(() => {
        seen.add(look(path))
        seen.add(ask(open))
      })
      assert.deepStrictEqual([...seen], ["old"])
      assert.strictEqual(look(path), changed)
      open.close()
    }).pipe(Effect.scoped)
  )
})

describe("the blocks that have changed", () => {
  it.effect("are damaged if one of their bytes is another one", () =>
    Effect.gen(function* () {
      const snapshot = {
        size: blockSize,
        blockSize,
        changed: [0],
        generation: 2,
        read: () => new Uint8Array(blockSize).fill(7)
      }
      const slice = BlocksFile.encodeSlice(snapshot, [[0, 1]], 0)
      const bytes = Buffer.concat([slice, BlocksFile.encodeEnd(snapshot, slice.length)])
      assert.lengthOf((yield* BlocksFile.parse("blocks", bytes, blockSize)).pieces, 1)
      bytes[slice.length - 10]! ^= 1
      const { reason } = yield* Effect.flip(BlocksFile.parse("blocks", bytes, blockSize))
      assert.deepInclude(reason, { _tag: "Corrupt", path: "blocks", offset: 0 })
    })
  )
})

describe("checksums of pages", () => {
  it.live("are where other programs do not look, and find every altered byte", () =>
    Effect.gen(function* () {
      const { database, fold, path } = yield* subject(0)
      change(database)
      yield* fold(() => {})
      const connection = new DatabaseSync(path, { readOnly: true })
      assert.deepStrictEqual(
        connection
          .prepare("PRAGMA integrity_check")
          .all()
          .map((row) => row["integrity_check"]),
        ["ok"]
      )
      connection.close()
      const bytes = new Uint8Array(NodeFs.readFileSync(path))
      assert.deepStrictEqual(CheckedFile.damagesIn(bytes), [])
      for (let at = 0; at < bytes.length; at += 997) {
        const altered = bytes.slice()
        altered[at]! ^= 1 << (at % 8)
        assert.deepStrictEqual(CheckedFile.damagesIn(altered), [at - (at % blockSize)])
      }
      // A page that was never written, or is another one.
      const lost = bytes.slice().fill(0, blockSize, 2 * blockSize)
      assert.deepStrictEqual(CheckedFile.damagesIn(lost), [blockSize])
      const moved = bytes.slice()
      moved.set(bytes.subarray(2 * blockSize, 3 * blockSize), blockSize)
      assert.deepStrictEqual(CheckedFile.damagesIn(moved), [blockSize])
    }).pipe(Effect.scoped)
  )
})
