import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Flow from "@waymark/core/Flow"
import * as MemoryStore from "@waymark/core/MemoryStore"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import { RunNotFound, Store, StoreError } from "@waymark/core/Store"
import { Visit } from "@waymark/core/Visit"
import { Busy, Echo } from "./oneNode.ts"
import { idle, machine, untilStatus } from "./process.ts"

import {
  asWritten,
  check,
  contentOf,
  input,
  output,
  S2,
  handlersOf,
  only,
  standing,
  V1,
  V2,
  workerOf
} from "./checked.ts"
import type { Body, World } from "./checked.ts"

describe("checkCompatibility says that a run", () => {
  it.effect("continues if its handlers ask for what is recorded, wherever it stands", () =>
    Effect.gen(function* () {
      for (const hang of ["a1", "b1", "c1", "a2", "b2"]) {
        const computer = machine()
        yield* standing(computer, "r", hang)
        const before = contentOf(computer)
        assert.deepStrictEqual(only(yield* check(computer, V1)), {
          _tag: "Continues",
          run: "r",
          version: 1,
          node: "work",
          why: "its journal fits the flow"
        })
        assert.strictEqual(contentOf(computer), before, "nothing is written")
      }
    })
  )

  it.effect("migrates if a migration leads to the flow, and its handlers fit what comes of it", () =>
    Effect.gen(function* () {
      const computer = machine()
      yield* standing(computer, "r", "b2")
      const before = contentOf(computer)
      assert.deepStrictEqual(only(yield* check(computer, V2)), {
        _tag: "Migrates",
        run: "r",
        version: 1,
        to: 2,
        node: "work",
        why: "a migration leads from version 1 to 2"
      })
      assert.strictEqual(contentOf(computer), before, "nothing is written")
    })
  )

  it.effect("diverges if its handler asks for other calls than are recorded, in another fiber, too", () =>
    Effect.gen(function* () {
      const computer = machine()
      yield* standing(computer, "r", "c1")
      const verdict = only(
        yield* check(computer, V1, {
          work: (next) =>
            Effect.as(
              Effect.all(
                [Echo.call({ text: "other" }), Effect.andThen(Effect.sleep("1 hour"), Effect.never)],
                {
                  concurrency: 2
                }
              ),
              next.to("work")
            )
        })
      )
      if (verdict._tag !== "Diverges") return assert.fail(JSON.stringify(verdict))
      assert.deepInclude(verdict, { run: "r", version: 1, node: "work", visit: 2, branch: "" })
      assert.strictEqual(verdict.expected.tool, "echo")
      assert.deepStrictEqual(verdict.got.input, { text: "other" })
      assert.include(verdict.why, `visit 2 of node "work" asks for call ${verdict.got.call} of tool echo`)
      assert.include(verdict.why, `(seq ${verdict.expected.seq})`)
    })
  )

  it.effect("continues if another fiber claims late what one seems to have passed over", () =>
    Effect.gen(function* () {
      const computer = machine()
      yield* standing(computer, "r", "b1")
      const verdict = only(
        yield* check(computer, V1, {
          work: (next) =>
            Effect.as(
              Effect.all(
                [
                  Echo.call({ text: "new" }),
                  Effect.andThen(Effect.sleep("500 millis"), Echo.call({ text: "a1" })),
                  Echo.call({ text: "b1" }),
                  Echo.call({ text: "c1" })
                ],
                { concurrency: 4 }
              ),
              next.to("work")
            )
        })
      )
      assert.strictEqual(verdict._tag, "Continues", verdict.why)
    })
  )

  it.effect("breaks if the flow is another one and there is no migration, and in what it is another", () =>
    Effect.gen(function* () {
      const computer = machine()
      yield* standing(computer, "r", "b1")
      const bare = (Flow.make as any)("checked", {
        version: 2,
        input,
        state: S2,
        output,
        error: Busy,
        start: "begin",
        nodes: { begin: Node.make({ to: ["end"] }) }
      })
      const handlers = bare.toLayer({ begin: () => Effect.die("executed") })
      const verdict = only(
        yield* Runs.checkCompatibility(bare as typeof V1).pipe(
          Stream.runCollect,
          Effect.provide(handlers as Layer.Layer<Flow.Handlers<"checked">>),
          Effect.provide(MemoryStore.layer({ disk: computer.disk }))
        )
      )
      if (verdict._tag !== "Breaks") return assert.fail(JSON.stringify(verdict))
      assert.deepStrictEqual(
        verdict.differences.map(({ kind }) => kind),
        ["migration", "stranded", "gone", "new", "gone", "new", "gone"]
      )
      assert.include(verdict.why, `node "work" is gone`)
      assert.include(verdict.why, "no migration from version 1 is declared")
    })
  )

  it.effect("breaks if a recorded call does not fit its tool any more", () =>
    Effect.gen(function* () {
      const computer = machine()
      yield* standing(computer, "r", "b1")
      const verdict = only(
        yield* check(computer, V1, {
          work: (next) => {
            const changed = { ...Echo, output: Schema.Int, call: Echo.call }
            return Effect.as(
              Effect.flatMap(Visit, ({ call }) => call(changed as any, { text: "a1" }, undefined)),
              next
            )
          }
        })
      )
      if (verdict._tag !== "Breaks") return assert.fail(JSON.stringify(verdict))
      assert.strictEqual(verdict.differences[0]!.kind, "call")
      assert.match(verdict.why, /visit 2 of node work has a call of tool echo, recorded at seq \d/)
    })
  )

  it.effect("breaks if its handler fails the run, or breaks itself, on what is recorded", () =>
    Effect.gen(function* () {
      const computer = machine()
      yield* standing(computer, "r", "b1")
      for (const [work, says] of [
        [
          () => Effect.die(new Error("no such field")),
          /visit 2 of node "work" fails the run \(defect: no such field\)/
        ],
        [
          () => {
            throw new Error("outright")
          },
          /fails the run \(defect: outright\)/
        ],
        [() => Effect.fail(new Busy({ n: 1 })), /fails the run \(error/],
        [(next: any) => Effect.succeed(next.to("work", { got: [1] })), /fails the run \(encoding: Expected/],
        [(next: any) => Effect.succeed(next.to("nowhere")), /fails the run \(defect: .*nowhere/]
      ] as ReadonlyArray<readonly [Body, RegExp]>) {
        const verdict = only(yield* check(computer, V1, { work }))
        if (verdict._tag !== "Breaks") return assert.fail(JSON.stringify(verdict))
        assert.strictEqual(verdict.differences[0]!.kind, "handler")
        assert.match(verdict.why, says)
      }
      // An ending that is none of these is how the run goes on.
      const ends = only(yield* check(computer, V1, { work: (next) => Effect.succeed(next.end(["x"])) }))
      assert.strictEqual(ends._tag, "Continues", ends.why)
    })
  )

  it.effect("breaks if its handler does not come to an end, nor to a call; and waits for nothing else", () =>
    Effect.gen(function* () {
      const computer = machine()
      yield* standing(computer, "r", "b1")
      for (const stuck of [Effect.never, Effect.uninterruptible(Effect.never)]) {
        const checking = yield* Effect.forkChild(
          check(computer, V1, { work: () => stuck, timeout: "1 second" })
        )
        yield* idle
        yield* TestClock.adjust("1 second")
        const verdict = only(yield* Fiber.join(checking))
        assert.strictEqual(verdict._tag, "Breaks")
        assert.include(verdict.why, `visit 2 of node "work" does not come to an end`)
      }
      // Time inside of a handler costs nothing.
      const slow = only(
        yield* check(computer, V1, {
          work: (next, given) => Effect.andThen(Effect.sleep("30 days"), asWritten(next, given))
        })
      )
      assert.strictEqual(slow._tag, "Continues", slow.why)
    })
  )

  it.effect("breaks if it is at a later version than the flow", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world: World = { hang: "b1", calls: [] }
      const process = yield* computer.boot(workerOf(V2, world, asWritten, { got: [{ text: "begun" }] }))
      yield* process.runs.start(V2, { id: "x" }, { id: "later" })
      yield* idle
      yield* process.stop
      const verdict = only(yield* check(computer, V1))
      if (verdict._tag !== "Breaks") return assert.fail(JSON.stringify(verdict))
      assert.deepInclude(verdict, { run: "later", version: 2 })
      assert.deepStrictEqual(verdict.differences, [
        { kind: "version", message: "it is at version 2, and is left to workers that have that version" }
      ])
    })
  )

  it.effect(
    "continues if it is pending, paused, or about to be cancelled; and says nothing of what has ended",
    () =>
      Effect.gen(function* () {
        const computer = machine()
        const client = yield* computer.client
        yield* standing(computer, "paused", "a1")
        const process = yield* computer.boot(workerOf(V1, { hang: "a1", calls: [] }))
        yield* process.runs.pause("paused")
        yield* untilStatus(process.runs, "paused", "paused")
        const ended = yield* process.runs.start(V1, { id: "e" }, { id: "ended" })
        yield* process.runs.cancel(ended, "no more")
        yield* process.stop
        yield* client.start(V1, { id: "p" }, { id: "pending" })
        const verdicts = yield* check(computer, V1)
        assert.deepStrictEqual(
          verdicts.map(({ _tag, node, run }) => [run, _tag, node]),
          [
            ["paused", "Continues", "work"],
            ["pending", "Continues", "begin"]
          ]
        )
      })
  )
})

describe("checkCompatibility", () => {
  it.effect("looks at all runs page by page; one that cannot be read does not hide the others", () =>
    Effect.gen(function* () {
      const computer = machine()
      const client = yield* computer.client
      for (let i = 0; i < 7; i++) {
        yield* client.start(V1, { id: "x" }, { id: `r${i}` })
        yield* TestClock.adjust("1 second")
      }
      const other = Flow.make("other", {
        input: Schema.Void,
        start: "a",
        nodes: { a: Node.make({ to: ["end"] }) }
      })
      yield* client.start(other, undefined, { id: "not of this flow" })
      const lines: Array<string> = (computer.disk.state.runs.get("r3") as any).lines
      lines[0] = lines[0]!.replace('"maxSteps":10000', '"maxSteps":"many"')
      const limits: Array<number | undefined> = []
      const read: Array<string> = []
      const verdicts = yield* check(computer, V1, {
        pageSize: 2,
        wrap: (store) => ({
          ...store,
          list: (query) => {
            limits.push(query.limit)
            return store.list(query)
          },
          read: (run, options) => {
            read.push(run)
            return run === "r3"
              ? Effect.fail(
                  new StoreError({
                    operation: "read",
                    reason: { _tag: "Corrupt", run, seq: 0, detail: "it is damaged" }
                  })
                )
              : run === "r5"
                ? Effect.die(new Error("no idea"))
                : run === "r6"
                  ? Effect.fail(new RunNotFound({ run }))
                  : store.read(run, options)
          }
        })
      })
      assert.deepStrictEqual(
        verdicts.map(({ _tag, run }) => `${run} ${_tag}`),
        ["r0 Continues", "r1 Continues", "r2 Continues", "r3 Breaks", "r4 Continues", "r5 Breaks"]
      )
      assert.include(verdicts[3]!.why, "it is damaged")
      assert.include(verdicts[5]!.why, "no idea")
      assert.deepStrictEqual(limits, [2, 2, 2, 2])
    })
  )

  it.effect("looks no further than it is asked to", () =>
    Effect.gen(function* () {
      const computer = machine()
      const client = yield* computer.client
      for (let i = 0; i < 9; i++) yield* client.start(V1, { id: "x" }, { id: `r${i}` })
      const read = new Set<string>()
      const store = yield* MemoryStore.make({ disk: computer.disk })
      const first = yield* Runs.checkCompatibility(V1, { pageSize: 3 }).pipe(
        Stream.take(2),
        Stream.runCollect,
        Effect.provide(handlersOf(V1, { hang: "", calls: [] })),
        Effect.provideService(Store, {
          ...store,
          read: (run, options) => {
            read.add(run)
            return store.read(run, options)
          }
        })
      )
      assert.strictEqual(first.length, 2)
      assert.isAtMost(read.size, 3)
    })
  )

  it.effect("fails if the store cannot list its runs", () =>
    Effect.gen(function* () {
      const computer = machine()
      const error = yield* Effect.flip(
        check(computer, V1, {
          wrap: (store) => ({
            ...store,
            list: () =>
              Effect.fail(new StoreError({ operation: "list", reason: { _tag: "Io", code: "EIO" } }))
          })
        })
      )
      assert.strictEqual(error._tag, "StoreError")
    })
  )
})
