/** The engine, with its power cut at every point: runs of an earlier version of their flow. */
import { assert, describe, it } from "@effect/vitest"
import type { Body, Durability, Event } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import { Hasher } from "@waymark/core/Hasher"
import * as Migration from "@waymark/core/Migration"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import { Store } from "@waymark/core/Store"
import * as Tool from "@waymark/core/Tool"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as CrashExplorer from "../src/CrashExplorer.ts"
import * as FakeTools from "../src/FakeTools.ts"
import * as JournalBuilder from "../src/JournalBuilder.ts"
import { variants } from "./engineVariants.ts"

const Ship = Tool.make("ship", {
  input: { item: Schema.Int },
  output: Schema.String,
  key: ({ item }) => String(item)
})

/** It stays as it is: the snapshot after the migration writes it in a piece of its own. */
const log = State.list(Schema.String)
const S1 = { sent: State.list(Schema.Int), phase: State.value(Schema.String, "new"), log }
const S2 = {
  sent: State.list(Schema.Struct({ item: Schema.Int })),
  note: State.value(Schema.String, ""),
  log
}
const V1 = { version: 1, state: S1, input: Schema.Int } as const

const makeV2 = (durability: Durability) =>
  Flow.make("ship", {
    version: 2,
    input: Schema.Struct({ items: Schema.Int }),
    state: S2,
    output: Schema.Array(Schema.String),
    start: "pack",
    durability,
    nodes: {
      pack: Node.make({ to: ["send"] }),
      send: Node.make({ to: ["send", "end"] })
    },
    migrations: [
      Migration.make({
        from: V1,
        to: { version: 2, state: S2, input: Schema.Struct({ items: Schema.Int }) },
        state: ({ log, phase, sent }, items) => ({
          sent: sent.map((item) => ({ item })),
          note: `${phase} ${items}`,
          log
        }),
        input: (items) => ({ items }),
        nodes: { work: "send" }
      })
    ]
  })

const place = { node: "work", visit: 2, attempt: 1 }
const call = (item: number) => ({ ...place, call: `ship/${item}/0`, tool: "ship" })
const keyOf = (hash: (text: string) => string, id: string) =>
  hash(JSON.stringify(["r", "", "work", 2, id])).slice(0, 32)

/** A run of the first version: in its second visit, with a call that completed and one that is in doubt. */
const entries = Effect.fnUntraced(function* (durability: Durability) {
  const { hash } = yield* Hasher
  const started = (item: number): Body => ({
    kind: "callStarted",
    ...call(item),
    key: keyOf(hash, `ship/${item}/0`),
    input: { item }
  })
  const journal = yield* JournalBuilder.make("r", { time: 0 })
  return journal.batch(
    JournalBuilder.created({
      flow: "ship",
      fingerprint: "one",
      start: "pack",
      input: 3,
      state: { phase: "new" },
      durability
    }),
    {
      kind: "visited",
      node: "pack",
      visit: 1,
      attempt: 1,
      started: 0,
      ops: { sent: { append: [1] }, log: { append: ["packed"] } },
      next: { to: "work" }
    },
    started(1),
    { kind: "callCompleted", ...call(1), output: "one" },
    started(2)
  )
})

for (const { durability, name, ...how } of variants) {
  describe(`a crash at any point (${name})`, () => {
    it.effect(
      "of a migration leaves the run as it was or as it becomes, and its calls go on under their keys",
      () => {
        const V2 = makeV2(durability)
        const handlers = V2.toLayer({
          pack: ({ next }) => Effect.succeed(next.to("send")),
          send: Effect.fnUntraced(function* ({ input, next, state }) {
            const first = yield* Ship.call({ item: 1 })
            const chance = yield* Random.next
            const second = yield* Ship.call({ item: 2 })
            return state.sent.length < input.items
              ? next.to("send", { sent: [{ item: Math.floor(chance * 1000) }] })
              : next.end([first, second, state.note])
          })
        })
        return CrashExplorer.explore([V2], {
          ...how,

          world: () =>
            FakeTools.make(
              FakeTools.answer(Ship, ({ item }) =>
                FakeTools.after("10 seconds", FakeTools.succeed(`item ${item}`))
              )
            ),
          handlers: (tools) => Layer.provide(handlers, tools.layer),
          scenario: () =>
            Effect.gen(function* () {
              const store = yield* Store
              yield* Effect.catchTag(store.create(yield* entries(durability)), "RunExists", () => Effect.void)
              const runs = yield* Runs.Runs
              return yield* runs.await(Runs.ref(V2, "r"))
            }),
          check: ({ executions, journal, result, runs }) =>
            Effect.map(result, (output) => {
              assert.deepStrictEqual(output, ["item 1", "item 2", "new 3"])
              assert.deepInclude(runs["r"]!, { status: "completed", steps: 4 })
              const events = journal("r")
              const migrated = events.filter(({ kind }) => kind === "migrated")
              assert.strictEqual(migrated.length, 1)
              assert.isTrue(events.some(({ kind }) => kind === "snapshotPart"))
              // It is the first thing that happens, but for claims.
              const before = events.slice(5, events.indexOf(migrated[0]!))
              assert.isTrue(
                before.every(({ kind }) => kind === "claimed"),
                kindsOf(before)
              )
              const visit = executions.filter((one) => one.visit === 2)
              // The completed call of the first version is not carried out; the other one under its old key.
              assert.deepStrictEqual(
                new Set(visit.map(({ input }) => (input as { item: number }).item)),
                new Set([2])
              )
              const [started] = events.filter(
                (event) => event.kind === "callStarted" && event.call === "ship/2/0"
              )
              assert.isTrue(visit.every(({ key }) => key === (started as { readonly key: string }).key))
            })
        })
      },
      300_000
    )
  })
}

const kindsOf = (events: ReadonlyArray<Event>): string => events.map(({ kind }) => kind).join(", ")
