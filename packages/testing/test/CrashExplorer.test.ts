import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import { Hasher } from "@waymark/core/Hasher"
import { NodeMiddlewares } from "@waymark/core/Middleware"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import type { Store } from "@waymark/core/Store"
import * as Tool from "@waymark/core/Tool"
import { ToolExecutor } from "@waymark/core/ToolExecutor"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import * as FakeTools from "../src/FakeTools.ts"
import * as Ledger from "../src/internal/crash/ledger.ts"
import * as Witness from "../src/internal/crash/witness.ts"
import * as JournalBuilder from "../src/JournalBuilder.ts"

const Charge = Tool.make("charge", { input: { amount: Schema.Int }, output: Schema.String })
const Order = Flow.make("order", {
  input: Schema.Struct({ steps: Schema.Int }),
  state: { receipts: State.list(Schema.String), count: State.counter() },
  output: Schema.Int,
  start: "pay",
  nodes: { pay: Node.make({ to: ["pay", "end"] }) }
})
const handlers = Order.toLayer({
  pay: Effect.fnUntraced(function* ({ input, next, state }) {
    const receipt = yield* Charge.call({ amount: state.count })
    const update = { receipts: [receipt], count: 1 }
    return state.count + 1 === input.steps ? next.end(state.count + 1, update) : next.to("pay", update)
  })
})
const world = () =>
  FakeTools.make(FakeTools.answer(Charge, ({ amount }) => FakeTools.succeed(`receipt ${amount}`)))
const order = {
  world,
  handlers: (tools: ReturnType<typeof world>) => Layer.provide(handlers, tools.layer),
  scenario: () => Effect.flatMap(Runs.Runs, (runs) => runs.execute(Order, { steps: 2 }, { id: "o" }))
} as const

const failing = <A, R>(effect: Effect.Effect<A, CrashExplorer.CrashPointFailed, R>) => Effect.flip(effect)

/** A store that says that it has synced, and has not. */
const lying = (store: Store["Service"]): Store["Service"] => ({ ...store, sync: () => Effect.void })

describe("CrashExplorer", () => {
  it.effect(
    "explores every point, before and after, and every point of every recovery",
    () =>
      Effect.gen(function* () {
        const pruned = yield* CrashExplorer.explore(Order, order)
        // putArtifact (the flow's shape), create, and twice: callStarted, sync, callCompleted, visited (the last time with the end), sync, release.
        assert.strictEqual(pruned.points, 12)
        assert.strictEqual(pruned.cuts, 24)
        assert.isAbove(pruned.nested, pruned.cuts)
        const all = yield* CrashExplorer.explore(Order, { ...order, prune: false })
        assert.deepInclude(all, { points: 12, cuts: 24, same: 0 })
        assert.isAbove(all.nested, 12 * 24)
        const some = yield* CrashExplorer.explore(Order, { ...order, nested: 3, prune: false })
        assert.isAtMost(some.nested, 3 * 24)
        assert.isAbove(some.nested, 2 * 24)
        assert.strictEqual((yield* CrashExplorer.explore(Order, { ...order, nested: "none" })).nested, 0)
      }),
    300_000
  )

  describe("does not take for explored", () => {
    const problems = (failure: CrashExplorer.CrashPointFailed) => failure.problems.join("\n")

    it.effect("an input that the flow refuses", () =>
      Effect.gen(function* () {
        const { input: _input, ...rest } = { ...order, input: undefined }
        const failure = yield* failing(
          CrashExplorer.explore(Order, { ...rest, scenario: undefined, input: { steps: 1.5 } })
        )
        assert.strictEqual(failure.at, "none")
        assert.include(problems(failure), "the scenario fails because something is broken")
        assert.include(problems(failure), "there is no point at which the power could be cut")
      })
    )

    it.effect("a scenario that dies, or starts nothing", () =>
      Effect.gen(function* () {
        const dead = yield* failing(
          CrashExplorer.explore(Order, { ...order, scenario: () => Effect.die(new Error("a typo")) })
        )
        assert.include(problems(dead), "the scenario itself dies: Error: a typo")
        const idle = yield* failing(
          CrashExplorer.explore(Order, { ...order, scenario: () => Effect.succeed(1) })
        )
        assert.include(problems(idle), "nothing reached the store")
      })
    )

    it.effect("a call that the fakes do not expect, even if the scenario does not mind", () =>
      Effect.gen(function* () {
        const failure = yield* failing(
          CrashExplorer.explore(Order, {
            ...order,
            world: () => FakeTools.make(FakeTools.refuse(Charge)),
            scenario: () => Effect.exit(order.scenario())
          })
        )
        assert.include(problems(failure), 'unexpected call of tool charge with {"amount":0}')
      })
    )

    it.effect("a run whose handler dies, unless the scenario says that this is meant", () =>
      Effect.gen(function* () {
        const broken = {
          handlers: Order.toLayer({ pay: () => Effect.die(new Error("a bug")) }),
          scenario: order.scenario
        }
        const failure = yield* failing(CrashExplorer.explore(Order, broken))
        assert.include(problems(failure), "let the scenario succeed with the error (Effect.flip)")
        assert.include(problems(failure), "a bug")
        const meant = yield* CrashExplorer.explore(Order, {
          ...broken,
          scenario: () => Effect.map(Effect.flip(order.scenario()), ({ _tag }) => _tag)
        })
        assert.isAbove(meant.points, 0)
      })
    )
  })

  it.effect("says that a world was not made anew", () =>
    Effect.gen(function* () {
      const shared = FakeTools.make(
        FakeTools.script(
          Charge,
          FakeTools.succeed("1"),
          FakeTools.succeed("2"),
          FakeTools.succeed("3"),
          FakeTools.succeed("4")
        )
      )
      const failure = yield* failing(CrashExplorer.explore(Order, { ...order, world: () => shared }))
      assert.include(failure.problems.join("\n"), "`world` gave the same object twice")
    })
  )

  it.effect("says which call is in doubt when nobody settles it", () =>
    Effect.gen(function* () {
      const Wire = Tool.make("wire", { input: { amount: Schema.Int }, delivery: "atMostOnce" })
      const Transfer = Flow.make("transfer", {
        input: Schema.Void,
        start: "wire",
        nodes: { wire: Node.make({ to: ["end"] }) }
      })
      const failure = yield* failing(
        CrashExplorer.explore(Transfer, {
          world: () => FakeTools.make(FakeTools.always(Wire, FakeTools.ok)),
          handlers: (tools) =>
            Layer.provide(
              Transfer.toLayer({ wire: ({ next }) => Effect.as(Wire.call({ amount: 1 }), next.end()) }),
              tools.layer
            ),
          input: undefined,
          stallAfter: "20 millis"
        })
      )
      const text = failure.problems.join("\n")
      assert.include(text, "run transfer is paused")
      assert.include(text, "inDoubt")
      assert.include(text, "the scenario has to settle the call")
    })
  )

  it.effect(
    "finds a store that acknowledges a sync without syncing",
    () =>
      Effect.gen(function* () {
        const failure = yield* failing(CrashExplorer.explore(Order, { ...order, store: lying }))
        assert.strictEqual(failure.at, "none")
        assert.include(failure.message, 'tool charge with {"amount":0} at node pay (visit 1) of run "o", key')
        // Not even the run is durable.
        assert.include(failure.message, "was carried out, but no durable journal knows the run")
      }),
    300_000
  )

  it.effect(
    "finds by the outcome alone that a handler has a side effect that no tool is",
    () =>
      Effect.gen(function* () {
        const failure = yield* failing(
          CrashExplorer.explore(Order, {
            world: () => ({ charged: 0 }),
            handlers: (bank) =>
              Order.toLayer({
                pay: ({ next }) => Effect.sync(() => next.end((bank.charged += 1)))
              }),
            scenario: order.scenario,
            check: ({ world: bank }) => Effect.sync(() => assert.strictEqual(bank.charged, 1))
          })
        )
        assert.match(failure.at, /^\d+-(before|after)$/)
        assert.include(
          failure.message,
          "the result of the scenario is another one: succeeded: 1 was expected, it is 2"
        )
        assert.include(
          failure.message,
          "run o came to something else: ending.output: 1 was expected, it is 2"
        )
        assert.include(failure.message, "the check does not hold: AssertionError: expected 2 to equal 1")
      }),
    300_000
  )

  it.effect(
    "names the point, shows the journals around it, and repeats it alone",
    () =>
      Effect.gen(function* () {
        const broken = {
          ...order,
          check: ({ executions }: CrashExplorer.Outcome<unknown, unknown, unknown>) =>
            executions.length > 2 ? Effect.fail("three charges for two steps") : Effect.void
        }
        const failure = yield* failing(CrashExplorer.explore(Order, broken))
        assert.strictEqual(failure.at, "5-before")
        assert.deepStrictEqual(
          failure.message.split("\n").map((line) => line.trimEnd()),
          [
            "after a power cut at 5-before the scenario does not come to the same",
            ...failure.problems
              .map((problem) => `- ${problem}`)
              .join("\n")
              .split("\n"),
            "",
            ...failure.timeline.split("\n"),
            "",
            'to repeat it: CrashExplorer.explore(flow, { …, only: "5-before" })'
          ]
        )
        assert.include(failure.problems[0], "three charges for two steps")
        assert.match(
          failure.timeline,
          /^run o of flow order: completed\n +0 +\+0 +epoch 0 +created +order \{"steps":2\}\n/
        )
        const repeated = yield* failing(CrashExplorer.explore(Order, { ...broken, only: failure.at }))
        assert.strictEqual(repeated.message, failure.message)
        const elsewhere = yield* CrashExplorer.explore(Order, { ...broken, only: "1-before" })
        assert.strictEqual(elsewhere.cuts, 1)
      }),
    300_000
  )

  it.effect(
    "says that a scenario starts another run when it begins again",
    () =>
      Effect.gen(function* () {
        const scenario = () => Effect.flatMap(Runs.Runs, (runs) => runs.execute(Order, { steps: 1 }))
        const failure = yield* failing(CrashExplorer.explore(Order, { ...order, scenario }))
        assert.include(failure.message, "did the scenario start it twice? Give it an id")
      }),
    300_000
  )

  it.effect(
    "remembers the answers that the client had",
    () =>
      Effect.gen(function* () {
        let asked = 0
        const report = yield* CrashExplorer.explore(Order, {
          ...order,
          nested: "none",
          prune: false,
          scenario: ({ once, process }) =>
            Effect.gen(function* () {
              const runs = yield* Runs.Runs
              const first = yield* once(
                "ask",
                Effect.sync(() => (asked += 1))
              )
              const second = yield* once(
                "ask",
                Effect.sync(() => (asked += 1))
              )
              assert.strictEqual(first, second)
              assert.isAtMost(process, 2)
              return yield* runs.execute(Order, { steps: 1 }, { id: "o" })
            })
        })
        // Twice undisturbed.
        assert.strictEqual(asked, report.cuts + 2)
      }),
    300_000
  )

  it.effect(
    "gives up a scenario that does not end, and says where it stands",
    () =>
      Effect.gen(function* () {
        const hanging = { ...order, world: () => FakeTools.make(FakeTools.always(Charge, FakeTools.hang)) }
        const sweeping = { ...hanging, timeLimit: "1 minute", worker: { sweep: "15 seconds" } } as const
        const failure = yield* failing(CrashExplorer.explore(Order, sweeping))
        assert.strictEqual(failure.at, "none")
        assert.include(failure.message, "the scenario had not ended after 1m of virtual time in process 1")
        assert.include(failure.message, "run o of flow order: running")
        assert.match(failure.message, /charge \{"amount":0\} {2}o pay\/1 {2}key \w+ {2}try 1 {2}no answer/)
        const stalled = yield* failing(CrashExplorer.explore(Order, { ...hanging, stallAfter: "20 millis" }))
        assert.include(stalled.message, "nothing happens any more in process 1")
      }),
    300_000
  )

  it.effect(
    "refuses a scenario that does not do the same twice",
    () =>
      Effect.gen(function* () {
        let count = 0
        const failure = yield* failing(
          CrashExplorer.explore(Order, {
            ...order,
            scenario: () =>
              Effect.flatMap(Runs.Runs, (runs) => runs.execute(Order, { steps: ++count }, { id: "o" })),
            compare: () => "anything"
          })
        )
        assert.include(failure.message, "the result of the scenario is another one")
        const quiet = yield* failing(
          CrashExplorer.explore(Order, {
            ...order,
            scenario: () =>
              Effect.asVoid(
                Effect.flatMap(Runs.Runs, (runs) => runs.execute(Order, { steps: ++count }, { id: "o" }))
              ),
            compare: () => "anything"
          })
        )
        assert.include(quiet.message, "executed twice, the scenario does two different things: operation")
      }),
    300_000
  )

  it.effect(
    "waits for promises of the real world",
    () =>
      Effect.gen(function* () {
        const report = yield* CrashExplorer.explore(Order, {
          handlers: Order.toLayer({
            pay: ({ next }) =>
              Effect.promise(() => new Promise((resolve) => setTimeout(() => resolve(next.end(1)), 1)))
          }),
          nested: "none",
          scenario: order.scenario
        })
        assert.isAbove(report.cuts, 0)
      }),
    300_000
  )

  it.effect(
    "fails for a worker that cannot be built",
    () =>
      Effect.gen(function* () {
        const failure = yield* failing(
          CrashExplorer.explore(Order, {
            ...order,
            handlers: Layer.effectDiscard(Effect.fail("no database")) as never
          })
        )
        assert.include(failure.message, "the worker of process 1 could not be built or closed: ")
        assert.include(failure.message, "no database")
      }),
    300_000
  )

  it.effect(
    "throws for a name that is none",
    () =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(CrashExplorer.explore(Order, { ...order, only: "7" }))
        assert.include(String(exit), "is not the name of a crash point")
      }),
    300_000
  )

  it.live(
    "leaves nothing of the dead processes behind",
    () =>
      Effect.gen(function* () {
        setFlagsFromString("--expose-gc")
        const collect = runInNewContext("gc") as () => void
        const worlds: Array<WeakRef<object>> = []
        yield* CrashExplorer.explore(Order, {
          ...order,
          nested: "none",
          prune: false,
          world: () => {
            const tools = world()
            worlds.push(new WeakRef(tools))
            return tools
          },
          check: () => Effect.void
        })
        assert.isAbove(worlds.length, 10)
        for (let turn = 0; turn < 20 && worlds.some((ref) => ref.deref() !== undefined); turn++) {
          yield* Effect.sleep(5)
          collect()
        }
        assert.strictEqual(worlds.filter((ref) => ref.deref() !== undefined).length, 0)
      }),
    300_000
  )
})

describe("the witness of CrashExplorer", () => {
  const Once = Tool.make("once", { input: Schema.Struct({}), delivery: "atMostOnce" })
  const place = { node: "work", visit: 1, attempt: 1, call: "c", tool: "t" }
  const started: JournalBuilder.Step = { kind: "callStarted", ...place, key: "k", input: {} }

  /** Carries a call out `times` times while this is durable, and gives what the witness objects to. */
  const problems = (
    tool: Tool.Any,
    durable: ReadonlyArray<JournalBuilder.Step>,
    times: number,
    created?: Parameters<typeof JournalBuilder.created>[0],
    isCut = false
  ) =>
    Effect.gen(function* () {
      const { hash } = yield* Hasher
      const ledger = Ledger.make(hash)
      const witness = Witness.make(ledger, hash)
      const journal = yield* JournalBuilder.make("r")
      ledger.created(journal.batch(JournalBuilder.created(created)), true, false)
      for (const step of durable) ledger.appended(journal.batch(step))
      ledger.synced("r")
      assert.deepStrictEqual(ledger.problems, [])
      if (isCut) witness.cut()
      const invocation = {
        key: "k",
        attempt: 1,
        run: "r",
        branch: "",
        node: "work",
        visit: 1,
        repeated: false
      }
      yield* Effect.gen(function* () {
        const { execute } = yield* ToolExecutor
        for (let i = 0; i < times; i++) yield* execute({ tool, input: {}, invocation }, Effect.void)
      }).pipe(Effect.provide(witness.layer(1)), Effect.orDie)
      return witness.problems.map((problem) => problem.replace(/^.* key k /, ""))
    })

  const failed = (error: JournalBuilder.Step extends infer _ ? Parameters<typeof callRetried>[0] : never) =>
    callRetried(error)
  const callRetried = (
    error:
      | { readonly kind: "error"; readonly tag: string; readonly error: null; readonly message: string }
      | {
          readonly kind: "timeout"
          readonly what: "tool"
          readonly name: string
          readonly millis: number
        }
  ): JournalBuilder.Step => ({ kind: "callRetried", ...place, error, due: 0 })
  const known = failed({ kind: "error", tag: "E", error: null, message: "" })
  const timeout = failed({ kind: "timeout", what: "tool", name: "t", millis: 1 })
  const again: JournalBuilder.Step = {
    kind: "callRepeated",
    node: "work",
    visit: 1,
    attempt: 1,
    call: "c",
    tool: "t"
  }

  it.effect(
    "lets pass what is announced and not done",
    () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* problems(Charge, [started], 1), [])
        assert.deepStrictEqual(yield* problems(Charge, [started, again], 2), [])
        assert.deepStrictEqual(yield* problems(Once, [started], 1), [])
        assert.deepStrictEqual(yield* problems(Once, [started, known, again], 2), [])
        assert.deepStrictEqual(yield* problems(Charge, [], 2, { durability: "ephemeral" }), [])
      }),
    300_000
  )

  it.effect(
    "objects to a call whose success is durable",
    () =>
      Effect.gen(function* () {
        const completed: JournalBuilder.Step = { kind: "callCompleted", ...place, output: null }
        assert.deepStrictEqual(yield* problems(Charge, [started, again, completed], 1), [
          "was carried out again, after its success at seq 3 was durable"
        ])
        assert.deepStrictEqual(
          yield* problems(Charge, [started, completed], 1, { durability: "ephemeral" }),
          ["was carried out again, after its success at seq 2 was durable"]
        )
      }),
    300_000
  )

  it.effect(
    "objects to an at-most-once call whose first time came to nobody knows what",
    () =>
      Effect.gen(function* () {
        const objection =
          "is an at-most-once call; it was carried out again although nobody knows what the time before came to"
        assert.deepStrictEqual(yield* problems(Once, [started, again], 2), [objection])
        assert.deepStrictEqual(yield* problems(Once, [started, timeout, again], 2), [objection])
      }),
    300_000
  )

  it.effect(
    "objects to a call that is not announced",
    () =>
      Effect.gen(function* () {
        const objection = "was carried out before the event that says so was durable (run is pipelined)"
        assert.deepStrictEqual(yield* problems(Charge, [], 1), [objection])
        assert.deepStrictEqual(yield* problems(Charge, [started], 2), [objection])
        assert.deepStrictEqual(yield* problems(Once, [], 1, { durability: "ephemeral" }), [
          "was carried out before the event that says so was durable (run is ephemeral)"
        ])
      }),
    300_000
  )

  it.effect(
    "objects to a call in a run that has ended, or was being cancelled when the power was cut",
    () =>
      Effect.gen(function* () {
        const ended = [started, JournalBuilder.failed("E", "")]
        assert.deepStrictEqual(yield* problems(Charge, ended, 1), ["was carried out in a run that is failed"])
        const cancelling = [started, { kind: "cancelRequested", reason: "enough" }] as const
        // Finalizers may call tools.
        assert.deepStrictEqual(yield* problems(Charge, cancelling, 1), [])
        assert.deepStrictEqual(yield* problems(Charge, cancelling, 1, {}, true), [
          "was carried out in a run that was being cancelled when the power was cut"
        ])
      }),
    300_000
  )

  it.effect("objects to a node that begins in a run that has ended or is being cancelled", () =>
    Effect.gen(function* () {
      const begins = (durable: ReadonlyArray<JournalBuilder.Step>, isCut = false) =>
        Effect.gen(function* () {
          const { hash } = yield* Hasher
          const ledger = Ledger.make(hash)
          const witness = Witness.make(ledger, hash)
          const journal = yield* JournalBuilder.make("r")
          ledger.created(journal.batch(JournalBuilder.created()), true, false)
          for (const step of durable) ledger.appended(journal.batch(step))
          ledger.synced("r")
          assert.deepStrictEqual(ledger.problems, [])
          if (isCut) witness.cut()
          const context = { flow: "flow", run: "r", branch: "", node: "work", visit: 1, attempt: 1 }
          yield* Effect.gen(function* () {
            for (const around of yield* NodeMiddlewares)
              yield* around(Effect.never, context as never).pipe(Effect.timeoutOption(0))
          }).pipe(Effect.provide(witness.layer(1)), Effect.orDie)
          return witness.problems
        })
      const says = (why: string) => [`node work (visit 1) of run "r" began in a run that ${why}`]
      const cancel = { kind: "cancelRequested", reason: "enough" } as const
      const wait: JournalBuilder.Step = {
        kind: "waitOpened",
        node: "work",
        visit: 1,
        attempt: 1,
        wait: "w",
        on: { type: "event", name: "go" }
      }
      assert.deepStrictEqual(yield* begins([]), [])
      assert.deepStrictEqual(yield* begins([cancel]), says("is cancelling"))
      assert.deepStrictEqual(
        yield* begins([cancel], true),
        says("was being cancelled when the power was cut")
      )
      // For the sake of its finalizers.
      assert.deepStrictEqual(yield* begins([wait, cancel]), [])
      assert.deepStrictEqual(
        yield* begins([wait, cancel], true),
        says("was being cancelled when the power was cut")
      )
      const failed = JournalBuilder.failed("E", "")
      assert.deepStrictEqual(yield* begins([failed]), says("is failed"))
      assert.deepStrictEqual(yield* begins([failed], true), says("was failed when the power was cut"))
    })
  )
})
