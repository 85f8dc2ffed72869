import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Body } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import * as MemoryStore from "@waymark/core/MemoryStore"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import { Store } from "@waymark/core/Store"
import * as Tool from "@waymark/core/Tool"
import { append, begin } from "../journal/world.ts"

const Ask = Tool.make("ask", {
  input: { text: Schema.String },
  output: Schema.String,
  key: ({ text }) => text
})

const flow = Flow.make("wide", {
  input: Schema.Void,
  state: { got: State.list(Schema.String) },
  start: "split",
  nodes: {
    split: Node.make({ to: ["merge"], fanOut: { to: ["work"], join: "merge" } }),
    work: Node.make({ to: ["work", "merge"] }),
    merge: Node.make({ to: ["end"] })
  }
})

/** A branch asks for what it sees of the state. */
const handlers = (other = "") =>
  flow
    .toLayer({
      split: ({ next }) => Effect.succeed(next.to("merge")),
      work: ({ next, state }) =>
        Effect.as(Ask.call({ text: `${state.got.join(" ")}${other}` }), next.to("merge")),
      merge: ({ next }) => Effect.succeed(next.end())
    })
    .pipe(Layer.provide(Ask.toLayer(() => Effect.die("it is called"))))

const asked = (branch: string, visit: number, text: string): Body => ({
  kind: "callStarted",
  branch,
  node: "work",
  visit,
  attempt: 1,
  call: `ask/${text}/0`,
  tool: "ask",
  key: "k",
  input: { text }
})

const went = (
  branch: string,
  items: ReadonlyArray<string>,
  next: Extract<Body, { kind: "visited" }>["next"]
): Body => ({
  kind: "visited",
  branch,
  node: "work",
  visit: 1,
  attempt: 1,
  started: 1,
  ops: { got: { append: items } },
  next
})

/** What is said of a run whose branches stand where `bodies` have brought them. */
const verdictOf = Effect.fnUntraced(function* (other: string | undefined, ...bodies: ReadonlyArray<Body>) {
  const journal = begin("r")
  append(journal, 1, [
    {
      kind: "created",
      flow: "wide",
      version: 1,
      fingerprint: flow.fingerprint,
      start: "split",
      input: null,
      state: {},
      durability: "pipelined",
      maxSteps: 99,
      maxRecoveries: 9
    },
    {
      kind: "visited",
      node: "split",
      visit: 1,
      attempt: 1,
      started: 1,
      ops: { got: { append: ["before"] } },
      next: { branches: [{ node: "work" }, { node: "work" }], join: "merge" }
    },
    ...bodies
  ])
  const store = yield* MemoryStore.make()
  yield* store.create({ entries: journal.entries as never, head: journal.hashes.at(-1)! })
  const [verdict] = yield* Runs.checkCompatibility(flow).pipe(
    Stream.runCollect,
    Effect.provide(handlers(other)),
    Effect.provideService(Store, store)
  )
  return verdict!
}, Effect.scoped)

describe("checkCompatibility of a run whose branches are open", () => {
  it.effect("executes each with what it sees: the state at its fan-out, and its own changes", () =>
    Effect.gen(function* () {
      const verdict = yield* verdictOf(
        undefined,
        went("1.0", ["mine"], { to: "work" }),
        asked("1.0", 2, "before mine"),
        asked("1.1", 1, "before")
      )
      assert.strictEqual(verdict._tag, "Continues", verdict.why)
      const nested = yield* verdictOf(
        undefined,
        went("1.0", ["outer"], { branches: [{ node: "work" }], join: "merge" }),
        went("1.0/1.0", ["inner"], { to: "work" }),
        asked("1.0/1.0", 2, "before outer inner")
      )
      assert.strictEqual(nested._tag, "Continues", nested.why)
    })
  )

  it.effect("says in which branch a handler diverges", () =>
    Effect.gen(function* () {
      const verdict = yield* verdictOf(" and more", asked("1.1", 1, "before"))
      if (verdict._tag !== "Diverges") return assert.fail(JSON.stringify(verdict))
      assert.deepInclude(verdict, { branch: "1.1", node: "work", visit: 1 })
      assert.strictEqual(verdict.expected.call, "ask/before/0")
      assert.strictEqual(verdict.got.call, "ask/before and more/0")
    })
  )
})
