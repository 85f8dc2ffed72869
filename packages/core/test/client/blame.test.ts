import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Json } from "effect/Schema"
import * as Reducer from "effect/Reducer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import type { Checkpoint } from "@waymark/core/Checkpoint"
import { Codec } from "@waymark/core/Codec"
import type { Body, Event, Ops } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as RunState from "@waymark/core/RunState"
import * as State from "@waymark/core/State"
import { Visit } from "@waymark/core/Visit"
import * as Worker from "@waymark/core/Worker"
import { idle, machine } from "../engine/process.ts"
import { build, numbers } from "../journal/world.ts"
import type { World } from "../journal/world.ts"
import { clientOf, created, forked, more, written } from "./reading.ts"

type Path = Parameters<typeof Runs.blame>[1]

const using = (runs: Runs.Runs["Service"]) => Effect.provideService(Runs.Runs, runs)

/** Which event wrote each part of a channel, kept while the journal is read forwards. */
interface Origins {
  readonly whole: Event
  /** Of what the last `set` held. */
  readonly rest: Event | undefined
  readonly items: ReadonlyArray<Event>
  readonly keys: ReadonlyMap<string, Event>
}

const nothing = { items: [], keys: new Map<string, Event>() }

const originsAfter = (
  before: ReadonlyMap<string, Origins>,
  event: Event,
  ops: Ops | undefined
): ReadonlyMap<string, Origins> => {
  const after = new Map(before)
  for (const [channel, op] of Object.entries(ops ?? {})) {
    const known = after.get(channel)
    if ("set" in op) {
      const items = Array.isArray(op.set) ? op.set.map(() => event) : []
      after.set(channel, { whole: event, rest: event, items, keys: new Map() })
    } else if ("unset" in op || "add" in op) after.set(channel, { whole: event, rest: undefined, ...nothing })
    else if ("append" in op) {
      if (op.append.length === 0) continue
      const items = [...(known?.items ?? []), ...op.append.map(() => event)]
      after.set(channel, { whole: event, rest: known?.rest, items, keys: new Map() })
    } else if ("merge" in op) {
      const keys = Object.keys(op.merge)
      if (keys.length === 0) continue
      const all = new Map(known?.keys)
      for (const key of keys) all.set(key, event)
      after.set(channel, { whole: event, rest: known?.rest, items: [], keys: all })
    }
  }
  return after
}

/** What every event of a world did to the channels, told by reading forwards. */
const originsIn = ({ journals }: World): ReadonlyMap<string, ReadonlyArray<ReadonlyMap<string, Origins>>> => {
  const all = new Map<string, Array<ReadonlyMap<string, Origins>>>()
  for (const { entries, run } of journals) {
    const own: Array<ReadonlyMap<string, Origins>> = []
    all.set(run, own)
    for (const { event } of entries) {
      const before = own[own.length - 1] ?? new Map<string, Origins>()
      if (event.kind === "created") {
        const sets = Object.fromEntries(Object.entries(event.state).map(([name, set]) => [name, { set }]))
        own.push(originsAfter(before, event, sets))
      } else if (event.kind === "forked") {
        own.push(originsAfter(all.get(event.from.run)![event.from.seq]!, event, event.edits))
      } else if (event.kind === "restarted") own.push(originsAfter(before, event, event.edits))
      else if (event.kind === "migrated") own.push(originsAfter(before, event, event.ops))
      else if ((event.kind === "visited" || event.kind === "joined") && (event.branch ?? "") === "")
        own.push(originsAfter(before, event, event.ops))
      else own.push(before)
    }
  }
  return all
}

const isSame = (event: Event | undefined, answer: Checkpoint | undefined): boolean => {
  if (event === undefined || answer === undefined) return event === undefined && answer === undefined
  if (event.kind === "joined" && answer.kind === "visited") {
    return answer.branch!.startsWith(`${event.fanOut}.`) && answer.time <= event.time
  }
  return event.run === answer.run && event.seq === answer.seq
}

/** Every path into a value, down to the third level, and some that lead nowhere. */
const pathsInto = (value: Json, depth = 2): ReadonlyArray<ReadonlyArray<string | number>> => {
  const deeper = (key: string | number, child: Json) => [
    [key],
    ...(depth > 0 ? pathsInto(child, depth - 1).map((path) => [key, ...path]) : [])
  ]
  if (Array.isArray(value)) return [...value.flatMap((item, i) => deeper(i, item)), [value.length], ["x"]]
  if (typeof value === "object" && value !== null) {
    return [...Object.entries(value).flatMap(([key, item]) => deeper(key, item)), ["not there"]]
  }
  return [["toString"]]
}

const at = (value: Json | undefined, keys: ReadonlyArray<string | number>): Json | undefined => {
  let here: any = value
  for (const key of keys) {
    if (typeof here !== "object" || here === null || !Object.hasOwn(here, key)) return undefined
    if (Array.isArray(here) && typeof key !== "number") return undefined
    here = here[key]
  }
  return here
}

describe("what last wrote a part of the state", () => {
  it.effect.prop(
    "is what reading everything forwards says, for any part of any run and its forks at any position",
    { numbers: numbers(120) },
    Effect.fnUntraced(function* ({ numbers }) {
      const world = build(numbers)
      const origins = originsIn(world)
      const { runs } = yield* clientOf(world.journals)
      for (const { entries, run, states } of world.journals) {
        for (const seq of new Set([entries.length - 1, entries.length >> 1, entries.length >> 2])) {
          const expected = origins.get(run)![seq]!
          const values = RunState.stateOf(states[seq]!)
          for (const channel of new Set([...expected.keys(), "no such channel"])) {
            const known = expected.get(channel)
            const check = Effect.fnUntraced(function* (path: Path, event: Event | undefined) {
              const answer = yield* Runs.blame(run, path, { seq }).pipe(using(runs))
              assert.isTrue(
                isSame(event, answer),
                `${JSON.stringify(path)} at ${seq} of ${run}: ${JSON.stringify(answer)}, not seq ${event?.seq} of ${event?.run}`
              )
            })
            yield* check(channel, known?.whole)
            const value = Object.hasOwn(values, channel) ? values[channel] : undefined
            for (const path of value === undefined ? [] : pathsInto(value)) {
              const key = path[0]!
              const writer = Array.isArray(value)
                ? known!.items[Number(key)]
                : (known!.keys.get(String(key)) ?? known!.rest)
              yield* check([channel, ...path], at(value, path) === undefined ? undefined : writer)
            }
          }
        }
      }
    }),
    { arbitrary: { runs: 25, seed: 1 }, timeout: 300_000 }
  )
})

/** Counts to `rounds`; each round adds to a list, a record, a counter, and sometimes sets other channels. */
const counting = (rounds: number) => {
  const flow = Flow.make("counting", {
    input: Schema.Struct({}),
    state: {
      seen: State.list(Schema.Int),
      last: State.record(Schema.Int),
      total: State.counter(),
      mode: State.value(Schema.Struct({ name: Schema.String, fast: Schema.Boolean }), {
        name: "first",
        fast: false
      }),
      hint: State.optional(Schema.String)
    },
    output: Schema.Int,
    start: "count",
    nodes: { count: Node.make({ to: ["count", "check"] }), check: Node.make({ to: ["end"] }) }
  })
  const world = { broken: true }
  const live = Worker.layer({ flows: [flow] }).pipe(
    Layer.provide(
      flow.toLayer({
        count: ({ next, state }) =>
          Effect.sync(() => {
            const n = state.total
            const update = {
              seen: [n, -n],
              last: { [`k${n % 4}`]: n },
              total: 1,
              ...(n === 1 ? { mode: { name: "second", fast: false }, hint: "h" } : undefined),
              ...(n === 3 ? { hint: undefined } : undefined)
            }
            return next.to(n + 1 === rounds ? "check" : "count", update)
          }),
        check: ({ next, state }) =>
          Effect.suspend(() =>
            world.broken ? Effect.die(new Error("broken")) : Effect.succeed(next.end(state.total))
          )
      })
    )
  )
  return { flow, live, world }
}

describe("blame", () => {
  it.effect("names the visit: the item's, the entry's, the channel's", () =>
    Effect.gen(function* () {
      const { flow, live } = counting(6)
      const computer = machine()
      const { runs } = yield* computer.boot(live)
      const run = yield* runs.start(flow, {}, { id: "r", actor: "ada" })
      yield* Effect.flip(runs.await(run))
      const visit = Effect.fnUntraced(function* (path: Path, options?: { readonly seq: number }) {
        const found = yield* Runs.blame(run, path, options).pipe(using(runs))
        assert.strictEqual(found?.kind, "visited")
        assert.deepInclude(found, { run: "r", node: "count", attempt: 1, status: "completed" })
        return found!.visit
      })
      assert.strictEqual(yield* visit("seen"), 6)
      assert.strictEqual(yield* visit(["seen", 11]), 6)
      assert.strictEqual(yield* visit(["seen", 5]), 3)
      assert.strictEqual(yield* visit(["seen", 4]), 3)
      assert.strictEqual(yield* visit(["seen", 0]), 1)
      assert.strictEqual(yield* visit(["last", "k0"]), 5)
      assert.strictEqual(yield* visit(["last", "k2"]), 3)
      assert.strictEqual(yield* visit(["last", "k0"], { seq: 3 }), 1)
      assert.strictEqual(yield* visit("total"), 6)
      // Set whole: also the part that stayed the same.
      assert.strictEqual(yield* visit(["mode", "fast"]), 2)
      // It was emptied; before, it had been set.
      assert.strictEqual(yield* visit("hint"), 4)
      assert.strictEqual(yield* visit("hint", { seq: 3 }), 2)
      const initial = yield* Runs.blame("r", ["mode", "name"], { seq: 1 }).pipe(using(runs))
      assert.deepInclude(initial, { kind: "created", seq: 0, actor: "ada" })
      for (const path of [
        ["seen", 12],
        ["seen", -1],
        ["seen", "x"],
        ["last", "k9"],
        ["mode", "name", "x"]
      ]) {
        assert.isUndefined(yield* Runs.blame(run, path as any).pipe(using(runs)), path.join())
      }
      assert.isUndefined(yield* Runs.blame(run, "seen", { seq: 0 }).pipe(using(runs)))
      assert.isUndefined(yield* Runs.blame(run, "nope").pipe(using(runs)))
      const wrong = yield* Effect.flip(Runs.blame(run, "seen", { seq: 99 })).pipe(using(runs))
      assert.strictEqual(wrong._tag, "InvalidCheckpoint")
      assert.strictEqual((yield* Effect.flip(Runs.blame("x", "seen")).pipe(using(runs)))._tag, "RunNotFound")
    })
  )

  it.effect("names the person for what was edited in a retry or in a fork, and leads to the origin", () =>
    Effect.gen(function* () {
      const { flow, live, world } = counting(3)
      const computer = machine()
      const { runs } = yield* computer.boot(live)
      const run = yield* runs.start(flow, {}, { id: "r" })
      yield* Effect.flip(runs.await(run))
      yield* runs.retry(run, { actor: "grace", commandId: "fix", edits: { last: { k0: 7, k8: 8 } } })
      yield* Effect.flip(runs.await(run))
      const edited = yield* Runs.blame(run, ["last", "k8"]).pipe(using(runs))
      assert.deepInclude(edited, { run: "r", kind: "restarted", actor: "grace", command: "fix" })
      assert.isUndefined(yield* Runs.blame(run, ["last", "k1"]).pipe(using(runs)))
      assert.strictEqual((yield* Runs.blame(run, ["seen", 3]).pipe(using(runs)))?.visit, 2)

      world.broken = false
      const from = edited!.seq
      const fork = yield* runs.fork(run, from, { id: "f", actor: "linus", edits: { seen: [5, 6, 7] } })
      yield* runs.await(fork)
      assert.deepInclude(yield* Runs.blame(fork, ["seen", 2]).pipe(using(runs)), {
        run: "f",
        seq: 0,
        kind: "forked",
        actor: "linus"
      })
      // What the fork did not touch is the origin's.
      assert.deepStrictEqual(yield* Runs.blame(fork, ["last", "k8"]).pipe(using(runs)), edited)
      const total = yield* Runs.blame(fork, "total").pipe(using(runs))
      assert.deepInclude(total, { run: "r", node: "count", visit: 3 })
      // The origin does not know of its fork.
      assert.strictEqual((yield* Runs.blame(run, ["seen", 2]).pipe(using(runs)))?.visit, 2)
    })
  )

  it.effect("reads backwards from the end, and no further than it has to", () =>
    Effect.gen(function* () {
      const ops = (n: number): Ops => ({ list: { append: [n] }, table: { merge: { [`k${n}`]: n } } })
      const visits = Array.from({ length: 5000 }, (_, index): Body => ({
        kind: "visited",
        node: "work",
        visit: index + 1,
        attempt: 1,
        started: 0,
        ops: index === 10 ? { ...ops(index), rare: { set: "once" } } : ops(index),
        next: { to: "work" }
      }))
      const journal = written("r", [created(), ...visits])
      const { reads, runs } = yield* clientOf([journal], 1000)
      const near = Effect.fnUntraced(function* (path: Path) {
        reads.backwards = 0
        const found = yield* Runs.blame("r", path).pipe(using(runs))
        return { seq: found?.seq, read: reads.backwards }
      })
      assert.deepStrictEqual(yield* near(["list", 4999]), { seq: 5000, read: 16 })
      assert.deepStrictEqual(yield* near(["table", "k4990"]), { seq: 4991, read: 16 })
      assert.deepStrictEqual(yield* near(["list", 4950]), { seq: 4951, read: 80 })
      // The state itself knows by which event a channel was set.
      assert.deepStrictEqual(yield* near("rare"), { seq: 11, read: 12 })
      assert.strictEqual((yield* near(["list", 0])).seq, 1)
    })
  )

  it.effect("needs to open nothing that a codec has sealed", () =>
    Effect.gen(function* () {
      const { flow, live } = counting(4)
      const codec: Codec = {
        name: "sealing",
        encrypts: true,
        encode: (value) => Effect.succeed(`sealed ${JSON.stringify(value)}`),
        decode: (value) => Effect.succeed(JSON.parse((value as string).slice("sealed ".length)) as Json)
      }
      const computer = machine()
      const { runs } = yield* computer.boot(live.pipe(Layer.provide(Layer.succeed(Codec, codec))))
      const run = yield* runs.start(flow, {}, { id: "r" })
      yield* Effect.flip(runs.await(run))
      assert.strictEqual((yield* Runs.blame(run, ["seen", 3]).pipe(using(runs)))?.visit, 2)
      assert.strictEqual((yield* Runs.blame(run, ["last", "k2"]).pipe(using(runs)))?.visit, 3)
      assert.strictEqual((yield* Runs.blame(run, ["mode", "name"]).pipe(using(runs)))?.visit, 2)
    })
  )
})

describe("blame of what came out of branches", () => {
  const visited = (branch: string, node: string, visit: number, next: object, ops?: Ops): Body =>
    ({
      kind: "visited",
      ...(branch === "" ? undefined : { branch }),
      node,
      visit,
      attempt: 1,
      started: 0,
      ...(ops === undefined ? undefined : { ops }),
      next
    }) as Body

  const fan = (nodes: number) => ({
    branches: Array.from({ length: nodes }, () => ({ node: "item" })),
    join: "merge",
    policy: "collect"
  })

  /**
   * Four branches: the second one goes into branches of its own and on to another node, the third one fails, and the last
   * one is through although a visit of it failed.
   */
  const fannedOut = () =>
    written("r", [
      created({ list: ["start"] }),
      visited("", "work", 1, fan(4), { list: { append: ["before"] } }),
      visited("1.3", "item", 1, { to: "item" }, { list: { append: ["d1"] } }),
      {
        kind: "visitFailed",
        branch: "1.3",
        node: "item",
        visit: 2,
        attempt: 1,
        started: 0,
        error: { kind: "interrupted" },
        outcome: { status: "tolerated", to: "merge", joins: true }
      },
      visited("1.1", "item", 1, fan(2), { list: { append: ["b1"] } }),
      visited(
        "1.1/1.1",
        "item",
        1,
        { to: "merge", joins: true },
        { list: { append: ["b1b"] }, one: { set: 2 } }
      ),
      visited(
        "1.0",
        "item",
        1,
        { to: "merge", joins: true },
        { list: { append: ["a1", "a2"] }, table: { merge: { a: 1 } } }
      ),
      visited("1.2", "item", 1, { to: "item" }, { list: { append: ["never"] }, table: { merge: { a: 3 } } }),
      visited(
        "1.1/1.0",
        "item",
        1,
        { to: "merge", joins: true },
        { list: { append: ["b1a"] }, sum: { add: 5 } }
      ),
      {
        kind: "joined",
        branch: "1.1",
        fanOut: "1.1/1",
        ops: { list: { append: ["b1a", "b1b"] }, one: { set: 2 }, sum: { add: 5 } }
      },
      visited(
        "1.1",
        "merge",
        2,
        { to: "merge", joins: true },
        { list: { append: ["b2"] }, table: { merge: { b: 2 } } }
      )
    ])

  const failing: Body = {
    kind: "branchFailed",
    branch: "1.2",
    node: "item",
    visit: 2,
    attempt: 1,
    error: { kind: "interrupted" }
  }

  const join: Body = {
    kind: "joined",
    fanOut: "1",
    ops: {
      list: { append: ["a1", "a2", "b1", "b1a", "b1b", "b2", "d1"] },
      table: { merge: { a: 1, b: 2 } },
      one: { set: 2 },
      sum: { add: 5 }
    }
  }

  const places = Effect.fnUntraced(function* (runs: Runs.Runs["Service"], run: string) {
    const place = (path: Path) =>
      Runs.blame(run, path).pipe(
        using(runs),
        Effect.map((found) => [found?.run, found?.kind, found?.branch ?? "", found?.node, found?.visit])
      )
    const list: Array<unknown> = []
    for (let i = 0; i < 10; i++) list.push(yield* place(["list", i]))
    return {
      list,
      a: yield* place(["table", "a"]),
      b: yield* place(["table", "b"]),
      one: yield* place("one"),
      sum: yield* place("sum")
    }
  })

  const expected = (first: string, last = first) => ({
    list: [
      [first, "created", "", undefined, undefined],
      [first, "visited", "", "work", 1],
      [first, "visited", "1.0", "item", 1],
      [first, "visited", "1.0", "item", 1],
      [first, "visited", "1.1", "item", 1],
      [first, "visited", "1.1/1.0", "item", 1],
      [first, "visited", "1.1/1.1", "item", 1],
      [last, "visited", "1.1", "merge", 2],
      [first, "visited", "1.3", "item", 1],
      [last, "visited", "", "merge", 2]
    ],
    a: [first, "visited", "1.0", "item", 1],
    b: [last, "visited", "1.1", "merge", 2],
    one: [first, "visited", "1.1/1.1", "item", 1],
    sum: [first, "visited", "1.1/1.0", "item", 1]
  })

  const after = visited("", "merge", 2, { to: "work" }, { list: { append: ["after"] } })

  it.effect(
    "leads to the visit in the branch, in branch order, whatever the order in which they finished",
    () =>
      Effect.gen(function* () {
        const journal = fannedOut()
        more(journal, [failing, join, after])
        const { runs } = yield* clientOf([journal])
        assert.deepStrictEqual(yield* places(runs, "r"), expected("r"))
      })
  )

  it.effect("also in a fork that began while they were open", () =>
    Effect.gen(function* () {
      const journal = fannedOut()
      const fork = forked(journal, 9, "f", { node: "merge" })
      more(fork, [
        visited(
          "1.1",
          "merge",
          2,
          { to: "merge", joins: true },
          { list: { append: ["b2"] }, table: { merge: { b: 2 } } }
        ),
        failing,
        join,
        after
      ])
      const { runs } = yield* clientOf([journal, fork])
      assert.deepStrictEqual(yield* places(runs, "f"), expected("r", "f"))
    })
  )

  it.effect("also where a migration changed what the branches had made by then", () =>
    Effect.gen(function* () {
      const journal = fannedOut()
      const list = { append: ["A", "b1", "b1a", "b1b", "b2", "d1"] }
      more(journal, [
        failing,
        {
          kind: "migrated",
          from: { version: 1, fingerprint: "f" },
          version: 2,
          fingerprint: "g",
          ops: {},
          updates: { "1": { "1.0": [{ list: { append: ["A"] }, table: { merge: { z: 1 } } }] } }
        },
        { kind: "joined", fanOut: "1", ops: { list, table: { merge: { z: 1, b: 2 } } } }
      ])
      const { runs } = yield* clientOf([journal])
      for (const [path, branch, visit] of [
        [["list", 2], "1.0", 1],
        [["list", 3], "1.1", 1],
        [["list", 6], "1.1", 2],
        [["table", "z"], "1.0", 1]
      ] as const) {
        assert.deepInclude(yield* Runs.blame("r", path).pipe(using(runs)), { branch, visit })
      }
    })
  )

  it.effect("and not to branches that completed when a quorum was there already", () =>
    Effect.gen(function* () {
      const to = { to: "merge", joins: true }
      const journal = written("r", [
        created(),
        visited("", "work", 1, { ...fan(3), policy: { quorum: 1 } }),
        visited("1.2", "item", 1, to, { list: { append: ["c"] } }),
        visited("1.0", "item", 1, to, { list: { append: ["a"] } }),
        { kind: "joined", fanOut: "1", ops: { list: { append: ["c"] } }, dropped: 1 }
      ])
      const { runs } = yield* clientOf([journal])
      assert.deepInclude(yield* Runs.blame("r", ["list", 0]).pipe(using(runs)), { branch: "1.2", seq: 2 })
    })
  )

  it.effect("and to the join where the branches do not account for what it did", () =>
    Effect.gen(function* () {
      const journal = fannedOut()
      more(journal, [
        failing,
        { kind: "joined", fanOut: "1", ops: { list: { append: ["something", "else"] }, other: { set: 1 } } }
      ])
      const { runs } = yield* clientOf([journal])
      for (const path of [["list", 3], ["list", 2], "other"] as const) {
        const found = yield* Runs.blame("r", path).pipe(using(runs))
        assert.deepInclude(found, { kind: "joined", seq: 12 })
      }
      assert.deepInclude(yield* Runs.blame("r", ["list", 1]).pipe(using(runs)), { node: "work", visit: 1 })
    })
  )

  class Bad extends Schema.TaggedError<Bad>()("Bad", {}) {}

  /** Branches and branches in them. Whatever they write says where it was written. */
  const nesting = (policy: Node.FanOutPolicy) => {
    const flow = Flow.make("nesting", {
      input: Schema.Array(Schema.Int),
      state: {
        list: State.list(Schema.String),
        table: State.record(Schema.String),
        longest: State.reduce(
          Schema.String,
          Reducer.make((a: string, b: string) => (b.length >= a.length ? b : a), "")
        )
      },
      output: Schema.Array(Schema.String),
      error: Bad,
      start: "split",
      nodes: {
        split: Node.make({
          to: [],
          fanOut: { to: ["part"], join: "merge", policy: policy as "failFast" }
        }),
        part: Node.make({
          item: Schema.Int,
          to: ["merge"],
          error: Bad,
          fanOut: { to: ["leaf"], join: "gather" }
        }),
        leaf: Node.make({ item: Schema.Int, to: ["gather"] }),
        gather: Node.make({ to: ["gather", "merge"] }),
        merge: Node.make({ to: ["end"] })
      }
    })
    const here = Effect.map(Visit, ({ branch, node, visit }) => `${branch}|${node}|${visit}`)
    const live = Worker.layer({ flows: [flow] }).pipe(
      Layer.provide(
        flow.toLayer({
          split: ({ input, next }) =>
            Effect.succeed(next.each(input, "part", { update: { list: ["|split|1"] } })),
          part: Effect.fnUntraced(function* ({ item, next }) {
            const at = yield* here
            if (item === 0) return yield* new Bad()
            if (item < 0) return next.to("merge", { list: [at], longest: at })
            yield* Effect.sleep(`${10 - item} seconds`)
            const update = { list: [at], table: { shared: at, [at]: at } }
            return next.each([item, item + 1], "leaf", { update })
          }),
          leaf: Effect.fnUntraced(function* ({ item, next }) {
            const at = yield* here
            yield* Effect.sleep(`${20 - item} seconds`)
            return next.to("gather", { list: [at, at], table: { shared: at }, longest: at })
          }),
          gather: Effect.fnUntraced(function* ({ next }) {
            const at = yield* here
            return next.to(at.endsWith("|3") ? "merge" : "gather", { list: [at] })
          }),
          merge: ({ next, state }) => Effect.succeed(next.end(state.list))
        })
      )
    )
    return { flow, live }
  }

  for (const [name, policy, items] of [
    ["that all have to complete", "failFast", [3, -1, 5]],
    ["of which some fail", "collect", [3, 0, 5, -1, 0, 1]],
    ["of which the first ones to complete count", { quorum: 3 }, [1, -1, 0, 5, 7]]
  ] as const) {
    it.effect(`names for branches ${name} where they themselves say that it was written`, () =>
      Effect.gen(function* () {
        const { flow, live } = nesting(policy)
        const { boot } = machine()
        const { runs } = yield* boot(live)
        const run = yield* runs.start(flow, items, { id: "r" })
        yield* idle
        yield* TestClock.adjust("1 minute")
        const list = yield* runs.await(run)
        assert.isAbove(list.length, 10)
        const { longest, table } = yield* runs.state(run)
        const wrote = (path: Path) =>
          Effect.map(
            Runs.blame(run, path).pipe(using(runs)),
            (found) => `${found?.branch ?? ""}|${found?.node}|${found?.visit}`
          )
        for (let i = 0; i < list.length; i++) assert.strictEqual(yield* wrote(["list", i]), list[i])
        for (const key of Object.keys(table)) assert.strictEqual(yield* wrote(["table", key]), table[key])
        assert.isAbove(Object.keys(table).length, 2)
        assert.isNotEmpty(longest)
        // It came of all that the branches had: the last one of them wrote it.
        assert.match(yield* wrote("longest"), /^1\.\d/)
      })
    )
  }
})
