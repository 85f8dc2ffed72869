/** Copying runs between stores of all kinds. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Flow from "@waymark/core/Flow"
import type * as Journal from "@waymark/core/Journal"
import * as MemoryStore from "@waymark/core/MemoryStore"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import { RunExists, Store, StoreError } from "@waymark/core/Store"
import * as Transfer from "@waymark/core/Transfer"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import * as FsStore from "@waymark/store-fs/FsStore"
import * as Builder from "@waymark/testing/JournalBuilder"
import * as NodeSqljsStore from "../src/NodeSqljsStore.ts"
import { temporaryDirectory } from "./places.ts"

type Service = Store["Service"]

/** Opens an empty store of each kind. */
const kinds: { readonly [kind: string]: Effect.Effect<Service, StoreError | PlatformError, Scope.Scope> } = {
  memory: Effect.suspend(() => open(MemoryStore.layer())),
  fs: Effect.flatMap(temporaryDirectory, (directory) => open(FsStore.layer({ directory }))),
  sqljs: Effect.flatMap(temporaryDirectory, (directory) =>
    open(NodeSqljsStore.layer({ file: `${directory}/runs.sqlite` }))
  )
}
const open = <E>(layer: Layer.Layer<Store, E>) =>
  Effect.map(Layer.build(layer), (context) => Context.get(context, Store))

const createAll = (store: Service, { entries, head }: Builder.JournalBuilder) =>
  store.create({ entries: [entries[0]!, ...entries.slice(1)], head: head.hash })

const command = (run: string, id: string, type: "resume" | "pause" = "resume") =>
  ({ id, run, time: 1, request: { type } }) as const

/** Runs of all kinds, as a program would leave them. */
const fill = Effect.fnUntraced(function* (store: Service) {
  const artifact = yield* store.putArtifact(new TextEncoder().encode("what a run names"))
  const parent = yield* Builder.make("parent é/😀", { time: 1000 })
  parent.batch(Builder.created({ input: { artifact }, tags: ["t"], attributes: { customer: "7" } }))
  parent.batch(
    ...(Array.from({ length: 3 }, () => Builder.visited()) as [Builder.Step, ...Array<Builder.Step>])
  )
  yield* createAll(store, parent)
  // Before that which it was forked from, by its time.
  const fork = parent.fork("fork", 2, { time: 10 })
  fork.journal.batch(Builder.completed())
  yield* createAll(store, fork.journal)
  const child = yield* Builder.make("child", { time: 3000 })
  child.batch(Builder.created({ parent: { run: parent.run, node: "work", visit: 1 } }), Builder.completed())
  yield* createAll(store, child)
  // One that was taken over, has dealt with two commands, and has two more.
  const taken = yield* Builder.make("taken", { time: 4000 })
  yield* store.create(taken.batch(Builder.created()))
  for (const id of ["one", "two", "three", "four"]) yield* store.send(command("taken", id))
  for (const done of [["one"], ["three"]]) {
    const acquired = yield* store.acquire("taken", "worker")
    const claimed = taken.claim(acquired)
    yield* store.append(acquired.lease, acquired.head.seq, claimed)
    for (const { command, position, source } of yield* store.inbox("taken", {})) {
      if (!done.includes(command.id)) continue
      const { seq } = taken
      const step = { kind: "annotated", note: "done", command: { id: command.id, source, position } } as const
      yield* store.append(acquired.lease, seq, taken.batch(step))
    }
    yield* store.release(acquired.lease)
  }
  return { journals: [parent, fork.journal, child, taken], artifact }
})
type Filled = Effect.Success<ReturnType<typeof fill>>

const pending = (store: Service, run: string) =>
  Effect.gen(function* () {
    const { info } = yield* store.get(run)
    const handled = info.inbox ?? {}
    const received = yield* store.inbox(run, {})
    return received
      .filter(
        ({ position, source }) =>
          !(position <= (handled[source]?.upTo ?? 0) || handled[source]?.beyond.includes(position) === true)
      )
      .map(({ command }) => command.id)
  })

/** The other store holds what the first one does. */
const checkCopy = Effect.fnUntraced(function* (to: Service, { artifact, journals }: Filled) {
  for (const journal of journals) {
    const { head, info, owner } = yield* to.get(journal.run)
    assert.deepStrictEqual(head, journal.head, journal.run)
    assert.deepStrictEqual(info, journal.info)
    assert.isUndefined(owner)
    const lines = (yield* to.read(journal.run)).map(({ line }) => line)
    assert.deepStrictEqual(
      lines,
      journal.entries.map(({ line }) => line)
    )
  }
  const listed = yield* to.list({ attributes: { customer: "7" } })
  assert.deepStrictEqual(
    listed.runs.map(({ run }) => run),
    [journals[0]!.run]
  )
  assert.deepStrictEqual(yield* to.getArtifact(artifact), new TextEncoder().encode("what a run names"))
  assert.deepStrictEqual(yield* pending(to, "taken"), ["two", "four"])
  assert.deepStrictEqual(
    (yield* to.list({ commanded: true })).runs.map(({ run }) => run),
    ["taken"]
  )
})

/** Every call that changes a store, one of which is the last before the process dies: before it is done, or after. */
const dyingAt = (store: Service, at: number, done: boolean) => {
  let calls = 0
  const dead = Effect.die("killed")
  const cut =
    <A extends ReadonlyArray<any>, B, E>(call: (...parameters: A) => Effect.Effect<B, E>) =>
    (...parameters: A): Effect.Effect<B, E> =>
      Effect.suspend(() => {
        calls += 1
        if (calls < at) return call(...parameters)
        return calls === at && done ? Effect.andThen(call(...parameters), dead) : dead
      })
  return {
    ...store,
    create: cut(store.create),
    send: cut(store.send),
    putArtifact: cut(store.putArtifact)
  } as Service
}

describe.each(Object.keys(kinds))("from %s", (source) => {
  it.live.each(Object.keys(kinds))("to %s: everything, and nothing twice", (target) =>
    Effect.gen(function* () {
      const from = yield* kinds[source]!
      const to = yield* kinds[target]!
      const filled = yield* fill(from)
      const report = yield* Transfer.copyRuns(from, to)
      assert.deepStrictEqual(report, { copied: 4, present: 0, entries: 13, artifacts: 1, commands: 2 })
      yield* checkCopy(to, filled)
      const again = yield* Transfer.copyRuns(from, to)
      assert.deepStrictEqual(again, { copied: 0, present: 4, entries: 0, artifacts: 0, commands: 0 })
      yield* checkCopy(to, filled)
      // And on to a third one, where the commands have other positions again.
      const third = yield* kinds[source]!
      yield* Transfer.copyRuns(to, third)
      yield* checkCopy(third, filled)
      // It goes on where it is, and that is no obstacle.
      const acquired = yield* to.acquire("taken", "worker")
      const taken = filled.journals[3]!
      assert.isAbove(acquired.lease.epoch, taken.epoch)
      assert.strictEqual(acquired.previous, "handover")
      yield* to.append(acquired.lease, acquired.head.seq, taken.claim(acquired))
      yield* to.release(acquired.lease)
      assert.strictEqual((yield* Transfer.copyRuns(from, to)).present, 4)
    }).pipe(Effect.scoped)
  )
})

describe("a copy that dies", () => {
  it.live.each(["memory", "fs", "sqljs"])("at any call goes on when it is made again (%s)", (target) =>
    Effect.gen(function* () {
      const from = yield* kinds["memory"]!
      const filled = yield* fill(from)
      for (const done of [false, true]) {
        let cuts = 0
        for (let at = 1; ; at++) {
          const to = yield* kinds[target]!
          const exit = yield* Effect.exit(Transfer.copyRuns(from, dyingAt(to, at, done)))
          if (Exit.isSuccess(exit)) break
          cuts += 1
          const report = yield* Transfer.copyRuns(from, to)
          assert.strictEqual(report.copied + report.present, 4)
          yield* checkCopy(to, filled)
        }
        // One artifact, four runs, two commands.
        assert.strictEqual(cuts, 7)
      }
    }).pipe(Effect.scoped)
  )
})

const Asking = Flow.make("asking", {
  input: Schema.Struct({ to: Schema.String }),
  output: Schema.String,
  start: "ask",
  nodes: { ask: Node.make({ to: ["end"] }) }
})
const askingHandlers = Asking.toLayer({
  ask: Effect.fn("ask")(function* ({ input, next }) {
    const answer = yield* Wait.user("answer", { prompt: `Well, ${input.to}?`, schema: Schema.String })
    return next.end(`${input.to}: ${answer}`)
  })
})

const withWorker = <A, E>(store: Service, body: Effect.Effect<A, E, Runs.Runs>) =>
  body.pipe(
    Effect.provide(
      Worker.layer({ flows: [Asking] }).pipe(
        Layer.provide(askingHandlers),
        Layer.provideMerge(Layer.succeed(Store, store))
      ),
      { local: true }
    )
  )

describe("a run that waits", () => {
  it.live("is answered in the store that it was copied to", () =>
    Effect.gen(function* () {
      const from = yield* kinds["sqljs"]!
      const to = yield* kinds["fs"]!
      const run = Runs.ref(Asking, "question")
      yield* withWorker(
        from,
        Runs.Runs.use((runs) =>
          Effect.gen(function* () {
            yield* runs.start(Asking, { to: "Ada" }, { id: run.id })
            while ((yield* runs.get(run)).status !== "waiting") yield* Effect.sleep("5 millis")
          })
        )
      )
      const report = yield* Transfer.copyRuns(from, to, { query: { flow: "asking" } })
      // The shape of the flow goes along.
      assert.deepStrictEqual([report.copied, report.artifacts], [1, 1])
      const output = yield* withWorker(
        to,
        Runs.Runs.use((runs) =>
          Effect.gen(function* () {
            yield* runs.answer(run, "answer", "yes")
            const answer = yield* runs.await(run)
            yield* Runs.verify(run)
            return answer
          })
        )
      )
      assert.strictEqual(output, "Ada: yes")
    }).pipe(Effect.scoped)
  )
})

describe("a copy", () => {
  it.live("takes those along that a run cannot do without", () =>
    Effect.gen(function* () {
      const from = yield* kinds["memory"]!
      yield* fill(from)
      for (const tag of [
        { status: ["completed" as const] },
        { parent: "parent é/😀" },
        { forkOf: "parent é/😀" }
      ]) {
        const to = yield* kinds["memory"]!
        yield* Transfer.copyRuns(from, to, { query: tag })
        const { runs } = yield* to.list({})
        assert.includeMembers(
          runs.map(({ run }) => run),
          ["parent é/😀", "child"]
        )
        assert.notInclude(
          runs.map(({ run }) => run),
          "taken"
        )
      }
    }).pipe(Effect.scoped)
  )

  it.live("refuses what is another run, or an older copy, and copies the others", () =>
    Effect.gen(function* () {
      const from = yield* kinds["sqljs"]!
      const to = yield* kinds["memory"]!
      const { journals } = yield* fill(from)
      const other = yield* Builder.make("child", { time: 5 })
      other.batch(Builder.created({ input: "another" }))
      yield* createAll(to, other)
      const older = journals[3]!.entries.slice(0, 2)
      yield* to.create({ entries: [older[0]!, older[1]!], head: journals[3]!.headAt(1).hash })
      const error = yield* Effect.flip(Transfer.copyRuns(from, to))
      assert.strictEqual(error._tag, "TransferIncomplete")
      if (error._tag !== "TransferIncomplete") return
      assert.strictEqual(error.copied, 2)
      assert.deepStrictEqual(
        error.notCopied.map(({ reason, run }) => [run, reason]),
        [
          ["child", "different"],
          ["taken", "older"]
        ]
      )
      assert.include(
        error.message,
        'run "child" was not copied: the other store has another run under this id'
      )
      assert.strictEqual((yield* to.get("child")).head.hash, other.head.hash)
    }).pipe(Effect.scoped)
  )

  it.live("refuses a run that is executed, unless it is told to take it as it stands", () =>
    Effect.gen(function* () {
      const from = yield* kinds["sqljs"]!
      const to = yield* kinds["fs"]!
      const journal = yield* Builder.make("busy", { time: 1 })
      const lease = yield* from.create(journal.batch(Builder.created()), { holder: "worker" })
      yield* from.append(lease, 0, journal.batch(Builder.visited()))
      yield* from.sync(lease)
      const error = yield* Effect.flip(Transfer.copyRuns(from, to))
      assert.include(error.message, `run "busy" was not copied: ${from.owner} executes it`)
      assert.lengthOf((yield* to.list({})).runs, 0)
      const report = yield* Transfer.copyRuns(from, to, { owned: "asItStands" })
      assert.deepStrictEqual([report.copied, report.entries], [1, 2])
    }).pipe(Effect.scoped)
  )

  it.live("does not copy what is damaged, and says what that is", () =>
    Effect.gen(function* () {
      const store = yield* kinds["memory"]!
      const to = yield* kinds["memory"]!
      yield* fill(store)
      const altered = (entry: Journal.Entry): Journal.Entry =>
        entry.event.kind === "visited" && entry.event.seq === 2
          ? { ...entry, line: entry.line.replace('"visit":2', '"visit":3') }
          : entry
      const from: Service = {
        ...store,
        read: (run, options) =>
          run === "fork"
            ? Effect.fail(
                new StoreError({ operation: "read", reason: { _tag: "Corrupt", detail: "a bit flipped" } })
              )
            : Effect.map(store.read(run, options), (entries) => entries.map(altered))
      }
      const error = yield* Effect.flip(Transfer.copyRuns(from, to))
      assert.strictEqual(error._tag, "TransferIncomplete")
      if (error._tag !== "TransferIncomplete") return
      assert.deepStrictEqual(
        error.notCopied.map(({ reason, run }) => [run, reason]),
        [
          ["parent é/😀", "unreadable"],
          ["fork", "unreadable"]
        ]
      )
      assert.strictEqual(error.copied, 2)
    }).pipe(Effect.scoped)
  )

  it.live("of a run that somebody else creates meanwhile compares with that one", () =>
    Effect.gen(function* () {
      const from = yield* kinds["memory"]!
      const filled = yield* fill(from)
      const store = yield* kinds["memory"]!
      const to: Service = {
        ...store,
        create: (batch) =>
          Effect.andThen(store.create(batch), Effect.fail(new RunExists({ run: batch.entries[0].event.run })))
      }
      const report = yield* Transfer.copyRuns(from, to)
      assert.deepStrictEqual([report.copied, report.present], [0, 4])
      yield* checkCopy(store, filled)
    }).pipe(Effect.scoped)
  )
})
