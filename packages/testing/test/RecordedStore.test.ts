import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as MemoryStore from "@waymark/core/MemoryStore"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import { Store } from "@waymark/core/Store"
import * as Worker from "@waymark/core/Worker"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as JournalBuilder from "../src/JournalBuilder.ts"
import * as RecordedStore from "../src/RecordedStore.ts"

const lines = Effect.gen(function* () {
  const journal = yield* JournalBuilder.make("a")
  journal.batch(JournalBuilder.created({ tags: ["t"] }), JournalBuilder.visited(), JournalBuilder.visited())
  const { journal: fork } = journal.fork("b", 1)
  fork.batch(JournalBuilder.visited(), JournalBuilder.completed(7))
  return [journal, fork].flatMap(({ entries }) => entries.map(({ line }) => line))
})

const opened = Effect.flatMap(lines, RecordedStore.make)

describe("a store of recorded journals", () => {
  it.effect("gives what a store gives that holds the same", () =>
    Effect.gen(function* () {
      const recorded = yield* opened
      const store = yield* MemoryStore.make()
      const a = yield* recorded.read("a")
      const b = yield* recorded.read("b")
      for (const entries of [a, b]) {
        yield* store.create({
          entries: entries as unknown as readonly [(typeof entries)[number]],
          head: (yield* recorded.get(entries[0]!.event.run)).head.hash
        })
      }
      for (const run of ["a", "b"]) {
        const { owner: _, ...stored } = { owner: undefined, ...(yield* store.get(run)) }
        assert.deepStrictEqual(yield* recorded.get(run), stored)
        for (const options of [
          {},
          { from: 1 },
          { to: 1 },
          { from: 1, limit: 1 },
          { limit: 0 },
          { direction: "backwards" },
          { direction: "backwards", from: 1 },
          { direction: "backwards", to: 1, limit: 1 },
          { direction: "backwards", from: 9 }
        ] as const) {
          assert.deepStrictEqual(
            yield* recorded.read(run, options),
            yield* store.read(run, options),
            JSON.stringify(options)
          )
        }
      }
      for (const query of [
        {},
        { limit: 1 },
        { status: ["completed"] },
        { tag: "t" },
        { order: "oldest" }
      ] as const) {
        assert.deepStrictEqual((yield* recorded.list(query)).runs, (yield* store.list(query)).runs)
      }
      const feed = yield* recorded.feed({ limit: 2 })
      assert.deepStrictEqual(feed.entries, a.slice(0, 2))
      const rest = yield* recorded.feed({ cursor: feed.cursor })
      assert.deepStrictEqual(rest.entries, [...a.slice(2), ...b])
      assert.deepStrictEqual((yield* recorded.feed({ cursor: "now" })).entries, [])
      assert.deepStrictEqual(yield* recorded.inbox("a", {}), [])
    }).pipe(Effect.scoped)
  )

  it.effect("lets the client read, verify and replay", () =>
    Effect.gen(function* () {
      const flow = Flow.make("greet", {
        input: Schema.String,
        output: Schema.String,
        start: "greet",
        nodes: { greet: Node.make({ to: ["end"] }) }
      })
      const handlers = flow.toLayer({
        greet: ({ input, next }) => Effect.succeed(next.end(`hello ${input}`))
      })
      const disk = MemoryStore.makeDisk()
      const worker = Worker.layer({ flows: [flow] }).pipe(
        Layer.provide(handlers),
        Layer.provideMerge(MemoryStore.layer({ disk }))
      )
      const written = yield* Effect.gen(function* () {
        const runs = yield* Runs.Runs
        yield* runs.execute(flow, "you", { id: "r" })
        return (yield* (yield* Store).read("r")).map(({ line }) => line)
      }).pipe(Effect.provide(worker))
      yield* Effect.gen(function* () {
        const runs = yield* Runs.Runs
        const run = Runs.ref(flow, "r")
        assert.strictEqual(yield* runs.await(run), "hello you")
        assert.strictEqual((yield* Runs.verify(run)).to, written.length - 1)
        assert.deepStrictEqual(yield* Runs.replay(run), { run: "r", visits: 1, divergences: [] })
      }).pipe(
        Effect.provide([handlers, Runs.layer.pipe(Layer.provideMerge(RecordedStore.layer([...written, ""])))])
      )
    })
  )

  it.effect("is not written to", () =>
    Effect.gen(function* () {
      const store = yield* opened
      const lease = { run: "a", owner: "me", epoch: 0 }
      const [entry] = yield* store.read("a")
      const writes: ReadonlyArray<Effect.Effect<unknown, { readonly message: string }>> = [
        store.create({ entries: [entry!], head: "h" }),
        store.append(lease, 2, { entries: [entry!], head: "h" }),
        store.sync(lease),
        store.acquire("a", "me"),
        store.release(lease),
        store.send({ id: "c", run: "a", time: 0, request: { type: "resume" } }),
        store.delete("b"),
        store.setMeta("k", "v"),
        store.putArtifact(new Uint8Array())
      ]
      for (const write of writes) {
        const error = yield* Effect.flip(write)
        assert.include(error.message, "not written to")
      }
    })
  )

  it.effect("tells of what is there at once, and of what is not never", () =>
    Effect.gen(function* () {
      const store = yield* opened
      yield* store.changed("a", 1)
      const waiting = yield* Effect.forkChild(store.changed("a", 2), { startImmediately: true })
      yield* Effect.yieldNow
      assert.isUndefined(waiting.pollUnsafe())
      yield* Fiber.interrupt(waiting)
      assert.strictEqual((yield* Effect.flip(store.get("c")))._tag, "RunNotFound")
      assert.isUndefined(yield* store.getMeta("k"))
      assert.isUndefined(yield* store.getArtifact("h"))
    })
  )

  it.effect("refuses what is no journal, and says where", () =>
    Effect.gen(function* () {
      const [first, second] = yield* lines
      const error = yield* Effect.flip(RecordedStore.make([first!, "{}"]))
      assert.strictEqual(error._tag, "CorruptEntry")
      const headless = yield* Effect.flip(RecordedStore.make([second!]))
      assert.include(headless.message, `entry 1 of run "a" cannot be read: its journal begins with visited`)
      const store = yield* RecordedStore.make([first!, second!])
      assert.strictEqual((yield* Effect.flip(store.list({ cursor: "none" })))._tag, "StoreError")
      assert.strictEqual((yield* Effect.flip(store.feed({ cursor: "99" })))._tag, "StoreError")
    })
  )
})
