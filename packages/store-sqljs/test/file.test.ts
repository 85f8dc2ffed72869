/** The database file, as other programs find it. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as NodeFs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { Store } from "@waymark/core/Store"
import * as NodeFiles from "@waymark/store-kit/NodeFiles"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import * as Journal from "@waymark/testing/JournalBuilder"
import { Maintenance } from "../src/Maintenance.ts"
import type * as SqljsStore from "../src/SqljsStore.ts"
import { openIn, temporaryDirectory } from "./places.ts"

/** A file of its own; each `open` is a process, until its scope is closed. */
const place = Effect.map(temporaryDirectory, (directory) => {
  const machine = makeMachine()
  const file = `${directory}/runs.sqlite`
  return {
    directory,
    file,
    machine,
    open: (options: SqljsStore.Options = {}) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const process = machine.spawn()
        const context = yield* Layer.buildWithScope(
          openIn({ file, machine }, NodeFiles.layer, process, { foldBytes: 1e9, ...options }),
          scope
        )
        return {
          store: Context.get(context, Store),
          maintenance: Context.get(context, Maintenance),
          process,
          close: Scope.close(scope, Exit.void)
        }
      })
  }
})

const write = Effect.fnUntraced(function* (
  store: Store["Service"],
  id: string,
  steps: ReadonlyArray<Journal.Step>
) {
  const journal = yield* Journal.make(id, { time: 1_700_000_000_000 })
  const lease = yield* store.create(
    journal.batch(Journal.created({ input: { text: `the input of ${id}` } })),
    {
      holder: "worker"
    }
  )
  for (const step of steps) yield* store.append(lease, journal.seq, journal.batch(step))
  yield* store.sync(lease)
  return { journal, lease }
})

const rows = (file: string, sql: string): ReadonlyArray<Record<string, unknown>> => {
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    return database
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }))
  } finally {
    database.close()
  }
}

const call = { node: "work", visit: 2, attempt: 1, call: "echo/1/0", tool: "echo" } as const

describe("the database file", () => {
  it.live("is whole after a checkpoint, and any SQLite program reads it by its views", () =>
    Effect.gen(function* () {
      const { file, open } = yield* place
      const { close, maintenance, store } = yield* open()
      yield* write(store, "one", [
        Journal.visited(),
        { kind: "callStarted", ...call, key: "key", input: { text: "hello" } },
        { kind: "callCompleted", ...call, output: "HELLO" },
        Journal.completed()
      ])
      yield* write(store, "two", [Journal.waitOpened("approval")])
      yield* maintenance.checkpoint
      assert.deepStrictEqual(rows(file, "SELECT run, flow, status, created_at FROM runs ORDER BY run"), [
        { run: "one", flow: "flow", status: "completed", created_at: "2023-11-14T22:13:20.000Z" },
        { run: "two", flow: "flow", status: "waiting", created_at: "2023-11-14T22:13:20.000Z" }
      ])
      assert.deepStrictEqual(
        rows(file, "SELECT seq, kind FROM events WHERE run = 'one' ORDER BY seq").map(({ kind }) => kind),
        ["created", "visited", "callStarted", "callCompleted", "completed"]
      )
      assert.deepStrictEqual(
        rows(file, "SELECT kind, node FROM checkpoints WHERE run = 'one' ORDER BY seq").map(
          ({ kind }) => kind
        ),
        ["created", "visited"]
      )
      const calls = rows(
        file,
        "SELECT tool, kind, input, output FROM tool_calls WHERE run = 'one' ORDER BY seq"
      )
      assert.deepStrictEqual(
        calls.map(({ kind }) => kind),
        ["callStarted", "callCompleted"]
      )
      assert.deepStrictEqual(JSON.parse(calls[0]!["input"] as string), { text: "hello" })
      assert.strictEqual(calls[1]!["output"], "HELLO")
      assert.deepStrictEqual(rows(file, "PRAGMA integrity_check"), [{ integrity_check: "ok" }])
      yield* close
    }).pipe(Effect.scoped)
  )

  it.live("has everything when the store is closed, and no log is left but the last one", () =>
    Effect.gen(function* () {
      const { directory, file, open } = yield* place
      const { close, store } = yield* open()
      const { journal } = yield* write(store, "one", [Journal.visited(), Journal.visited()])
      assert.isTrue(NodeFs.existsSync(`${file}-redo.1`))
      yield* close
      assert.strictEqual(rows(file, "SELECT count(*) AS n FROM events")[0]!["n"], 3)
      const again = yield* open({ readOnly: true })
      assert.strictEqual((yield* again.store.get("one")).head.hash, journal.headAt(2).hash)
      yield* again.close
      assert.deepStrictEqual(NodeFs.readdirSync(directory).sort(), [
        "runs.sqlite",
        "runs.sqlite-mark",
        "runs.sqlite-redo.1"
      ])
    }).pipe(Effect.scoped)
  )

  it.live("is not there before the first fold, and never in between: the log has it all", () =>
    Effect.gen(function* () {
      const { file, open } = yield* place
      const { store } = yield* open()
      yield* write(store, "one", [Journal.visited()])
      assert.isFalse(NodeFs.existsSync(file))
      const reader = yield* open({ readOnly: true })
      assert.strictEqual((yield* reader.store.get("one")).info.seq, 1)
      yield* reader.close
    }).pipe(Effect.scoped)
  )
})

describe("folding", () => {
  it.live("happens by itself when the log has grown, while the store is written to", () =>
    Effect.gen(function* () {
      const { directory, file, open } = yield* place
      const { close, store } = yield* open({ foldBytes: 20_000 })
      const journal = yield* Journal.make("one", { time: 1 })
      const lease = yield* store.create(journal.batch(Journal.created()), { holder: "worker" })
      /** The numbers of the logs that are there. Each fold begins another one; while it is under way both are. */
      const logs = () =>
        NodeFs.readdirSync(directory).flatMap((name) => {
          const number = /-redo\.(\d+)$/.exec(name)?.[1]
          return number === undefined ? [] : [Number(number)]
        })
      // How much is written during a fold depends on the machine.
      while (Math.max(...logs()) < 5 && journal.seq < 5_000) {
        yield* store.append(lease, journal.seq, journal.batch(Journal.annotated("x".repeat(500))))
        yield* store.sync(lease)
      }
      assert.isAtLeast(Math.max(...logs()), 5)
      assert.isTrue(NodeFs.existsSync(file))
      while (logs().length > 2) yield* Effect.sleep(5)
      // What was in the database before the last fold needs no log.
      assert.isAbove(Math.min(...logs()), 2)
      assert.strictEqual((yield* store.read("one", { from: journal.seq }))[0]?.event.seq, journal.seq)
      yield* close
      const again = yield* open()
      assert.strictEqual((yield* again.store.get("one")).head.hash, journal.headAt(journal.seq).hash)
      yield* again.close
    }).pipe(Effect.scoped)
  )
})

describe("the lock", () => {
  it.live("keeps a second process from writing, and says who has it", () =>
    Effect.gen(function* () {
      const { machine: _, open } = yield* place
      const first = yield* open()
      const error = yield* Effect.flip(open())
      assert.strictEqual(error.reason._tag, "Busy")
      assert.include(error.message, `process ${first.process.pid}`)
      yield* first.close
      const second = yield* open()
      yield* second.close
    }).pipe(Effect.scoped)
  )

  it.live("is one process's, of several that want it at once", () =>
    Effect.gen(function* () {
      const { open } = yield* place
      for (let round = 0; round < 5; round++) {
        const opened = yield* Effect.all(
          [1, 2, 3].map(() => Effect.result(open())),
          { concurrency: 3 }
        )
        const refused = opened.flatMap((one) => (Result.isFailure(one) ? [one.failure.reason._tag] : []))
        assert.deepStrictEqual(refused, ["Busy", "Busy"])
        for (const one of opened) if (Result.isSuccess(one)) yield* one.success.close
      }
    }).pipe(Effect.scoped)
  )

  it.live("of a process that is gone is taken over, and its runs were lost in a crash", () =>
    Effect.gen(function* () {
      const { directory, open } = yield* place
      const first = yield* open()
      const { journal } = yield* write(first.store, "one", [Journal.visited()])
      first.process.vanish()
      const second = yield* open()
      assert.isUndefined((yield* second.store.get("one")).owner)
      const acquired = yield* second.store.acquire("one", "worker")
      assert.strictEqual(acquired.previous, "crash")
      assert.strictEqual(acquired.head.hash, journal.headAt(1).hash)
      assert.lengthOf(
        NodeFs.readdirSync(directory).filter((name) => name.includes("-lock.")),
        1
      )
      yield* second.close
    }).pipe(Effect.scoped)
  )
})

describe("a limit of the size", () => {
  it.live("is a typed error before anything is written, and what is deleted makes room", () =>
    Effect.gen(function* () {
      const { open } = yield* place
      const { close, store } = yield* open({ maxBytes: 2_000_000 })
      const text = "x".repeat(100_000)
      let created = 0
      const full = yield* Effect.flip(
        Effect.forever(
          Effect.gen(function* () {
            const { lease } = yield* write(store, `run-${created}`, [
              Journal.annotated(text),
              Journal.completed()
            ])
            created += 1
            yield* store.release(lease)
          })
        )
      )
      assert.strictEqual(full._tag, "StoreError")
      assert.strictEqual("reason" in full && full.reason._tag, "NoSpace")
      assert.include(full.message, "2000000 bytes")
      assert.isAbove(created, 5)
      assert.isBelow(created, 25)
      yield* store.delete("run-0")
      yield* store.delete("run-1")
      yield* write(store, "again", [Journal.visited()])
      yield* close
    }).pipe(Effect.scoped)
  )
})

describe("searching", () => {
  it.live("finds runs by words of their inputs and errors", () =>
    Effect.gen(function* () {
      const { open } = yield* place
      const { close, maintenance, store } = yield* open()
      yield* write(store, "blue", [Journal.failed("Boom", "the lamp in Köln is broken")])
      yield* write(store, "green", [Journal.completed()])
      const found = (text: string) =>
        Effect.map(maintenance.search(text), (runs) => runs.map(({ run }) => run).sort())
      assert.deepStrictEqual(yield* found("lamp"), ["blue"])
      assert.deepStrictEqual(yield* found("LAM köln"), ["blue"])
      assert.deepStrictEqual(yield* found("lamp green"), [])
      assert.deepStrictEqual(yield* found("input"), ["blue", "green"])
      assert.deepStrictEqual(yield* found('"input" OR -x)'), [])
      assert.deepStrictEqual(yield* found(""), [])
      yield* close
    }).pipe(Effect.scoped)
  )
})
