import { assert, describe, it } from "@effect/vitest"
import { Flow, Manifest, MemoryStore, Node, Runs, Shape, State } from "@waymark/core"
import { Effect, Layer, Schema } from "effect"

class Lost extends Schema.TaggedError<Lost>()("Lost", {}) {}

const Parcel = Flow.make("parcel", {
  input: Schema.String,
  state: { seen: State.list(Schema.String), tries: State.counter() },
  output: Schema.String,
  signals: { found: Schema.String },
  start: "split",
  nodes: {
    split: Node.make({ to: ["search"], fanOut: { to: ["part"], join: "search" } }),
    part: Node.make({ to: ["search"], item: Schema.String }),
    search: Node.make({
      to: ["search", "end"],
      error: Lost,
      onError: { Lost: Node.tolerate("report") },
      onDefect: "report"
    }),
    report: Node.make({ to: ["end"] })
  }
})

describe("shapes", () => {
  it.effect("say of the flow of a run what its manifest says", () =>
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const { id } = yield* runs.start(Parcel, "x")
      const shape = yield* Shape.read((yield* runs.stateAt(id)).fingerprint)
      const manifest = Manifest.manifest(Parcel)
      assert.deepStrictEqual(
        { flow: shape?.flow, start: shape?.start, signals: shape?.signals },
        { flow: "parcel", start: "split", signals: ["found"] }
      )
      assert.sameMembers(
        [...shape!.nodes],
        manifest.nodes.map(({ name }) => name)
      )
      assert.sameDeepMembers([...shape!.edges], [...manifest.edges])
      assert.sameDeepMembers(
        [...shape!.channels],
        manifest.state.map(({ kind, name }) => ({ name, kind }))
      )
      assert.isUndefined(yield* Shape.read("0".repeat(64)))
    }).pipe(Effect.provide(Layer.provideMerge(Runs.layer, MemoryStore.layer())))
  )

  it("take nothing else for a shape", () => {
    for (const text of ["", "{", "[]", "null", '["waymark flow 2","a"]', '["waymark flow 1","a"]'])
      assert.isUndefined(Shape.parse(text), text)
  })
})
