/**
 * What the tests execute in a browser, in a worker: a run of many calls in a store in IndexedDB. It tells the page of each
 * durable event, of each call that is carried out, and how it ends.
 */
import { Deferred, Effect, Fiber, Layer, Schema } from "effect"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import { Store } from "@waymark/core/Store"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import * as BrowserSqljsStore from "@waymark/store-sqljs/BrowserSqljsStore"
import { Maintenance } from "@waymark/store-sqljs/Maintenance"

/** What the program tells. */
export type Told =
  | { readonly what: "called"; readonly at: number; readonly repeated: boolean }
  | { readonly what: "event"; readonly seq: number; readonly line: string }
  | { readonly what: "opened" }
  | {
      readonly what: "ended"
      readonly output: number
      readonly verified: number
      readonly lines: ReadonlyArray<string>
      readonly found: ReadonlyArray<string>
    }
  | { readonly what: "failed"; readonly message: string }

/** What it is asked for. */
export interface Asked {
  /**
   * `write` executes the run, or goes on with it; `read` follows it, and writes nothing; `answer` answers the call that
   * is not.
   */
  readonly mode: "write" | "read" | "answer"
  readonly steps: number
  /** Which call is not answered, so that the run has not ended when something is done to it. */
  readonly holdAt?: number
}

const tell = (told: Told): void => postMessage(told)
const run = "the-run"

const Carry = Tool.make("carry", { input: { at: Schema.Int }, output: Schema.Int })

const Counting = Flow.make("counting", {
  input: Schema.Struct({ steps: Schema.Int }),
  state: { at: State.counter() },
  output: Schema.Int,
  start: "step",
  nodes: { step: Node.make({ to: ["step", "end"] }) },
  maxSteps: 100_000
})

const handlers = Counting.toLayer({
  step: Effect.fn("step")(function* ({ input, next, state }) {
    if (state.at >= input.steps) return next.end(state.at)
    return next.to("step", { at: yield* Carry.call({ at: state.at }) })
  })
})

const answered = Deferred.makeUnsafe<void>()

const carrying = (holdAt: number | undefined) =>
  Carry.toLayer(({ at }) =>
    Effect.gen(function* () {
      tell({ what: "called", at, repeated: (yield* Tool.Invocation).repeated })
      if (at === holdAt) yield* Deferred.await(answered)
      return 1
    })
  )

const store = (readOnly: boolean) =>
  BrowserSqljsStore.layer({
    name: "test",
    readOnly,
    // So little that many folds are made.
    foldBytes: 20_000,
    pollInterval: 20,
    locateFile: (file) => `/${file}`
  })

const allLines = Effect.gen(function* () {
  const { read } = yield* Store
  const lines: Array<string> = []
  while (true) {
    const entries = yield* read(run, { from: lines.length })
    if (entries.length === 0) return lines
    lines.push(...entries.map(({ line }) => line))
  }
})

/** Tells of the events of the run as they become durable, until it has completed. */
const tellEvents = Effect.gen(function* () {
  const { changed, read } = yield* Store
  let from = 0
  while (true) {
    const entries = yield* read(run, { from })
    for (const { event, line } of entries) {
      tell({ what: "event", seq: event.seq, line })
      from = event.seq + 1
      if (event.kind === "completed") return
    }
    yield* changed(run, from - 1)
  }
})

const write = ({ holdAt, steps }: Asked) =>
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const { search } = yield* Maintenance
    tell({ what: "opened" })
    const started = yield* runs.start(Counting, { steps }, { id: run })
    const telling = yield* Effect.forkChild(tellEvents)
    const output = yield* runs.await(started)
    yield* Fiber.join(telling)
    const { to } = yield* Runs.verify(run)
    const found = (yield* search(String(steps))).map((each) => each.run)
    tell({ what: "ended", output, verified: to, lines: yield* allLines, found })
  }).pipe(
    Effect.provide(
      Worker.layer({ flows: [Counting] }).pipe(
        Layer.provide(handlers),
        Layer.provide(carrying(holdAt)),
        Layer.provideMerge(store(false))
      )
    )
  )

const read = Effect.gen(function* () {
  tell({ what: "opened" })
  yield* tellEvents
}).pipe(Effect.provide(store(true)))

addEventListener("message", ({ data }: MessageEvent<Asked>) => {
  if (data.mode === "answer") return void Deferred.doneUnsafe(answered, Effect.void)
  const asked: Effect.Effect<void, { readonly message: string }> = data.mode === "write" ? write(data) : read
  void Effect.runPromise(asked).catch((error: Error) => tell({ what: "failed", message: error.message }))
})
