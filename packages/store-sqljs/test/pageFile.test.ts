/** The file in memory that SQLite works on, beside a plain array; and that SQLite does work on it. */
import { assert, describe, it } from "@effect/vitest"
import * as Random from "effect/Random"
import * as Effect from "effect/Effect"
import { emptyDatabase } from "../src/internal/checkedFile.ts"
import * as Database from "../src/internal/database.ts"
import { load } from "../src/internal/engine.ts"
import * as PageFile from "../src/internal/pageFile.ts"

const { blockSize } = PageFile

/** Puts a capture in the place of what was there, as a file is changed. */
const folded = (disk: Uint8Array, capture: PageFile.Capture): Uint8Array => {
  const result = new Uint8Array(capture.size)
  result.set(disk.subarray(0, capture.size))
  for (const block of capture.changed) result.set(capture.read(block, 1), block * blockSize)
  return result
}

describe("the file in memory", () => {
  for (let seed = 1; seed <= 12; seed++) {
    it.effect(`is what was written, and captures stay as they were (seed ${seed})`, () =>
      Effect.gen(function* () {
        const upTo = (count: number) => Random.nextIntBetween(0, count)
        const start = new Uint8Array(yield* upTo(3_000_000)).fill(1)
        let model = start.slice()
        const file = PageFile.make(start)
        let disk = model.slice()
        let capture: PageFile.Capture | undefined
        let captured = model
        for (let step = 0; step < 60; step++) {
          const what = yield* upTo(10)
          if (what < 6) {
            const at = yield* upTo(model.length + 20_000)
            const bytes = new Uint8Array(yield* upTo(what === 0 ? 1_500_000 : 9000)).fill(step)
            if (bytes.length > 0) {
              file.write(at, bytes)
              const next = new Uint8Array(Math.max(model.length, at + bytes.length))
              next.set(model)
              next.set(bytes, at)
              model = next
            }
          } else if (what === 6) {
            const size = yield* upTo(model.length + 10_000)
            file.truncate(size)
            const next = new Uint8Array(size)
            next.set(model.subarray(0, size))
            model = next
          } else if (capture === undefined) {
            capture = file.capture()
            captured = model.slice()
          } else {
            assert.isTrue(Buffer.from(folded(disk, capture)).equals(captured), `step ${step}`)
            const count = Math.ceil(capture.size / blockSize)
            assert.isTrue(Buffer.from(capture.read(0, count)).equals(captured))
            const kept = what < 9
            if (kept) disk = captured
            capture.end(kept)
            capture = undefined
          }
          const into = new Uint8Array(model.length + 10)
          assert.strictEqual(file.read(0, into), model.length)
          assert.isTrue(Buffer.from(into.subarray(0, model.length)).equals(model), `step ${step}`)
        }
      }).pipe(Random.withSeed(String(seed)))
    )
  }
})

describe("sql.js", () => {
  it("works on such a file, and its captures are databases", async () => {
    const engine = await load(undefined)
    const first = engine.open(undefined)
    assert.isDefined(first.file)
    first.database.run("CREATE TABLE numbers (n); INSERT INTO numbers VALUES (1)")
    const capture = first.file.capture()
    first.database.run("INSERT INTO numbers VALUES (2)")
    const second = engine.open(capture.read(0, capture.size / blockSize).slice())
    capture.end(true)
    const numbers = (opened: typeof first) => opened.database.exec("SELECT n FROM numbers")[0]!.values.flat()
    assert.deepStrictEqual(numbers(second), [1])
    second.database.run("INSERT INTO numbers VALUES (3)")
    assert.deepStrictEqual(numbers(first), [1, 2])
    assert.deepStrictEqual(numbers(second), [1, 3])
    // Only what was written: the page of the table, and the one that counts the changes.
    assert.deepStrictEqual(first.file.capture().changed, [0, 1])
    assert.strictEqual(first.file.size(), first.database.export().length)
    first.database.close()
    second.database.close()
  })

  it("loses neither statements nor pragmas where all of it has to be exported", async () => {
    const engine = await load(undefined)
    const { database } = engine.open(undefined)
    const Whole = database.constructor as new (bytes?: Uint8Array) => typeof database
    database.close()
    const whole = Database.open(
      { open: (bytes) => ({ database: new Whole(bytes ?? emptyDatabase()), file: undefined }) },
      undefined,
      8_192_000
    )
    assert.isFalse(whole.inBlocks)
    whole.script("CREATE TABLE numbers (n)")
    const insert = (n: number) => whole.run("INSERT INTO numbers VALUES (?)", [n])
    insert(1)
    const capture = whole.capture()
    insert(2)
    assert.deepStrictEqual(
      ["journal_mode", "synchronous", "cache_size", "max_page_count"].map(
        (name) => whole.first(`PRAGMA ${name}`)![0]
      ),
      ["memory", 0, -16384, 2000]
    )
    assert.deepStrictEqual([...whole.rows("SELECT n FROM numbers ORDER BY n")].flat(), [1, 2])
    const exported = Database.open(engine, capture.read(0, capture.changed.length).slice(), 8_192_000)
    assert.deepStrictEqual([...exported.rows("SELECT n FROM numbers")].flat(), [1])
    whole.close()
    exported.close()
  })
})
