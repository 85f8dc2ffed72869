import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Manifest from "@waymark/core/Manifest"
import * as ConfigFile from "../configFile.ts"
import * as Diagrams from "../diagrams.ts"
import * as Drawing from "../drawing.ts"
import { BadInput } from "../failures.ts"
import * as Graph from "../graph.ts"
import * as Look from "../look.ts"
import { Output } from "../output.ts"
import * as Place from "../place.ts"
import { runNamed } from "../runNamed.ts"
import { ConfigAt, StoreAt } from "../settings.ts"

/** The graph of a flow of the configuration, or of a run with the statuses of its nodes. */
const graphNamed = Effect.fnUntraced(function* (name: Option.Option<string>) {
  const isStoreGiven = Option.isSome(yield* StoreAt)
  const loaded = isStoreGiven ? undefined : yield* ConfigFile.choose(yield* ConfigAt)
  const flows = loaded?.config.flows ?? []
  const named = Option.getOrUndefined(name)
  const entry =
    named === undefined && flows.length === 1 ? flows[0] : flows.find(({ flow }) => flow.id === named)
  if (entry !== undefined) return Graph.graphOf(Graph.ofManifest(Manifest.manifest(entry.flow)), "flow")
  if (named === undefined) {
    const known = flows.map(({ flow }) => flow.id).join(", ")
    const detail = flows.length === 0 ? "name a run" : `name a flow (${known}), or a run`
    return yield* new BadInput({ what: "what to draw", detail })
  }
  const { graph } = yield* Effect.gen(function* () {
    return yield* Look.look(yield* runNamed(named), 20_000)
  }).pipe(Effect.provide(Place.reading))
  return graph
})

export const graph = Command.make(
  "graph",
  {
    name: Argument.String("flow or run").pipe(
      Argument.withDescription("A flow of the configuration, or a run: then with the statuses of its nodes"),
      Argument.optional
    ),
    format: Flag.Literals("format", ["text", "mermaid", "dot"]).pipe(
      Flag.withDescription("How it is written"),
      Flag.withDefault("text")
    )
  },
  Effect.fn("graph")(function* ({ format, name }) {
    const output = yield* Output
    const drawn = yield* graphNamed(name)
    yield* output.document(drawn, () => {
      if (format === "mermaid") return Diagrams.mermaid(drawn)
      if (format === "dot") return Diagrams.dot(drawn)
      return Drawing.draw(drawn, output.paint)
    })
  })
).pipe(
  Command.withDescription("Draw a flow, or a run in its flow."),
  Command.withExamples([
    { command: "waymark graph triage --format mermaid", description: "For a page of documentation" },
    {
      command: "waymark graph ticket-42 --format dot | dot -Tsvg > ticket-42.svg",
      description: "What a run did"
    }
  ])
)
