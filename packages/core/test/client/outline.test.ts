import { assert, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import * as Flow from "../../src/Flow.ts"
import * as Manifest from "../../src/Manifest.ts"
import * as MemoryStore from "../../src/MemoryStore.ts"
import * as Node from "../../src/Node.ts"
import * as Outline from "../../src/Outline.ts"
import * as Runs from "../../src/Runs.ts"
import * as State from "../../src/State.ts"
import { Store } from "../../src/Store.ts"

class Odd extends Schema.TaggedError<Odd>()("Odd", {}) {}
class Even extends Schema.TaggedError<Even>()("Even", {}) {}

const Sorting = Flow.make("sorting", {
  input: Schema.Array(Schema.Int),
  state: { found: State.list(Schema.Int), last: State.optional(Schema.Int) },
  start: "split",
  signals: { more: Schema.Int },
  nodes: {
    split: Node.make({ to: ["end"], fanOut: { to: ["one"], join: "merge" } }),
    one: Node.make({
      to: ["merge"],
      item: Schema.Int,
      error: Schema.Union([Odd, Even]),
      onError: { Odd: Node.skip("merge"), Even: "merge" }
    }),
    merge: Node.make({ to: ["merge", "end"], onDefect: Node.tolerate("split") }),
    never: Node.make({ to: ["end"] })
  }
})

const layer = Runs.layer.pipe(Layer.provideMerge(MemoryStore.layer()))

it.effect("a store knows where the nodes of its runs' flows lead, as the manifest says it", () =>
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const run = yield* runs.start(Sorting, [1, 2])
    const { fingerprint } = yield* runs.stateAt(run)
    const outline = yield* Outline.read(fingerprint)
    const manifest = Manifest.manifest(Sorting)
    const sorted = (edges: ReadonlyArray<Manifest.Edge>) => edges.map((edge) => JSON.stringify(edge)).sort()
    assert.deepStrictEqual(sorted(outline!.edges), sorted(manifest.edges))
    assert.deepStrictEqual(outline!.nodes.toSorted(), manifest.nodes.map(({ name }) => name).toSorted())
    assert.deepStrictEqual([outline!.flow, outline!.start, outline!.signals], ["sorting", "split", ["more"]])
    assert.deepStrictEqual(
      outline!.channels.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
      [
        { name: "found", kind: "list" },
        { name: "last", kind: "optional" }
      ]
    )
  }).pipe(Effect.provide(layer))
)

it.effect("it says so if it does not know, and if it cannot read it", () =>
  Effect.gen(function* () {
    const store = yield* Store
    assert.isUndefined(yield* Outline.read("0".repeat(64)))
    const put = (text: string) => store.putArtifact(new TextEncoder().encode(text))
    assert.isUndefined(yield* Outline.read(yield* put('["waymark flow 2","later"]')))
    const error = yield* Effect.flip(Outline.read(yield* put("no JSON")))
    assert.strictEqual(error.reason._tag, "Corrupt")
  }).pipe(Effect.provide(layer))
)
