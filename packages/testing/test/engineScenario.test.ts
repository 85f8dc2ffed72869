/** Everything at once, in one flow: with its power cut at every point, and in random disorder. */
import { assert, describe, it } from "@effect/vitest"
import * as Runs from "@waymark/core/Runs"
import type { RunInfo } from "@waymark/core/RunInfo"
import { isTerminal } from "@waymark/core/RunInfo"
import { Store } from "@waymark/core/Store"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import { expectOnce, expectUndone } from "./engineScenarioChecks.ts"
import * as Scenario from "./engineScenarioFlow.ts"
import { variants } from "./engineVariants.ts"
import { keeps } from "./engineWaiting.ts"

const order: Scenario.Order = { pages: 3, failures: 3, hangs: true }

/** Does what a run waits for, as somebody does who looks once a minute. Gives up at `until`. */
const tend = (until: (info: RunInfo) => boolean) =>
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const wants = (info: RunInfo, name: string) =>
      info.waits.some((wait) => wait.name === name) && info.status !== "paused"
    const once = <E>(effect: Effect.Effect<unknown, E>) => Effect.ignore(effect)
    while (true) {
      const info = yield* runs.get("r")
      if (until(info)) return
      if (wants(info, "go")) yield* once(runs.signal("r", "go", 1, { commandId: "go" }))
      if (wants(info, "paid")) yield* once(runs.signal("r", "paid", 2, { commandId: "paid", key: "k" }))
      if (wants(info, "extra")) yield* once(runs.signal("r", "extra", 4, { commandId: "second" }))
      if (wants(info, "verdict")) yield* once(runs.answer("r", "verdict", "hold", { commandId: "verdict" }))
      if (info.pause === "budget") {
        yield* once(runs.setLimits("r", { budgets: { tokens: 20 } }, { commandId: "limits" }))
        yield* once(runs.resume("r", { commandId: "resume" }))
      }
      if (info.pause === "inDoubt") {
        const { pause } = yield* runs.stateAt("r")
        const call = pause?.kind === "inDoubt" ? pause.call : ""
        yield* once(runs.settle("r", call, { output: Scenario.receipt }, { commandId: "settle" }))
        yield* once(runs.resume("r", { commandId: "resume 2" }))
      }
      for (const child of (yield* runs.list({ parent: "r", status: ["waiting"] })).runs) {
        if (wants(child, "parcel")) yield* once(runs.signal(child.run, "parcel", 3, { commandId: "parcel" }))
      }
      yield* Effect.sleep("1 minute")
    }
  })

/** What a run of this order comes to. */
const completed = [
  "begun",
  "stock is reserved",
  "truck is reserved",
  "go 1",
  "paid 2",
  "page 1",
  "page 2",
  "page 3",
  "parcel 3",
  "extra 3",
  "extra 4",
  "crane is reserved",
  "appeal",
  Scenario.receipt
]

const isOver = ({ status }: RunInfo): boolean => isTerminal(status) || status === "cancelling"

interface Story {
  readonly order?: Partial<Scenario.Order>
  /** When somebody does something else than what the run waits for. */
  readonly until?: (info: RunInfo) => boolean
  readonly end: (runs: Runs.Runs["Service"], run: Runs.Run<Flow>) => Effect.Effect<unknown, unknown>
  readonly answer: unknown
  /** How many calls are undone, if that does not depend on when the power was cut. */
  readonly undone?: number
}
type Flow = ReturnType<typeof Scenario.flowsOf>["Order"]

const cancel = (runs: Runs.Runs["Service"]) => runs.cancel("r", "no need", { commandId: "cancel" })

const stories: { readonly [name: string]: Story } = {
  "comes to the same": {
    end: (runs, run) => runs.await(run),
    answer: completed,
    undone: 0
  },
  "fails, and undoes what it did": {
    order: { failures: Scenario.attempts, pages: 1 },
    end: (runs, run) => Effect.map(Effect.flip(runs.await(run)), (error) => (error as { _tag: string })._tag),
    answer: "Busy",
    undone: 3
  },
  "is cancelled with the run that it waits for, and both undo what they did": {
    until: ({ waits }) => waits.some(({ type }) => type === "run"),
    end: cancel,
    answer: "cancelled"
  },
  "is cancelled at its end, and undoes what it did": {
    order: { failures: 1, pages: 1 },
    until: ({ waits }) => waits.some(({ name }) => name === "verdict"),
    end: cancel,
    answer: "cancelled",
    undone: 3
  }
}

/** The fibers of waits are let go; or kept, with a single cut. */
const circumstances = [
  // Crashes of recoveries are explored once, where there are most points at which they differ.
  ...variants.map((variant) => ({
    ...variant,
    nested: variant.nested === 6 ? variant.nested : ("none" as const),
    worker: keeps[0].worker
  })),
  { ...variants[0], name: "pipelined, fibers are kept", nested: "none", worker: keeps[1].worker } as const
]

for (const { durability, name, ...how } of circumstances) {
  const scenario = Scenario.flowsOf(durability)
  const run = Runs.ref(scenario.Order, "r")

  describe(`a run that does everything at once, after a crash at any point (${name})`, () => {
    for (const [what, story] of Object.entries(stories)) {
      if (how.latency !== undefined && story.undone !== 0) continue
      const given = { ...order, ...story.order }
      it.effect(
        what,
        () =>
          CrashExplorer.explore(scenario.flows, {
            ...how,
            ...(story.until === undefined && story.order === undefined
              ? undefined
              : { nested: how.nested === 6 ? 1 : "none" }),

            world: () => Scenario.makeTools(given.failures),
            handlers: (tools) => Layer.provide(scenario.handlers, tools.layer),
            scenario: () =>
              Effect.gen(function* () {
                const store = yield* Store
                const runs = yield* Runs.Runs
                const batch = yield* Scenario.earlierRun("r", given, durability)
                yield* Effect.catchTag(store.create(batch), "RunExists", () => Effect.void)
                // It comes before anybody waits for it.
                yield* Effect.ignore(runs.signal("r", "extra", 3, { commandId: "early" }))
                yield* tend((info) => isOver(info) || story.until?.(info) === true)
                const answer = yield* story.end(runs, run)
                // What was only started goes on by itself.
                yield* Effect.sleep("1 hour")
                return answer
              }),
            check: ({ executions, journal, result, runs }) =>
              Effect.map(result, (answer) => {
                assert.deepStrictEqual(answer, story.answer)
                const all = Object.values(runs)
                let undone = 0
                for (const { run: id, status } of all) {
                  assert.isTrue(isTerminal(status), `run ${id} is ${status}`)
                  expectOnce(journal(id))
                  expectUndone(journal(id), executions)
                  undone += journal(id).filter(({ kind }) => kind === "compensationCompleted").length
                }
                assert.strictEqual(all.length, 3, "runs")
                if (story.undone !== undefined)
                  assert.strictEqual(undone, story.undone, "calls that were undone")
                assert.strictEqual(journal("r").filter(({ kind }) => kind === "migrated").length, 1)
              })
          }),
        600_000
      )
    }
  })
}
