/** What handlers are given is shared with the visits after theirs: changing it in place would be seen there, and be in no journal. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reducer from "effect/Reducer"
import * as Schema from "effect/Schema"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Wait from "@waymark/core/Wait"
import * as Worker from "@waymark/core/Worker"
import { machine, untilStatus } from "./process.ts"

const Cart = Schema.Struct({ items: Schema.Array(Schema.Struct({ n: Schema.Int })) })
const Fetch = Tool.make("fetch", { input: {}, output: Schema.Json })

const flow = Flow.make("shopping", {
  input: { cart: Cart },
  state: {
    one: State.value(Cart, { items: [{ n: 0 }] }),
    maybe: State.optional(Cart),
    list: State.list(Cart),
    record: State.record(Cart),
    any: State.optional(Schema.Json),
    sum: State.reduce(
      Cart,
      Reducer.make<typeof Cart.Type>((a, b) => ({ items: [...a.items, ...b.items] }), { items: [] })
    )
  },
  output: Schema.Array(Schema.String),
  start: "fill",
  nodes: {
    fill: Node.make({ to: ["change"] }),
    change: Node.make({ to: [], fanOut: { to: ["branch"], join: "look" } }),
    branch: Node.make({ item: Cart, to: ["look"] }),
    look: Node.make({ to: ["end"] })
  }
})

/** Tries to change something in place, and says whether that was refused. */
const refused = (change: () => unknown): boolean => {
  try {
    change()
    return false
  } catch (error) {
    return error instanceof TypeError
  }
}

describe("what a handler is given", () => {
  it.effect("cannot be changed in place, wherever it is from", () =>
    Effect.gen(function* () {
      const given = { any: [{ n: 1 }] }
      const tried: Array<string> = []
      const attempt = (what: string, cart: any) => {
        for (const [how, change] of [
          ["push", () => cart.items.push({ n: 9 })],
          ["set", () => (cart.items[0].n = 9)],
          ["add", () => (cart.more = 9)]
        ] as const)
          if (!refused(change)) tried.push(`${what}: ${how}`)
      }
      const handlers = flow.toLayer({
        fill: ({ next }) =>
          Effect.succeed(
            next.to("change", {
              maybe: { items: [{ n: 1 }] },
              list: [{ items: [{ n: 2 }] }],
              record: { a: { items: [{ n: 3 }] } },
              any: given.any,
              sum: { items: [{ n: 4 }] }
            })
          ),
        change: Effect.fnUntraced(function* ({ input, next, state }) {
          attempt("input", input.cart)
          attempt("value", state.one)
          attempt("optional", state.maybe)
          attempt("item of a list", state.list[0])
          attempt("entry of a record", state.record["a"])
          attempt("reduce", state.sum)
          if (!refused(() => (state.list as Array<unknown>).push(1))) tried.push("list")
          if (!refused(() => ((state.record as any)["b"] = 1))) tried.push("record")
          if (!refused(() => ((state as any).one = 1))) tried.push("state")
          const any = state.any as any
          if (!refused(() => any.push(1)) || !refused(() => (any[0].n = 2))) tried.push("what is JSON")
          // The flow's author has it, too.
          if (refused(() => given.any.push({ n: 2 }))) tried.push("what an update gave")
          // What a call gave belongs to the visit, but stands in the state of the run, too.
          const fetched = (yield* Fetch.call({})) as any
          if (!refused(() => fetched.items.push(2))) tried.push("output of a call")
          return next.each([{ items: [{ n: 5 }] }], "branch")
        }),
        branch: ({ item, next, state }) => {
          attempt("item", item)
          return Effect.sync(() => {
            attempt("value in a branch", state.one)
            return next.to("look", { sum: { items: [{ n: 6 }] } })
          })
        },
        look: ({ input, next, state }) =>
          Effect.succeed(next.end([JSON.stringify({ ...state, input }), ...tried]))
      })
      const live = Layer.provide(
        handlers,
        Fetch.toLayer(() => Effect.succeed({ items: [1] }))
      )
      const { runs } = yield* machine().boot(Worker.layer({ flows: [flow] }).pipe(Layer.provide(live)))
      const run = yield* runs.start(flow, { cart: { items: [{ n: 7 }] } })
      const [seen, ...changed] = yield* runs.await(run)
      assert.deepStrictEqual(changed, [])
      assert.deepStrictEqual(JSON.parse(seen!), {
        one: { items: [{ n: 0 }] },
        maybe: { items: [{ n: 1 }] },
        list: [{ items: [{ n: 2 }] }],
        record: { a: { items: [{ n: 3 }] } },
        any: [{ n: 1 }],
        sum: { items: [{ n: 4 }, { n: 6 }] },
        input: { cart: { items: [{ n: 7 }] } }
      })
    })
  )

  it.effect("cannot be changed in place, what ended a wait neither", () =>
    Effect.gen(function* () {
      const waiting = Flow.make("waiting", {
        input: {},
        output: Schema.Boolean,
        start: "wait",
        nodes: { wait: Node.make({ to: ["end"] }) }
      })
      const handlers = waiting.toLayer({
        wait: ({ next }) =>
          Effect.map(Effect.orDie(Wait.event("go", { schema: Schema.Json })), (value) =>
            next.end(refused(() => ((value as { [key: string]: unknown })["n"] = 9)))
          )
      })
      const { runs } = yield* machine().boot(Worker.layer({ flows: [waiting] }).pipe(Layer.provide(handlers)))
      const run = yield* runs.start(waiting, {})
      yield* untilStatus(runs, run, "waiting")
      yield* runs.signal(run, "go", { n: 1 })
      assert.isTrue(yield* runs.await(run))
    })
  )
})
