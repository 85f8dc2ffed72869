/**
 * How long it takes to cut the power everywhere: a flow of 50 steps, each with a tool call, at every crash point, and at
 * points of the recoveries until there are a thousand.
 */
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as CrashExplorer from "@waymark/testing/CrashExplorer"
import * as FakeTools from "@waymark/testing/FakeTools"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { timed } from "../harness/case.ts"
import type { Case } from "../harness/case.ts"

const steps = 50
const wanted = 1_000
/** Seconds. */
const goal = 10

const Charge = Tool.make("charge", { input: { step: Schema.Int }, output: Schema.Int })
const Steps = Flow.make("steps", {
  input: Schema.Void,
  state: { done: State.counter() },
  output: Schema.Int,
  start: "step",
  nodes: { step: Node.make({ to: ["step", "end"] }) }
})
const handlers = Steps.toLayer({
  step: Effect.fnUntraced(function* ({ next, state }) {
    yield* Charge.call({ step: state.done })
    return state.done + 1 === steps ? next.end(steps, { done: 1 }) : next.to("step", { done: 1 })
  })
})

const explore = (nested: number | "none") =>
  Effect.runPromise(
    CrashExplorer.explore(Steps, {
      world: () => FakeTools.make(FakeTools.answer(Charge, ({ step }) => FakeTools.succeed(step))),
      handlers: (tools) => Layer.provide(handlers, tools.layer),
      input: undefined,
      nested
    })
  )

export const cases: ReadonlyArray<Case> = [
  {
    name: "crash-points",
    measure: async ({ quick, rounds }) => {
      let points = 0
      let same = 0
      const samples: Array<number> = []
      for (let round = 0; round < (quick ? 1 : Math.min(rounds, 3)); round++) {
        const took = await timed(async () => {
          const report = await explore(quick ? "none" : 6)
          points = report.cuts + report.nested
          same = report.same
        })
        samples.push((took / 1_000) * (wanted / points))
      }
      return [
        {
          title: `${wanted.toLocaleString("en")} crash points of ${steps} steps with a call each, memory`,
          unit: "s",
          samples,
          baselines: [],
          goal: { kind: "value", atMost: goal },
          note: `${points} points explored; ${same} leave what another one leaves, and are not executed`
        }
      ]
    }
  }
]
