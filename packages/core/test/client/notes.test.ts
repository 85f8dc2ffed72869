import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type { Json } from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { Codec } from "@waymark/core/Codec"
import * as Runs from "@waymark/core/Runs"
import { LeaseHeld, StoreError } from "@waymark/core/Store"
import { Echo, oneNode, program } from "../engine/oneNode.ts"
import { idle, machine, until, untilStatus } from "../engine/process.ts"
import type { StoreService } from "../engine/process.ts"

const using = (runs: Runs.Runs["Service"]) => Effect.provideService(Runs.Runs, runs)

/** A client whose store is another one, made of its own. */
const on = (
  runs: Runs.Runs["Service"],
  wrap: (store: StoreService) => Partial<StoreService>
): Runs.Runs["Service"] => {
  const { client } = runs
  return { ...runs, client: { ...client, store: { ...client.store, ...wrap(client.store) } } }
}

/** A worker whose runs hang in a call, end, fail, or go round until they are told otherwise. */
const world = () => {
  const how: { now: "hang" | "end" | "fail" } = { now: "hang" }
  const live = program(
    Effect.fnUntraced(function* ({ next }) {
      if (how.now === "fail") return yield* Effect.die(new Error("broken"))
      if (how.now === "end") return next.end(["end"])
      yield* Echo.call({ text: "x" })
      return next.to("work")
    }),
    Echo.toLayer(({ text }) => Effect.as(Effect.sleep("1 minute"), text))
  )
  return { how, live, computer: machine() }
}

const statusesWithoutWorker = Effect.gen(function* () {
  const { computer, how, live } = world()
  const first = yield* computer.boot(live)
  const start = (id: string) => first.runs.start(oneNode, {}, { id })
  how.now = "end"
  yield* first.runs.await(yield* start("completed"))
  how.now = "fail"
  yield* Effect.flip(first.runs.await(yield* start("failed")))
  how.now = "hang"
  yield* first.runs.cancel(yield* start("cancelled"), "enough")
  yield* start("paused")
  yield* start("running")
  yield* idle
  yield* first.runs.pause("paused")
  yield* TestClock.adjust("1 minute")
  yield* untilStatus(first.runs, "paused", "paused")
  yield* first.stop
  const client = yield* computer.client
  yield* client.start(oneNode, {}, { id: "pending" })
  return { ...computer, client, how, live, newClient: computer.client }
})

const statuses = ["pending", "running", "paused", "completed", "failed", "cancelled"] as const

describe("a note about a run that no worker has", () => {
  it.effect("is in the journal when it is answered, and changes nothing, whatever the run's status", () =>
    Effect.gen(function* () {
      const { client, eventsOf, kinds } = yield* statusesWithoutWorker
      for (const status of statuses) {
        const before = yield* client.get(status)
        assert.strictEqual(before.status, status)
        yield* Runs.annotate(status, "look", { data: { seen: [1] }, actor: "ada", commandId: "n" }).pipe(
          using(client)
        )
        const [note] = yield* eventsOf(status, "annotated")
        assert.deepInclude(note, { note: "look", data: { seen: [1] }, actor: "ada" })
        assert.strictEqual(note!.command!.id, "n")
        yield* Runs.bookmark(status, 0, { name: "start", note: "here it began", tags: ["t"] }).pipe(
          using(client)
        )
        const { bookmarks, epoch, inbox, seq, updatedAt, ...after } = yield* client.get(status)
        assert.deepStrictEqual({ ...before, ...after }, before)
        assert.deepStrictEqual(bookmarks, [{ at: 0, name: "start", tags: ["t"] }])
        assert.deepStrictEqual((yield* kinds(status)).slice(before.seq + 1), [
          "claimed",
          "annotated",
          "claimed",
          "bookmarked"
        ])
        const claims = (yield* eventsOf(status, "claimed")).slice(-2)
        assert.deepStrictEqual(
          claims.map(({ cause, purpose }) => [cause, purpose]),
          [
            ["handover", "command"],
            ["handover", "command"]
          ]
        )
        assert.isDefined(yield* Effect.provideService(Runs.verify(status), Runs.Runs, client))
      }
    })
  )

  it.effect("does not keep a worker from taking it up, then or later", () =>
    Effect.gen(function* () {
      const { boot, client, how, live } = yield* statusesWithoutWorker
      how.now = "end"
      for (const status of statuses) yield* Runs.annotate(status, "before").pipe(using(client))
      const { runs } = yield* boot(live)
      for (const run of ["pending", "running"])
        assert.deepStrictEqual(yield* runs.await(Runs.ref(oneNode, run)), ["end"])
      for (const run of statuses) yield* Runs.annotate(run, "after").pipe(using(client))
      yield* client.resume("paused")
      assert.deepStrictEqual(yield* runs.await(Runs.ref(oneNode, "paused")), ["end"])
    })
  )

  it.effect("counts a crash of the worker before as one, and once", () =>
    Effect.gen(function* () {
      const { computer, how, live } = world()
      const first = yield* computer.boot(live)
      const run = yield* first.runs.start(oneNode, {}, { id: "r" })
      yield* idle
      yield* computer.crash
      const client = yield* computer.client
      yield* Runs.annotate(run, "it crashed").pipe(using(client))
      assert.strictEqual((yield* client.stateAt(run)).recoveries, 1)
      yield* Runs.annotate(run, "so it did").pipe(using(client))
      how.now = "end"
      const second = yield* computer.boot(live)
      assert.deepStrictEqual(yield* second.runs.await(run), ["end"])
      const claims = yield* computer.eventsOf(run, "claimed")
      assert.deepStrictEqual(
        claims.map(({ cause, purpose }) => [cause, purpose]),
        [
          ["crash", "command"],
          ["handover", "command"],
          ["handover", undefined]
        ]
      )
      for (const { seq } of claims) assert.strictEqual((yield* client.stateAt(run, seq)).recoveries, 1)
    })
  )

  it.effect("is left once under one command id, by however many clients, at once and later", () =>
    Effect.gen(function* () {
      const { client, eventsOf, newClient } = yield* statusesWithoutWorker
      const other = yield* newClient
      const leave = (by: Runs.Runs["Service"], id: string) =>
        Runs.annotate("failed", id, { commandId: id, until: "applied" }).pipe(using(by))
      yield* Effect.all([leave(client, "a"), leave(other, "a"), leave(client, "a"), leave(other, "b")], {
        concurrency: "unbounded"
      })
      yield* leave(client, "a")
      yield* leave(other, "b")
      const notes = yield* eventsOf("failed", "annotated")
      assert.deepStrictEqual(notes.map(({ note }) => note).sort(), ["a", "b"])
      const inbox = yield* client.client.store.inbox("failed", {})
      assert.deepStrictEqual(inbox.map(({ command }) => command.id).sort(), ["a", "b"])
      // All of it was let go again.
      assert.isUndefined((yield* client.client.store.get("failed")).owner)
    })
  )

  it.effect("that a worker takes up in the same moment is left by that worker", () =>
    Effect.gen(function* () {
      const { boot, client, eventsOf, live } = yield* statusesWithoutWorker
      const { runs } = yield* boot(live)
      let lost = 0
      // When the client looked nobody had the run; when it asks for it, somebody has.
      const late = on(client, () => ({
        acquire: (run) => Effect.suspend(() => (lost++, Effect.fail(new LeaseHeld({ run, owner: "else" }))))
      }))
      for (const run of ["paused", "completed"]) {
        yield* Runs.annotate(run, "n", { commandId: "n", until: "applied" }).pipe(using(late))
        assert.deepStrictEqual(
          (yield* eventsOf(run, "annotated")).map(({ note }) => note),
          ["n"]
        )
        assert.isUndefined((yield* eventsOf(run, "claimed")).at(-1)!.purpose)
      }
      assert.isAbove(lost, 1)
      assert.strictEqual((yield* runs.get("paused")).status, "paused")
    })
  )

  it.effect("leaves a command that comes in meanwhile to the workers", () =>
    Effect.gen(function* () {
      const { boot, client, how, live, newClient } = yield* statusesWithoutWorker
      how.now = "end"
      const { runs } = yield* boot(live)
      yield* idle
      const has = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const slow = on(client, (store) => ({
        acquire: (run, holder) =>
          Effect.tap(store.acquire(run, holder), () =>
            Effect.andThen(Deferred.succeed(has, undefined), Deferred.await(go))
          )
      }))
      const note = yield* Effect.forkChild(Runs.annotate("paused", "n").pipe(using(slow)))
      yield* Deferred.await(has)
      yield* (yield* newClient).resume("paused")
      yield* idle
      assert.strictEqual((yield* runs.get("paused")).status, "paused")
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(note)
      // No sweep: the worker remembers that there was something to do.
      assert.deepStrictEqual(yield* runs.await(Runs.ref(oneNode, "paused")), ["end"])
    })
  )

  it.effect("that the store fails to take is reported, keeps nobody out, and is left once all the same", () =>
    Effect.gen(function* () {
      const { client, eventsOf } = yield* statusesWithoutWorker
      const full = new StoreError({ operation: "x", reason: { _tag: "NoSpace" } })
      const fails = (operation: "acquire" | "send" | "append" | "sync" | "release") =>
        on(client, (store) => ({
          [operation]: (...args: ReadonlyArray<any>) =>
            operation === "release"
              ? Effect.andThen((store.release as any)(...args), Effect.fail(full))
              : Effect.fail(full)
        }))
      for (const operation of ["acquire", "send", "append", "sync", "release"] as const) {
        const leave = Runs.annotate("completed", operation, { commandId: operation })
        assert.deepStrictEqual(yield* Effect.flip(leave.pipe(using(fails(operation)))), full)
        assert.isUndefined((yield* client.client.store.get("completed")).owner, operation)
        yield* leave.pipe(using(client))
      }
      const notes = yield* eventsOf("completed", "annotated")
      assert.deepStrictEqual(
        notes.map(({ note }) => note),
        ["acquire", "send", "append", "sync", "release"]
      )
    })
  )

  it.effect("is not interrupted halfway: the run is let go in any case", () =>
    Effect.gen(function* () {
      const { client, eventsOf } = yield* statusesWithoutWorker
      const slow = on(client, (store) => ({
        append: (...args) => Effect.andThen(Effect.sleep("1 second"), store.append(...args))
      }))
      const note = yield* Effect.forkChild(Runs.annotate("failed", "n").pipe(using(slow)))
      yield* idle
      const interrupted = yield* Effect.forkChild(Fiber.interrupt(note))
      yield* idle
      assert.isUndefined(interrupted.pollUnsafe())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(interrupted)
      assert.isUndefined((yield* client.client.store.get("failed")).owner)
      assert.strictEqual((yield* eventsOf("failed", "annotated")).length, 1)
    })
  )
})

describe("a note about a run that a worker has", () => {
  const running = Effect.gen(function* () {
    const { computer, how, live } = world()
    const { runs } = yield* computer.boot(live, { owner: "worker" })
    const run = yield* runs.start(oneNode, {}, { id: "r" })
    yield* idle
    return { ...computer, client: yield* computer.client, how, live, run, runs }
  })

  it.effect("is accepted at once, and in the journal at the next checkpoint", () =>
    Effect.gen(function* () {
      const { client, eventsOf, run } = yield* running
      yield* Runs.annotate(run, "soon", { commandId: "n" }).pipe(using(client))
      yield* Runs.annotate(run, "soon", { commandId: "n" }).pipe(using(client))
      assert.deepStrictEqual(yield* eventsOf(run, "annotated"), [])
      const applied = yield* Effect.forkChild(
        Runs.bookmark(run, 0, { name: "b", until: "applied" }).pipe(using(client))
      )
      yield* idle
      assert.isUndefined(applied.pollUnsafe())
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(applied)
      assert.strictEqual((yield* eventsOf(run, "annotated")).length, 1)
      assert.deepStrictEqual(yield* eventsOf(run, "claimed"), [])
      assert.deepStrictEqual((yield* client.get(run)).bookmarks, [{ at: 0, name: "b" }])
    })
  )

  it.effect("is left by the client if that worker dies before", () =>
    Effect.gen(function* () {
      const { client, disk, eventsOf, run } = yield* running
      const applied = yield* Effect.forkChild(
        Runs.annotate(run, "n", { until: "applied" }).pipe(using(client))
      )
      yield* idle
      assert.isUndefined(applied.pollUnsafe())
      disk.lapse("worker")
      yield* Fiber.join(applied)
      assert.strictEqual((yield* eventsOf(run, "annotated")).length, 1)
      const [claim] = yield* eventsOf(run, "claimed")
      assert.deepInclude(claim, { cause: "crash", purpose: "command" })
    })
  )

  it.effect("fails if what becomes of it cannot be followed, or there is no such run", () =>
    Effect.gen(function* () {
      const { client, run } = yield* running
      const gone = new StoreError({ operation: "changes", reason: { _tag: "Closed", detail: "closed" } })
      const deaf = on(client, () => ({ changes: Stream.fail(gone) }))
      const failure = Effect.flip(Runs.annotate(run, "n", { until: "applied" }).pipe(using(deaf)))
      assert.deepStrictEqual(yield* failure, gone)
      assert.strictEqual(
        (yield* Effect.flip(Runs.annotate("no such run", "n").pipe(using(client))))._tag,
        "RunNotFound"
      )
    })
  )
})

describe("bookmarks", () => {
  it.effect("are of positions that exist", () =>
    Effect.gen(function* () {
      const { client } = yield* statusesWithoutWorker
      const { seq } = yield* client.get("completed")
      for (const at of [seq + 1, -1, 0.5, Number.NaN]) {
        const error = yield* Effect.flip(Runs.bookmark("completed", at, { name: "b" }).pipe(using(client)))
        assert.strictEqual(error._tag, "InvalidCheckpoint")
      }
      assert.strictEqual((yield* client.get("completed")).seq, seq)
      yield* Runs.bookmark("completed", seq, { name: "the end" }).pipe(using(client))
      assert.strictEqual(
        (yield* Effect.flip(Runs.bookmark("nope", 0, { name: "b" }).pipe(using(client))))._tag,
        "RunNotFound"
      )
    })
  )

  it.effect("that anybody else asks for past the end are refused in the journal", () =>
    Effect.gen(function* () {
      const { boot, client, eventsOf, live, send } = yield* statusesWithoutWorker
      yield* send("completed", "b", { type: "bookmark", at: 1000, name: "b" })
      yield* boot(live)
      yield* until(Effect.map(eventsOf("completed", "commandIgnored"), ({ length }) => length === 1))
      const refused = Runs.bookmark("completed", 0, { name: "b", commandId: "b" }).pipe(using(client))
      const error = yield* Effect.flip(refused)
      assert.deepInclude(error, { _tag: "CommandRefused", command: "bookmark", status: "completed" })
      assert.include(error.message, "before seq 1000")
    })
  )

  it.effect("are found by name and by tag; runs also by attributes, all of which must be so", () =>
    Effect.gen(function* () {
      const { client, newClient } = yield* statusesWithoutWorker
      const other = yield* newClient
      yield* Runs.bookmark("failed", 0, { name: "odd", tags: ["look", "later"] }).pipe(using(client))
      yield* Runs.bookmark("failed", 1, { name: "odd" }).pipe(using(client))
      yield* Runs.bookmark("completed", 0, { name: "later" }).pipe(using(client))
      yield* Runs.bookmark("failed", 0, { name: "odd", tags: ["look"] }).pipe(using(client))
      const found = (query: Parameters<typeof other.list>[0]) =>
        Effect.map(other.list(query), ({ runs }) => runs.map(({ run }) => run).sort())
      assert.deepStrictEqual(yield* found({ bookmark: "odd" }), ["failed"])
      assert.deepStrictEqual(yield* found({ bookmark: "look" }), ["failed"])
      // The tags of the first one were replaced.
      assert.deepStrictEqual(yield* found({ bookmark: "later" }), ["completed"])
      assert.deepStrictEqual(yield* found({ bookmark: "nothing" }), [])
      assert.deepStrictEqual((yield* other.get("failed")).bookmarks, [
        { at: 1, name: "odd" },
        { at: 0, name: "odd", tags: ["look"] }
      ])
      const attributes = { customer: "7", __proto__: null as never, constructor: "x" }
      yield* client.start(oneNode, {}, { id: "a", attributes: { customer: "7", region: "eu" } })
      yield* client.start(oneNode, {}, { id: "b", attributes: { customer: "7" } })
      assert.deepStrictEqual(yield* found({ attributes: { customer: "7" } }), ["a", "b"])
      assert.deepStrictEqual(yield* found({ attributes: { customer: "7", region: "eu" } }), ["a"])
      assert.deepStrictEqual(yield* found({ attributes: { customer: "8" } }), [])
      assert.deepStrictEqual(yield* found({ attributes: { ...attributes } }), [])
      assert.include(yield* found({ attributes: {} }), "paused")
      // A fork begins without them.
      const fork = yield* client.fork(Runs.ref(oneNode, "failed"), 0, { id: "f" })
      assert.isUndefined((yield* other.get(fork)).bookmarks)
    })
  )
})

describe("the data of a note", () => {
  it.effect("is sealed like all that is stored", () =>
    Effect.gen(function* () {
      const codec: Codec = {
        name: "sealing",
        encrypts: true,
        encode: (value) => Effect.succeed(`sealed ${JSON.stringify(value)}`),
        decode: (value) => Effect.succeed(JSON.parse((value as string).slice("sealed ".length)) as Json)
      }
      const { computer, live } = world()
      const { runs } = yield* computer.boot(live.pipe(Layer.provide(Layer.succeed(Codec, codec))))
      const run = yield* runs.start(oneNode, {}, { id: "r" })
      yield* idle
      yield* Runs.annotate(run, "by the worker", { data: 1 }).pipe(using(runs))
      yield* runs.cancel(run, "enough")
      yield* Runs.annotate(run, "by the client", { data: { secret: "s" } }).pipe(using(runs))
      const stored = (yield* computer.eventsOf(run, "annotated")).map(({ data }) => data)
      assert.deepStrictEqual(stored, ["sealed 1", 'sealed {"secret":"s"}'])
      const inbox = yield* runs.client.store.inbox("r", {})
      assert.notInclude(JSON.stringify(inbox), '"secret"')
      const opened = yield* Stream.runCollect(runs.events(run))
      assert.deepStrictEqual(
        opened.flatMap((event) => (event.kind === "annotated" ? [event.data] : [])),
        [1, { secret: "s" }]
      )
    })
  )
})
