/**
 * A flow in two versions, runs of it that stand somewhere, and what checkCompatibility says of them.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Verdict } from "@waymark/core/Compatibility"
import * as Flow from "@waymark/core/Flow"
import * as MemoryStore from "@waymark/core/MemoryStore"
import * as Migration from "@waymark/core/Migration"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import { Store } from "@waymark/core/Store"
import * as Worker from "@waymark/core/Worker"
import { Busy, Echo } from "./oneNode.ts"
import { idle } from "./process.ts"
import type { Machine, StoreService } from "./process.ts"

const state = { got: State.list(Schema.String) }
export const input = Schema.Struct({ id: Schema.String })
export const output = Schema.Array(Schema.String)
const nodes = { begin: Node.make({ to: ["work"] }), work: Node.make({ to: ["work", "end"], error: Busy }) }

export const V1 = Flow.make("checked", {
  version: 1,
  input,
  state,
  output,
  error: Busy,
  start: "begin",
  nodes
})
export const S2 = { got: State.list(Schema.Struct({ text: Schema.String })) }
export const V2 = Flow.make("checked", {
  version: 2,
  input,
  state: S2,
  output,
  error: Busy,
  start: "begin",
  nodes,
  migrations: [
    Migration.make({
      from: V1,
      to: { version: 2, state: S2 },
      state: ({ got }) => ({ got: got.map((text) => ({ text })) })
    })
  ]
})

export type Body = (next: any, given: any) => Effect.Effect<any, any, any>

/** Two rounds of three calls each, two of them at a time. */
export const asWritten: Body = (next, { state: { got } }) =>
  Effect.gen(function* () {
    const a = yield* Echo.call({ text: `a${got.length}` })
    const [b, c] = yield* Effect.all(
      [Echo.call({ text: `b${got.length}` }), Echo.call({ text: `c${got.length}` })],
      {
        concurrency: 2
      }
    )
    if (got.length > 1) return next.end([...got, a, b, c].map((item: any) => item.text ?? item))
    return next.to("work", { got: [typeof got[0] === "string" ? a : { text: a }] })
  })

export interface World {
  /** What the tool does not answer. */
  hang: string
  readonly calls: Array<string>
}

export const handlersOf = (
  flow: Flow.Any,
  world: World,
  work: Body = asWritten,
  update: object = { got: ["begun"] }
) =>
  ((flow as typeof V1).toLayer as any)({
    begin: ({ next }: any) => Effect.succeed(next.to("work", update)),
    work: (given: any) => work(given.next, given)
  }).pipe(
    Layer.provide(
      Echo.toLayer(({ text }) =>
        Effect.suspend(() => {
          world.calls.push(text)
          return text === world.hang ? Effect.never : Effect.succeed(text)
        })
      )
    )
  ) as Layer.Layer<Flow.Handlers<"checked">>

export const workerOf = (flow: Flow.Any, world: World, work?: Body, update?: object) =>
  Worker.layer({ flows: [flow as typeof V1] }).pipe(Layer.provide(handlersOf(flow, world, work, update)))

/** A run of the first version that stands where the tool does not answer. */
export const standing = Effect.fnUntraced(function* (
  computer: Machine,
  id: string,
  hang: string,
  work?: Body
) {
  const world: World = { hang, calls: [] }
  const process = yield* computer.boot(workerOf(V1, world, work))
  const run = yield* process.runs.start(V1, { id }, { id })
  for (let i = 0; i < 10; i++) yield* idle
  yield* process.stop
  return { run, calls: world.calls.length }
})

export const check = Effect.fnUntraced(function* (
  computer: Machine,
  flow: Flow.Any,
  options: {
    readonly work?: Body
    readonly wrap?: (store: StoreService) => StoreService
    readonly pageSize?: number
    readonly timeout?: "1 second"
  } = {}
) {
  const world: World = { hang: "", calls: [] }
  const store = yield* MemoryStore.make({ disk: computer.disk })
  const { pageSize, timeout } = options
  const verdicts = yield* Runs.checkCompatibility(flow as typeof V1, {
    ...(pageSize === undefined ? undefined : { pageSize }),
    ...(timeout === undefined ? undefined : { timeout })
  }).pipe(
    Stream.runCollect,
    Effect.provide(handlersOf(flow, world, options.work)),
    Effect.provideService(Store, options.wrap === undefined ? store : options.wrap(store))
  )
  assert.deepStrictEqual(world.calls, [], "no tool is called")
  return verdicts
}, Effect.scoped)

/** What is on a disk, as text. */
export const contentOf = (computer: Machine): string => {
  const { artifacts, index, log, meta, runs } = computer.disk.state as any
  return JSON.stringify([
    [...index.values()],
    log,
    [...meta],
    [...artifacts.keys()],
    [...runs.values()].map(({ crashed, epoch, inbox, lease, lines }: any) => [
      crashed,
      epoch,
      inbox,
      lease,
      lines
    ])
  ])
}

export const only = (verdicts: ReadonlyArray<Verdict>): Verdict => {
  assert.strictEqual(verdicts.length, 1, JSON.stringify(verdicts))
  return verdicts[0]!
}
