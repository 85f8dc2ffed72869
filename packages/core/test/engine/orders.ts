/**
 * A flow in three versions, and runs of the first one whose process dies in the middle of a call.
 */
import { assert } from "@effect/vitest"
import * as Combiner from "effect/Combiner"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type { PauseReason } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import * as Migration from "@waymark/core/Migration"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import { Echo } from "./oneNode.ts"
import { idle, until, untilStatus } from "./process.ts"
import type { Machine, Process } from "./process.ts"

const Note = Schema.Struct({ text: Schema.String, by: Schema.String })

export const S1 = {
  notes: State.list(Schema.String),
  tries: State.counter(),
  label: State.optional(Schema.String),
  scores: State.record(Schema.Int),
  best: State.reduce(Schema.Finite, Combiner.make<number>(Math.max), 0),
  chance: State.list(Schema.Finite),
  long: State.list(Schema.String)
}
export const S2 = {
  ...S1,
  notes: State.list(Note),
  attempts: State.value(Schema.Int, 7),
  done: State.list(Schema.Int)
}
const { label: _label, tries: _tries, ...S3 } = S2

export const output = Schema.Array(Schema.String)

export const V1 = Flow.make("order", {
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

export const V2 = Flow.make("order", {
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

export const V3 = Flow.make("order", {
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

export interface World {
  hang: boolean
  /** What the tool was asked for: its input, the idempotency key, whether it may have happened before. */
  readonly calls: Array<readonly [text: string, key: string, repeated: boolean]>
  readonly chance: Array<number>
}

export const makeWorld = (): World => ({ hang: true, calls: [], chance: [] })

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

export const long = Array.from({ length: 100 }, (_, i) => `item ${i}`)

export const handlers1 = (world: World) =>
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

export const handlers2 = (world: World) =>
  V2.toLayer({
    begin: ({ next }) => Effect.succeed(next.to("collect")),
    collect: ({ next }) => Effect.as(working(world), next.to("report", { best: 9, done: [1] })),
    report: ({ next, state }) =>
      Effect.succeed(next.end(state.notes.map(({ by, text }) => `${text} by ${by}`)))
  }).pipe(Layer.provide(echo(world)))

export const worker1 = (world: World) => Worker.layer({ flows: [V1] }).pipe(Layer.provide(handlers1(world)))
export const worker2 = (world: World) => Worker.layer({ flows: [V2] }).pipe(Layer.provide(handlers2(world)))

export const worker3 = (world: World) =>
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
export const interrupted = Effect.fnUntraced(function* (
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
export const incompatible = Effect.fnUntraced(function* (computer: Machine, process: Process, run: string) {
  yield* untilStatus(process.runs, run, "paused")
  const paused = yield* computer.eventsOf(run, "paused")
  assert.strictEqual(paused.at(-1)!.reason.kind, "incompatible")
  return messageOf(paused.at(-1)!.reason)
})

/** The flow in some version with the nodes of version 1, and with whatever else is said of it. */
export const flowOf = (
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
export const loose: (options: any) => Migration.Any = Migration.make as any
