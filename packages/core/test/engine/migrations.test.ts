import { assert, describe, it } from "@effect/vitest"
import * as Combiner from "effect/Combiner"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import type { PauseReason } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import * as Migration from "@waymark/core/Migration"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import { StoreError } from "@waymark/core/Store"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import { Echo } from "./oneNode.ts"
import { idle, machine, until, untilStatus } from "./process.ts"
import type { Machine, Process } from "./process.ts"

const Note = Schema.Struct({ text: Schema.String, by: Schema.String })

const S1 = {
  notes: State.list(Schema.String),
  tries: State.counter(),
  label: State.optional(Schema.String),
  scores: State.record(Schema.Int),
  best: State.reduce(Schema.Finite, Combiner.make<number>(Math.max), 0),
  chance: State.list(Schema.Finite),
  long: State.list(Schema.String)
}
const S2 = {
  ...S1,
  notes: State.list(Note),
  attempts: State.value(Schema.Int, 7),
  done: State.list(Schema.Int)
}
const { label: _label, tries: _tries, ...S3 } = S2

const output = Schema.Array(Schema.String)

const V1 = Flow.make("order", {
  version: 1,
  input: Schema.Struct({ id: Schema.String }),
  state: S1,
  output,
  start: "begin",
  nodes: {
    begin: Node.make({ to: ["gather"] }),
    gather: Node.make({ to: ["report"] }),
    report: Node.make({ to: ["end"] })
  }
})

const oneToTwo = Migration.make({
  from: V1,
  to: { version: 2, state: S2 },
  state: ({ notes, tries, ...old }, { id }) => ({
    ...old,
    notes: notes.map((text) => ({ text, by: id })),
    tries,
    attempts: tries + 1,
    done: []
  }),
  nodes: { gather: "collect" }
})

const V2 = Flow.make("order", {
  version: 2,
  input: Schema.Struct({ id: Schema.String }),
  state: S2,
  output,
  start: "begin",
  nodes: {
    begin: Node.make({ to: ["collect"] }),
    collect: Node.make({ to: ["report"] }),
    report: Node.make({ to: ["end"] })
  },
  migrations: [oneToTwo]
})

const Id = Schema.Struct({ number: Schema.Int })
const twoToThree = Migration.make({
  from: { version: 2, state: S2, input: V2.input },
  to: { version: 3, state: S3, input: Id },
  state: ({ label: _, tries: _t, ...kept }) => kept,
  input: ({ id }) => ({ number: Number(id) }),
  nodes: { collect: "fetch" }
})

const V3 = Flow.make("order", {
  version: 3,
  input: Id,
  state: S3,
  output,
  start: "begin",
  nodes: {
    begin: Node.make({ to: ["fetch"] }),
    fetch: Node.make({ to: ["report"] }),
    report: Node.make({ to: ["end"] })
  },
  migrations: [oneToTwo, twoToThree]
})

interface World {
  hang: boolean
  /** What the tool was asked for: its input, the idempotency key, whether it may have happened before. */
  readonly calls: Array<readonly [text: string, key: string, repeated: boolean]>
  readonly chance: Array<number>
}

const makeWorld = (): World => ({ hang: true, calls: [], chance: [] })

const echo = (world: World) =>
  Echo.toLayer(({ text }) =>
    Effect.gen(function* () {
      const { key, repeated } = yield* Tool.Invocation
      world.calls.push([text, key, repeated])
      return world.hang && text === "two" ? yield* Effect.never : text
    })
  )

/** The part of the handlers that is the same in all versions: two calls with chance in between. */
const working = (world: World) =>
  Effect.gen(function* () {
    const first = yield* Random.next
    yield* Echo.call({ text: "one" })
    world.chance.push(first, yield* Random.next)
    yield* Echo.call({ text: "two" })
  }).pipe(Effect.orDie)

const long = Array.from({ length: 100 }, (_, i) => `item ${i}`)

const handlers1 = (world: World) =>
  V1.toLayer({
    begin: ({ next }) =>
      Effect.succeed(
        next.to("gather", {
          notes: ["a"],
          tries: 2,
          label: "x",
          scores: { p: 1 },
          best: 5,
          chance: [0.5],
          long
        })
      ),
    gather: ({ next }) => Effect.as(working(world), next.to("report")),
    report: ({ next, state }) => Effect.succeed(next.end(state.notes))
  }).pipe(Layer.provide(echo(world)))

const handlers2 = (world: World) =>
  V2.toLayer({
    begin: ({ next }) => Effect.succeed(next.to("collect")),
    collect: ({ next }) => Effect.as(working(world), next.to("report", { best: 9, done: [1] })),
    report: ({ next, state }) =>
      Effect.succeed(next.end(state.notes.map(({ by, text }) => `${text} by ${by}`)))
  }).pipe(Layer.provide(echo(world)))

const worker1 = (world: World) => Worker.layer({ flows: [V1] }).pipe(Layer.provide(handlers1(world)))
const worker2 = (world: World) => Worker.layer({ flows: [V2] }).pipe(Layer.provide(handlers2(world)))

const worker3 = (world: World) =>
  Worker.layer({ flows: [V3] }).pipe(
    Layer.provide(
      V3.toLayer({
        begin: ({ next }) => Effect.succeed(next.to("fetch")),
        fetch: ({ next }) => Effect.as(working(world), next.to("report")),
        report: ({ input, next, state }) =>
          Effect.succeed(next.end([String(input.number), ...state.notes.map(({ text }) => text)]))
      })
    ),
    Layer.provide(echo(world))
  )

/** A run of version 1 whose process dies in the middle of its second call. */
const interrupted = Effect.fnUntraced(function* (
  computer: Machine,
  world: World,
  how: "crash" | "stop" = "crash"
) {
  const first = yield* computer.boot(worker1(world))
  const run = yield* first.runs.start(V1, { id: "17" }, { id: "r" })
  yield* until(Effect.sync(() => world.calls.length === 2))
  yield* idle
  yield* how === "crash" ? computer.crash : first.stop
  return run
})

const messageOf = (reason: PauseReason): string =>
  reason.kind === "incompatible" ? reason.message : reason.kind

/** Waits until the run is paused as incompatible, and gives what is said about it. */
const incompatible = Effect.fnUntraced(function* (computer: Machine, process: Process, run: string) {
  yield* untilStatus(process.runs, run, "paused")
  const paused = yield* computer.eventsOf(run, "paused")
  assert.strictEqual(paused.at(-1)!.reason.kind, "incompatible")
  return messageOf(paused.at(-1)!.reason)
})

describe("a run of an earlier version", () => {
  it.effect("goes on with the flow's migration: state, open visit and calls come along", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      yield* interrupted(computer, world)
      world.hang = false
      const { runs } = yield* computer.boot(worker2(world))
      const run = Runs.ref(V2, "r")
      assert.deepStrictEqual(yield* runs.await(run), ["a by 17"])
      // What had completed is not called again; what is in doubt is, under the same key.
      const [one, two, again] = world.calls
      assert.strictEqual(world.calls.length, 3)
      assert.deepStrictEqual([one![0], two![0], again![0]], ["one", "two", "two"])
      assert.strictEqual(again![1], two![1])
      assert.deepStrictEqual([two![2], again![2]], [false, true])
      const started = yield* computer.eventsOf(run, "callStarted")
      assert.deepStrictEqual(
        started.map(({ key, node }) => [node, key]),
        [
          ["gather", one![1]],
          ["gather", two![1]]
        ]
      )
      assert.deepStrictEqual(
        (yield* computer.eventsOf(run, "callRepeated")).map(({ node, visit }) => [node, visit]),
        [["collect", 2]]
      )
      // The handler that is executed again meets the same chance.
      assert.strictEqual(world.chance.length, 4)
      assert.deepStrictEqual(world.chance.slice(2), world.chance.slice(0, 2))

      const [migrated] = yield* computer.eventsOf(run, "migrated")
      const { epoch: _e, prev: _p, run: _r, seq, time: _t, ...body } = migrated!
      assert.deepStrictEqual(body, {
        kind: "migrated",
        from: { version: 1, fingerprint: V1.fingerprint },
        version: 2,
        fingerprint: V2.fingerprint,
        // What did not become different is not written again.
        ops: {
          notes: { set: [{ text: "a", by: "17" }] },
          attempts: { set: 3 },
          done: { set: [] }
        },
        nodes: { gather: "collect" }
      })
      const kinds = yield* computer.kinds(run)
      assert.deepStrictEqual(kinds.slice(seq - 1, seq + 1), ["claimed", "migrated"])
      const snapshot = kinds.indexOf("snapshot")
      assert.isTrue(
        kinds.slice(seq + 1, snapshot).every((kind) => kind === "snapshotPart"),
        String(kinds)
      )
      assert.deepStrictEqual(yield* runs.state(run), {
        notes: [{ text: "a", by: "17" }],
        tries: 2,
        label: "x",
        scores: { p: 1 },
        best: 9,
        chance: [0.5],
        long,
        attempts: 3,
        done: [1]
      })
      const info = yield* runs.get(run)
      assert.deepInclude(info, { version: 2, node: "report", status: "completed" })
      assert.strictEqual((yield* runs.verify(run)).to, info.seq)
    })
  )

  it.effect("goes through all versions in between at once, and its input with it", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      yield* interrupted(computer, world)
      world.hang = false
      const { runs } = yield* computer.boot(worker3(world))
      const run = Runs.ref(V3, "r")
      assert.deepStrictEqual(yield* runs.await(run), ["17", "a"])
      const migrated = yield* computer.eventsOf(run, "migrated")
      assert.strictEqual(migrated.length, 1)
      assert.deepInclude(migrated[0]!, { version: 3, input: { number: 17 }, nodes: { gather: "fetch" } })
      assert.deepStrictEqual(migrated[0]!.ops["tries"], { unset: true })
      assert.deepStrictEqual(migrated[0]!.ops["label"], { unset: true })
      assert.strictEqual(world.calls.length, 3)
      assert.strictEqual(world.calls[2]![1], world.calls[1]![1])
      assert.deepStrictEqual(world.chance.slice(2), world.chance.slice(0, 2))
      assert.notProperty(yield* runs.state(run), "tries")
    })
  )

  it.effect("keeps its keys and its chance through several migrations, one after the other", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      yield* interrupted(computer, world)
      yield* computer.boot(worker2(world))
      yield* until(Effect.sync(() => world.calls.length === 3))
      yield* idle
      yield* computer.crash
      world.hang = false
      const { runs } = yield* computer.boot(worker3(world))
      assert.deepStrictEqual(yield* runs.await(Runs.ref(V3, "r")), ["17", "a"])
      assert.strictEqual((yield* computer.eventsOf("r", "migrated")).length, 2)
      const keys = new Set(world.calls.filter(([text]) => text === "two").map(([, key]) => key))
      assert.strictEqual(keys.size, 1)
      assert.deepStrictEqual(world.chance.slice(4), world.chance.slice(0, 2))
    })
  )

  it.effect("is migrated when it is resumed, retried, or forked, and not before", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      yield* interrupted(computer, world, "stop")
      const client = yield* computer.client
      // Nobody executes it; the command waits for who does.
      yield* client.pause("r")
      const second = yield* computer.boot(worker2(world))
      yield* untilStatus(client, "r", "paused")
      yield* idle
      assert.deepStrictEqual(yield* computer.eventsOf("r", "migrated"), [])
      assert.strictEqual((yield* client.get("r")).version, 1)
      world.hang = false
      const seq = (yield* client.get("r")).seq
      const fork = yield* second.runs.fork(Runs.ref(V1, "r"), seq, { id: "fork" })
      assert.strictEqual(fork.id, "fork")
      assert.deepStrictEqual(yield* second.runs.await(Runs.ref(V2, "fork")), ["a by 17"])
      yield* second.runs.resume("r")
      assert.deepStrictEqual(yield* second.runs.await(Runs.ref(V2, "r")), ["a by 17"])
      assert.strictEqual((yield* computer.eventsOf("r", "migrated")).length, 1)
      assert.strictEqual((yield* computer.eventsOf("fork", "migrated")).length, 1)
    })
  )

  it.effect("is executed again by replay from where the flow's version begins", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      yield* interrupted(computer, world)
      world.hang = false
      const { runs } = yield* computer.boot(worker2(world))
      yield* runs.await(Runs.ref(V2, "r"))
      const called = world.calls.length
      assert.deepStrictEqual(yield* runs.replay(Runs.ref(V2, "r")).pipe(Effect.provide(handlers2(world))), {
        run: "r",
        visits: 2,
        skipped: 1
      })
      assert.deepStrictEqual(yield* runs.replay(Runs.ref(V1, "r")).pipe(Effect.provide(handlers1(world))), {
        run: "r",
        visits: 1,
        skipped: 2
      })
      assert.strictEqual(world.calls.length, called)
    })
  )

  it.effect("that is to be cancelled is not migrated before", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      yield* interrupted(computer, world)
      const client = yield* computer.client
      yield* computer.send("r", "c", { type: "cancel", reason: "old" })
      yield* computer.boot(worker2(world))
      yield* untilStatus(client, "r", "cancelled")
      assert.deepStrictEqual(yield* computer.eventsOf("r", "migrated"), [])
    })
  )

  it.effect("is cancelled while its migration is under way, and then not migrated", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      yield* interrupted(computer, world)
      const client = yield* computer.client
      // Without a migration the store is asked what the flow was like, and takes its time.
      const bare = flowOf(2, {})
      let asked = false
      const second = yield* computer.boot(bare.live, {
        wrap: (store) => ({
          ...store,
          getArtifact: (hash) =>
            Effect.suspend(() => {
              asked = true
              return Effect.andThen(Effect.sleep("1 minute"), store.getArtifact(hash))
            })
        })
      })
      yield* until(Effect.sync(() => asked))
      yield* second.runs.cancel("r", "enough").pipe(Effect.forkChild)
      yield* idle
      yield* TestClock.adjust("2 minutes")
      yield* untilStatus(client, "r", "cancelled")
      const kinds = yield* computer.kinds("r")
      assert.deepStrictEqual(kinds.slice(-2), ["cancelRequested", "cancelled"])
    })
  )
})

/** The flow in some version with the nodes of version 1, and with whatever else is said of it. */
const flowOf = (
  version: number,
  options: {
    readonly state?: State.Channels
    readonly migrations?: ReadonlyArray<Migration.Any>
    readonly nodes?: Flow.Nodes
    readonly input?: Schema.Codec<any, any>
    readonly start?: string
  }
): { readonly flow: Flow.Any; readonly live: Parameters<Machine["boot"]>[0] } => {
  const flow: any = (Flow.make as any)("order", {
    version,
    input: V1.input,
    state: S1,
    output,
    start: "begin",
    nodes: V1.nodes,
    ...options
  })
  const handlers = Object.fromEntries(
    Object.keys(flow.nodes).map((node) => [node, () => Effect.die(new Error(`${node} is executed`))])
  )
  return { flow, live: Worker.layer({ flows: [flow] }).pipe(Layer.provide(flow.toLayer(handlers))) as any }
}

/** A migration that the compiler does not look at. */
const loose: (options: any) => Migration.Any = Migration.make as any

describe("a run that no migration fits", () => {
  const cases: Record<
    string,
    {
      readonly two: Parameters<typeof flowOf>[1]
      readonly says: ReadonlyArray<string>
      readonly not?: string
    }
  > = {
    "because there is none: it says what differs": {
      two: {
        state: {
          ...S1,
          notes: State.list(Schema.Int),
          extra: State.counter(),
          label: State.optional(Schema.Int)
        },
        input: Schema.Struct({ id: Schema.String, more: Schema.Boolean }),
        nodes: {
          begin: Node.make({ to: ["report", "other"] }),
          other: Node.make({ to: ["report"] }),
          report: Node.make({ to: ["end"] })
        }
      },
      says: [
        "version 1",
        V1.fingerprint.slice(0, 12),
        "version 2",
        "no migration from version 1 is declared",
        `the run is in node "gather", of which nothing is left in version 2`,
        `node "gather" is gone`,
        `node "other" is new`,
        `node "begin" no longer has the target "gather"`,
        `node "begin" has the target "other" now`,
        `channel "notes" no longer has the type list of String`,
        `channel "notes" has the type list of Number`,
        `channel "extra" is new`,
        `the flow no longer has the input { id: String }`,
        `the flow has the input { id: String, more: Boolean } now`
      ],
      not: `node "report"`
    },
    "because the node that it is in has no successor": {
      two: {
        nodes: { begin: Node.make({ to: ["report"] }), report: Node.make({ to: ["end"] }) },
        migrations: [loose({ from: V1, to: { version: 2, state: S1 }, state: (old: unknown) => old })]
      },
      says: [`the run is in node "gather", of which nothing is left in version 2`]
    },
    "because it has a channel that the migration does not know": {
      two: {
        migrations: [
          loose({ from: { version: 1, state: {} }, to: { version: 2, state: S1 }, state: () => ({}) })
        ]
      },
      says: [`the migration from version 1 to 2: version 1 has no channel "`]
    },
    "because its state was not what the migration says": {
      two: {
        migrations: [
          loose({
            from: { version: 1, state: { ...S1, scores: State.record(Schema.String) } },
            to: { version: 2, state: S1 },
            state: (old: unknown) => old
          })
        ]
      },
      says: [`the migration from version 1 to 2: channel "scores", entry "p"`, "Expected string"]
    },
    "because its input was not what the migration says": {
      two: {
        migrations: [
          loose({
            from: { version: 1, state: S1, input: Schema.Int },
            to: { version: 2, state: S1 },
            state: (old: unknown) => old
          })
        ]
      },
      says: ["the migration from version 1 to 2: the input: Expected"]
    },
    "because the migration gives something else than it says": {
      two: {
        migrations: [
          loose({
            from: V1,
            to: { version: 2, state: S1 },
            state: (old: object) => ({ ...old, tries: "many" })
          })
        ]
      },
      says: [`the migration from version 1 to 2: channel "tries"`, "Expected"]
    },
    "because the migration leaves a channel out": {
      two: {
        migrations: [
          loose({ from: V1, to: { version: 2, state: S1 }, state: ({ tries: _, ...old }: any) => old })
        ]
      },
      says: [`it does not give channel "tries"`]
    },
    "because the migration gives a channel that is none": {
      two: {
        migrations: [
          loose({ from: V1, to: { version: 2, state: S1 }, state: (old: object) => ({ ...old, typo: 1 }) })
        ]
      },
      says: [`it gives a channel "typo", which version 2 does not have`]
    },
    "because the migration breaks": {
      two: {
        migrations: [
          loose({
            from: V1,
            to: { version: 2, state: S1 },
            state: () => {
              throw new Error("no idea")
            }
          })
        ]
      },
      says: ["the migration from version 1 to 2: it broke: Error: no idea"]
    },
    "because the input would not fit the flow, and nothing changes it": {
      two: {
        input: Schema.Struct({ id: Schema.Int }),
        migrations: [loose({ from: V1, to: { version: 2, state: S1 }, state: (old: unknown) => old })]
      },
      says: ["version 2: the input", "Expected"]
    }
  }
  for (const [name, { not, says, two }] of Object.entries(cases)) {
    it.effect(`${name}, and goes on with what fits`, () =>
      Effect.gen(function* () {
        const computer = machine()
        const world = makeWorld()
        const run = yield* interrupted(computer, world)
        const second = yield* computer.boot(flowOf(2, two).live)
        const message = yield* incompatible(computer, second, "r")
        for (const text of says) assert.include(message, text)
        if (not !== undefined) assert.notInclude(message, not)
        // Nothing of it was changed.
        assert.deepStrictEqual(yield* computer.eventsOf("r", "migrated"), [])
        assert.strictEqual((yield* second.runs.get("r")).version, 1)
        yield* second.stop
        world.hang = false
        const third = yield* computer.boot(worker1(world))
        yield* third.runs.resume("r")
        assert.deepStrictEqual(yield* third.runs.await(run), ["a"])
      })
    )
  }

  it.effect("is told from the shape under the same version, too", () =>
    Effect.gen(function* () {
      const computer = machine()
      yield* interrupted(computer, makeWorld())
      const other = flowOf(1, { state: { ...S1, extra: State.counter() } })
      const second = yield* computer.boot(other.live)
      const message = yield* incompatible(computer, second, "r")
      assert.include(message, `channel "extra" is new`)
      assert.include(message, V1.fingerprint.slice(0, 12))
      assert.include(message, other.flow.fingerprint.slice(0, 12))
      assert.notInclude(message, "no migration")
    })
  )

  it.effect("is paused with what is known if what the flow was like cannot be read", () =>
    Effect.gen(function* () {
      for (const broken of ["gone", "unreadable"] as const) {
        const computer = machine()
        yield* interrupted(computer, makeWorld())
        const second = yield* computer.boot(
          flowOf(2, { nodes: { begin: Node.make({ to: ["end"] }) }, input: V1.input }).live,
          {
            wrap: (store) => ({
              ...store,
              getArtifact: () =>
                broken === "gone"
                  ? Effect.succeed(undefined)
                  : Effect.fail(
                      new StoreError({ operation: "getArtifact", reason: { _tag: "Io", code: "EIO" } })
                    )
            })
          }
        )
        const message = yield* incompatible(computer, second, "r")
        assert.include(message, `the run is in node "gather"`)
        assert.include(message, "what the flow was like is not in the store")
        if (broken === "unreadable") assert.include(message, "EIO")
      }
    })
  )

  it.effect("says no more than fits in an event", () =>
    Effect.gen(function* () {
      const computer = machine()
      yield* interrupted(computer, makeWorld())
      const many = Object.fromEntries(
        Array.from({ length: 99 }, (_, i) => [`c${i}${"x".repeat(999)}`, State.counter()])
      )
      const second = yield* computer.boot(flowOf(2, { state: { ...S1, ...many } }).live)
      const message = yield* incompatible(computer, second, "r")
      assert.match(message, /and \d\d more$/)
      assert.isBelow(message.length, 7000)
    })
  )
})

describe("edits", () => {
  it.effect("of a run are of the version that it is at", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = makeWorld()
      const run = yield* interrupted(computer, world, "stop")
      const client = yield* computer.client
      const { seq } = yield* client.get(run)
      const error = yield* Effect.flip(client.fork(Runs.ref(V2, "r"), seq, { edits: { attempts: 1 } }))
      assert.strictEqual(error._tag, "InvalidValue")
      assert.include(error.message, "version 1")
      const fork = yield* client.fork(run, seq, { edits: { tries: 41 } })
      const again = yield* Effect.flip(client.retry(Runs.ref(V2, fork.id), { edits: { attempts: 1 } }))
      assert.include(again.message, "version 1")
      world.hang = false
      const { runs } = yield* computer.boot(worker2(world))
      yield* runs.await(Runs.ref(V2, fork.id))
      assert.strictEqual((yield* runs.state(Runs.ref(V2, fork.id))).attempts, 42)
    })
  )
})
