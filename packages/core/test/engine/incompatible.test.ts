import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import { StoreError } from "@waymark/core/Store"
import { machine } from "./process.ts"

import { flowOf, interrupted, makeWorld, V1, worker1, incompatible, loose, S1 } from "./orders.ts"

describe("a run that no migration fits", () => {
  const cases: Record<
    string,
    {
      readonly two: Parameters<typeof flowOf>[1]
      readonly says: ReadonlyArray<string>
      readonly not?: string
    }
  > = {
    "because there is none: it says what differs": {
      two: {
        state: {
          ...S1,
          notes: State.list(Schema.Int),
          extra: State.counter(),
          label: State.optional(Schema.Int)
        },
        input: Schema.Struct({ id: Schema.String, more: Schema.Boolean }),
        nodes: {
          begin: Node.make({ to: ["report", "other"] }),
          other: Node.make({ to: ["report"] }),
          report: Node.make({ to: ["end"] })
        }
      },
      says: [
        "version 1",
        V1.fingerprint.slice(0, 12),
        "version 2",
        "no migration from version 1 is declared",
        `the run is in node "gather", of which nothing is left in version 2`,
        `node "gather" is gone`,
        `node "other" is new`,
        `node "begin" no longer has the target "gather"`,
        `node "begin" has the target "other" now`,
        `channel "notes" no longer has the type list of String`,
        `channel "notes" has the type list of Number`,
        `channel "extra" is new`,
        `the flow no longer has the input { id: String }`,
        `the flow has the input { id: String, more: Boolean } now`
      ],
      not: `node "report"`
    },
    "because the node that it is in has no successor": {
      two: {
        nodes: { begin: Node.make({ to: ["report"] }), report: Node.make({ to: ["end"] }) },
        migrations: [loose({ from: V1, to: { version: 2, state: S1 }, state: (old: unknown) => old })]
      },
      says: [`the run is in node "gather", of which nothing is left in version 2`]
    },
    "because it has a channel that the migration does not know": {
      two: {
        migrations: [
          loose({ from: { version: 1, state: {} }, to: { version: 2, state: S1 }, state: () => ({}) })
        ]
      },
      says: [`the migration from version 1 to 2: version 1 has no channel "`]
    },
    "because its state was not what the migration says": {
      two: {
        migrations: [
          loose({
            from: { version: 1, state: { ...S1, scores: State.record(Schema.String) } },
            to: { version: 2, state: S1 },
            state: (old: unknown) => old
          })
        ]
      },
      says: [`the migration from version 1 to 2: channel "scores", entry "p"`, "Expected string"]
    },
    "because its input was not what the migration says": {
      two: {
        migrations: [
          loose({
            from: { version: 1, state: S1, input: Schema.Int },
            to: { version: 2, state: S1 },
            state: (old: unknown) => old
          })
        ]
      },
      says: ["the migration from version 1 to 2: the input: Expected"]
    },
    "because the migration gives something else than it says": {
      two: {
        migrations: [
          loose({
            from: V1,
            to: { version: 2, state: S1 },
            state: (old: object) => ({ ...old, tries: "many" })
          })
        ]
      },
      says: [`the migration from version 1 to 2: channel "tries"`, "Expected"]
    },
    "because the migration leaves a channel out": {
      two: {
        migrations: [
          loose({ from: V1, to: { version: 2, state: S1 }, state: ({ tries: _, ...old }: any) => old })
        ]
      },
      says: [`it does not give channel "tries"`]
    },
    "because the migration gives a channel that is none": {
      two: {
        migrations: [
          loose({ from: V1, to: { version: 2, state: S1 }, state: (old: object) => ({ ...old, typo: 1 }) })
        ]
      },
      says: [`it gives a channel "typo", which version 2 does not have`]
    },
    "because the migration breaks": {
      two: {
        migrations: [
          loose({
            from: V1,
            to: { version: 2, state: S1 },
            state: () => {
              throw new Error("no idea")
            }
          })
        ]
      },
      says: ["the migration from version 1 to 2: it broke: Error: no idea"]
    },
    "because the input would not fit the flow, and nothing changes it": {
      two: {
        input: Schema.Struct({ id: Schema.Int }),
        migrations: [loose({ from: V1, to: { version: 2, state: S1 }, state: (old: unknown) => old })]
      },
      says: ["version 2: the input", "Expected"]
    }
  }
  for (const [name, { not, says, two }] of Object.entries(cases)) {
    it.effect(`${name}, and goes on with what fits`, () =>
      Effect.gen(function* () {
        const computer = machine()
        const world = makeWorld()
        const run = yield* interrupted(computer, world)
        const second = yield* computer.boot(flowOf(2, two).live)
        const message = yield* incompatible(computer, second, "r")
        for (const text of says) assert.include(message, text)
        if (not !== undefined) assert.notInclude(message, not)
        // Nothing of it was changed.
        assert.deepStrictEqual(yield* computer.eventsOf("r", "migrated"), [])
        assert.strictEqual((yield* second.runs.get("r")).version, 1)
        yield* second.stop
        world.hang = false
        const third = yield* computer.boot(worker1(world))
        yield* third.runs.resume("r")
        assert.deepStrictEqual(yield* third.runs.await(run), ["a"])
      })
    )
  }

  it.effect("is told from the shape under the same version, too", () =>
    Effect.gen(function* () {
      const computer = machine()
      yield* interrupted(computer, makeWorld())
      const other = flowOf(1, { state: { ...S1, extra: State.counter() } })
      const second = yield* computer.boot(other.live)
      const message = yield* incompatible(computer, second, "r")
      assert.include(message, `channel "extra" is new`)
      assert.include(message, V1.fingerprint.slice(0, 12))
      assert.include(message, other.flow.fingerprint.slice(0, 12))
      assert.notInclude(message, "no migration")
      assert.strictEqual((yield* computer.kinds("r")).at(-1), "paused")
    })
  )

  it.effect("is paused with what is known if what the flow was like cannot be read", () =>
    Effect.gen(function* () {
      for (const broken of ["gone", "unreadable"] as const) {
        const computer = machine()
        yield* interrupted(computer, makeWorld())
        const second = yield* computer.boot(
          flowOf(2, { nodes: { begin: Node.make({ to: ["end"] }) }, input: V1.input }).live,
          {
            wrap: (store) => ({
              ...store,
              getArtifact: () =>
                broken === "gone"
                  ? Effect.succeed(undefined)
                  : Effect.fail(
                      new StoreError({ operation: "getArtifact", reason: { _tag: "Io", code: "EIO" } })
                    )
            })
          }
        )
        const message = yield* incompatible(computer, second, "r")
        assert.include(message, `the run is in node "gather"`)
        assert.include(message, "what the flow was like is not in the store")
        if (broken === "unreadable") assert.include(message, "EIO")
      }
    })
  )

  it.effect("says no more than fits in an event", () =>
    Effect.gen(function* () {
      const computer = machine()
      yield* interrupted(computer, makeWorld())
      const many = Object.fromEntries(
        Array.from({ length: 99 }, (_, i) => [`c${i}${"x".repeat(999)}`, State.counter()])
      )
      const second = yield* computer.boot(flowOf(2, { state: { ...S1, ...many } }).live)
      const message = yield* incompatible(computer, second, "r")
      assert.match(message, /and \d\d more$/)
      assert.isBelow(message.length, 7000)
    })
  )
})
