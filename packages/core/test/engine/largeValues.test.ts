import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { idle, machine, untilStatus } from "./process.ts"

const MB = 1_000_000

const Double = Tool.make("double", { input: Schema.String, output: Schema.String })

const Large = Flow.make("large", {
  input: Schema.Struct({ calls: Schema.Int, size: Schema.Int }),
  state: { kept: State.list(Schema.String) },
  output: Schema.Array(Schema.Int),
  start: "work",
  nodes: { work: Node.make({ to: ["end"] }) }
})

describe("calls of several megabytes", () => {
  it.effect("are written once, and served whole after a crash", () =>
    Effect.gen(function* () {
      let executed = 0
      const live = Worker.layer({ flows: [Large] }).pipe(
        Layer.provide(
          Large.toLayer({
            work: ({ input: { calls, size }, next }) =>
              Effect.gen(function* () {
                const lengths: Array<number> = []
                let last = ""
                for (let i = 0; i < calls; i++) {
                  last = yield* Double.call(`${i % 10}`.repeat(size))
                  lengths.push(last.length)
                }
                yield* Wait.event("go", { schema: Schema.Void })
                return next.end(lengths, { kept: [last] })
              })
          })
        ),
        Layer.provide(
          Double.toLayer((text) =>
            Effect.sync(() => {
              executed += 1
              return text + text
            })
          )
        )
      )
      const { boot, crash, journal } = machine()
      const bytesOf = Effect.fnUntraced(function* (run: { readonly id: string }) {
        let bytes = 0
        for (const event of yield* journal(run)) bytes += JSON.stringify(event).length
        return bytes
      })
      const first = yield* boot(live)
      // Five calls of 1 MB in and 2 MB out, and one of 4 MB in and 8 MB out.
      const many = yield* first.runs.start(Large, { calls: 5, size: MB }, { id: "many" })
      const one = yield* first.runs.start(Large, { calls: 1, size: 4 * MB }, { id: "one" })
      for (const run of [many, one]) yield* untilStatus(first.runs, run, "waiting")
      yield* idle
      const before = { many: yield* bytesOf(many), one: yield* bytesOf(one) }
      // What was said, and the snapshots, which are no more than that.
      assert.isBelow(before.many, 2 * 15 * MB + MB)
      assert.isBelow(before.one, 2 * 12 * MB + MB)
      yield* crash
      const second = yield* boot(live)
      for (const run of [many, one]) yield* second.runs.signal(run, "go", undefined)
      assert.deepStrictEqual(
        yield* second.runs.await(many),
        Array.from({ length: 5 }, () => 2 * MB)
      )
      assert.deepStrictEqual(yield* second.runs.await(one), [8 * MB])
      assert.strictEqual(executed, 6)
      const { kept } = yield* second.runs.state(one)
      assert.strictEqual(kept[0]!.length, 8 * MB)
      yield* Effect.provideService(Runs.verify(many), Runs.Runs, second.runs)
    })
  )
})
