/**
 * A flow of two visits whose calls can be undone, and a world that remembers what was done and undone.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import { Busy } from "./oneNode.ts"

export const Pay = Tool.make("pay", {
  input: { what: Schema.String },
  output: Schema.String,
  error: Busy,
  compensate: { retry: Schedule.spaced("1 minute").pipe(Schedule.upTo({ times: 2 })), timeout: "10 seconds" }
})

/** What it undoes it undoes also if nobody knows whether it was done. */
export const Book = Tool.make("book", {
  input: { what: Schema.String },
  output: Schema.String,
  error: Busy,
  compensate: { inDoubt: true }
})

/** It cannot be undone. */
export const Mail = Tool.make("mail", { input: { what: Schema.String }, output: Schema.String })

export const saga = Flow.make("saga", {
  input: Schema.Struct({}),
  state: { done: State.list(Schema.String) },
  output: Schema.Array(Schema.String),
  error: Busy,
  start: "first",
  nodes: {
    first: Node.make({ to: ["second"], error: Busy }),
    second: Node.make({ to: ["end"], error: Busy })
  }
})

export interface Undoing {
  readonly input: { readonly what: string }
  readonly output: string | undefined
  /** The key of the call, and that of undoing it. */
  readonly key: string
  readonly own: Tool.Invocation["Service"]
}

export interface World {
  readonly done: Array<{ readonly what: string; readonly key: string }>
  readonly undone: Array<Undoing>
  /** What undoing something amounts to: nothing in particular, by default. */
  undo: (undoing: Undoing) => Effect.Effect<void, Busy>
  /** The same for doing it. */
  do: (what: string) => Effect.Effect<void, Busy>
  /** What the second visit does after its calls: it fails, by default. */
  finally: () => Effect.Effect<void, Busy>
}

export const makeWorld = (given: Partial<World> = {}): World => ({
  done: [],
  undone: [],
  undo: () => Effect.void,
  do: () => Effect.void,
  finally: () => Effect.fail(new Busy({ n: 1 })),
  ...given
})

const handlersFor = (world: World) => ({
  call: Effect.fnUntraced(function* ({ what }: { readonly what: string }) {
    const { key } = yield* Tool.Invocation
    world.done.push({ what, key })
    yield* world.do(what)
    return `${what} is done`
  }),
  compensate: Effect.fnUntraced(function* (done: Tool.Done<{ readonly what: string }, string | undefined>) {
    const undoing = { ...done, own: yield* Tool.Invocation }
    world.undone.push(undoing)
    yield* world.undo(undoing)
  })
})

export const toolsOf = (world: World) =>
  Layer.mergeAll(
    Pay.toLayer(handlersFor(world)),
    Book.toLayer(handlersFor(world)),
    Mail.toLayer(({ what }) => Effect.succeed(what))
  )

export const sagaHandlers = (world: World) =>
  saga.toLayer({
    first: Effect.fnUntraced(function* ({ next }) {
      yield* Pay.call({ what: "a" })
      yield* Mail.call({ what: "a" })
      yield* Pay.call({ what: "b" })
      return next.to("second", { done: ["a", "b"] })
    }),
    second: Effect.fnUntraced(function* ({ next, state }) {
      yield* Pay.call({ what: "c" })
      yield* world.finally()
      return next.end(state.done)
    })
  })

export const sagaWorker = (world: World, options: Omit<Worker.Options<[]>, "flows"> = {}) =>
  Worker.layer({ ...options, flows: [saga] }).pipe(
    Layer.provide(sagaHandlers(world)),
    Layer.provide(toolsOf(world))
  )

/** What was undone, in order. */
export const undoneIn = ({ undone }: World): ReadonlyArray<string> => undone.map(({ input }) => input.what)
