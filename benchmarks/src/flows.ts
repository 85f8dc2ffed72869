/**
 * The flows that are measured. Their handlers do next to nothing: what is measured is what is around them.
 */
// A step that is pure has nothing to wait for; it is still written as all others are.
/* oxlint-disable require-yield */
import * as Flow from "@waymark/core/Flow"
import * as Next from "@waymark/core/Next"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Wait from "@waymark/core/Wait"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** Enough for every case. */
const maxSteps = 1_000_000

const chain = {
  input: { steps: Schema.Int },
  state: { at: State.counter() },
  output: Schema.Int,
  start: "step",
  maxSteps,
  nodes: { step: Node.make({ to: ["step", "end"] }) }
} as const

/** Steps that count themselves. */
export const Chain = Flow.make("chain", chain)
/** The same, each step durable before the next. */
export const StrictChain = Flow.make("strict-chain", { ...chain, durability: "strict" })

export const chainStep: Flow.Handler<typeof Chain, "step"> = Effect.fn("step")(function* ({
  input,
  next,
  state
}) {
  return state.at + 1 < input.steps ? next.to("step", { at: 1 }) : next.end(state.at + 1)
})

export const chainHandlers = Chain.toLayer({ step: chainStep })
export const strictChainHandlers = StrictChain.toLayer({ step: chainStep })

/** The handler of the chain in a bare loop. */
export const bareChain = Effect.fnUntraced(function* (steps: number) {
  const input = { steps }
  let state = { at: 0 }
  while (true) {
    const next = yield* chainStep({ input, state, next: Next.nexts })
    if (next._tag === "End") return next.output
    state = { at: state.at + (next.update?.at ?? 0) }
  }
})

/** When each step of the last executed flow with marks began, by `performance.now()`. */
export const marks = new Float64Array(maxSteps)

/** The mean duration of the steps from `from` up to `to`, in microseconds. */
export const meanStep = (from: number, to: number): number =>
  ((marks[to]! - marks[from]!) * 1000) / (to - from)

/** Steps that note when they begin. */
export const Marked = Flow.make("marked", { ...chain, nodes: { step: Node.make({ to: ["step", "end"] }) } })

export const markedHandlers = Marked.toLayer({
  step: Effect.fn("step")(function* ({ input, next, state }) {
    marks[state.at] = performance.now()
    return state.at + 1 < input.steps ? next.to("step", { at: 1 }) : next.end(state.at + 1)
  })
})

/** A text of so many characters that is not like another one. */
export const text = (length: number, seed: number): string => `${seed} `.padEnd(length, "lorem ipsum ")

/** Some state in the first step, never touched afterwards. */
export const Untouched = Flow.make("untouched", {
  input: { steps: Schema.Int, size: Schema.Int, as: Schema.Literals(["value", "list"]) },
  state: { at: State.counter(), value: State.value(Schema.String, ""), list: State.list(Schema.String) },
  start: "load",
  maxSteps,
  nodes: { load: Node.make({ to: ["step"] }), step: Node.make({ to: ["step", "end"] }) }
})

/** The size of an item of the lists and records that are measured, in characters. */
export const itemSize = 1000

export const untouchedHandlers = Untouched.toLayer({
  load: Effect.fn("load")(function* ({ input, next }) {
    if (input.as === "value") return next.to("step", { value: text(input.size, 0) })
    return next.to("step", {
      list: Array.from({ length: Math.ceil(input.size / itemSize) }, (_, i) => text(itemSize, i))
    })
  }),
  step: Effect.fn("step")(function* ({ input, next, state }) {
    marks[state.at] = performance.now()
    return state.at < input.steps ? next.to("step", { at: 1 }) : next.end()
  })
})

/** A list that grows by an item with each step, looked at by the step or not. */
export const Growing = Flow.make("growing", {
  input: { steps: Schema.Int, looks: Schema.Boolean },
  state: { at: State.counter(), list: State.list(Schema.String) },
  start: "step",
  maxSteps,
  nodes: { step: Node.make({ to: ["step", "end"] }) }
})

export const growingHandlers = Growing.toLayer({
  step: Effect.fn("step")(function* ({ input, next, state }) {
    marks[state.at] = performance.now()
    if (input.looks && state.list.length !== state.at)
      return yield* Effect.die(new Error("the list is too short"))
    return state.at < input.steps ? next.to("step", { at: 1, list: [text(itemSize, state.at)] }) : next.end()
  })
})

/** A record of `keys` entries, of which each step replaces one, from the first to the last and again. */
export const Replacing = Flow.make("replacing", {
  input: { steps: Schema.Int, keys: Schema.Int },
  state: { at: State.counter(), record: State.record(Schema.String) },
  start: "step",
  maxSteps,
  nodes: { step: Node.make({ to: ["step", "end"] }) }
})

export const replacingHandlers = Replacing.toLayer({
  step: Effect.fn("step")(function* ({ input, next, state }) {
    marks[state.at] = performance.now()
    if (state.at === input.steps) return next.end()
    return next.to("step", { at: 1, record: { [`key-${state.at % input.keys}`]: text(itemSize, state.at) } })
  })
})

/** When a step began, by `performance.now()`, and how many steps were behind it. */
export interface Reached {
  readonly time: number
  readonly at: number
}

let reach: (reached: Reached) => void

/** The last step of {@link Stopping}, once it is reached in this process. */
export const stopped = new Promise<Reached>((resolve) => {
  reach = resolve
})

/** A chain whose last step never ends: for processes that are killed there. */
export const Stopping = Flow.make("stopping", {
  ...chain,
  nodes: { step: Node.make({ to: ["step", "end"] }) }
})

export const stoppingHandlers = Stopping.toLayer({
  step: Effect.fn("step")(function* ({ input, next, state }) {
    if (state.at < input.steps) return next.to("step", { at: 1 })
    reach({ time: performance.now(), at: state.at })
    return yield* Effect.never
  })
})

/** So many branches, which add up at their join. */
export const Fan = Flow.make("fan", {
  input: { tasks: Schema.Int },
  state: { done: State.counter() },
  output: Schema.Int,
  start: "split",
  maxSteps,
  nodes: {
    split: Node.make({ to: [], fanOut: { to: ["task"], join: "merge" } }),
    task: Node.make({ to: ["merge"], item: Schema.Int }),
    merge: Node.make({ to: ["end"] })
  }
})

export const fanHandlers = Fan.toLayer({
  split: Effect.fn("split")(function* ({ input, next }) {
    return next.each(
      Array.from({ length: input.tasks }, (_, task) => task),
      "task"
    )
  }),
  task: Effect.fn("task")(function* ({ next }) {
    return next.to("merge", { done: 1 })
  }),
  merge: Effect.fn("merge")(function* ({ next, state }) {
    return next.end(state.done)
  })
})

/** A run that waits for a signal, or until a time (milliseconds since 1970), and tells when it went on. */
export const Waiting = Flow.make("waiting", {
  input: { until: Schema.NullOr(Schema.Finite) },
  state: {},
  output: Schema.Finite,
  start: "wait",
  nodes: { wait: Node.make({ to: ["end"] }) }
})

export const waitingHandlers = Waiting.toLayer({
  wait: Effect.fn("wait")(function* ({ input, next }) {
    if (input.until === null) yield* Wait.event("go", { schema: Schema.Int })
    else yield* Wait.until(input.until)
    return next.end(performance.timeOrigin + performance.now())
  })
})
