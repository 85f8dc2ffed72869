/**
 * Starts a run: of a flow that the project of a store has, with an input that is checked while it is typed.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Manifest } from "@waymark/core/Manifest"
import { Editor } from "../Editor.ts"
import { textField } from "../faces/Arguments.ts"
import { Cursor } from "../faces/Cursor.ts"
import { Stores } from "../reading/Stores.ts"
import { line } from "../reading/Text.ts"
import * as Asking from "./Asking.ts"
import * as Choosing from "./Choosing.ts"
import { follow, listed } from "./Following.ts"
import * as Form from "./Form.ts"
import * as Obstacles from "./Obstacles.ts"
import { Workers } from "./Workers.ts"

/** So much of an input is shown again before the run starts. */
const mostShown = 500

const make = Effect.gen(function* () {
  const editor = yield* Editor
  const stores = yield* Stores
  const cursor = yield* Cursor
  const workers = yield* Workers
  const { ask } = Asking.make(editor)

  const chooseFlow = (flows: ReadonlyArray<Manifest>, named: string | undefined) => {
    const known = named === undefined ? undefined : flows.find(({ id }) => id === named)
    if (known !== undefined) return Effect.succeed(known)
    return editor.pick(
      "Start a run of",
      flows.map((flow) => ({
        label: line(flow.id, 80),
        description: `version ${flow.version}`,
        detail: line(flow.description ?? "", 200),
        value: flow
      }))
    )
  }

  yield* editor.command("waymark.start", (argument) =>
    Obstacles.inTrust(
      editor,
      "No run can be started here",
      Effect.gen(function* () {
        const store = yield* Choosing.store(
          editor,
          stores,
          workers,
          "Start a run in",
          "No run can be started here",
          textField(argument, "store")
        )
        if (store === undefined) return
        yield* workers.use(store, ({ client, project }) =>
          Effect.gen(function* () {
            const flow = yield* chooseFlow(client.welcome.flows, textField(argument, "flow"))
            if (flow === undefined) return
            const name = line(flow.id, 60)
            const answer = yield* ask(`Start ${name}`, "its input", Form.documentOfManifest(flow.input))
            if (answer === undefined) return
            const input = answer.value
            // The schemas of the code may say more than JSON Schema can.
            const { problems } = yield* client.orDied(client.requests.validate({ flow: flow.id, input }))
            if (problems.length > 0) {
              yield* editor.warn(`Not started: ${problems.join("; ")}`)
              return
            }
            const place = stores.source(store)?.place.label ?? store
            const yes = yield* editor.confirm(
              `Start a run of ${name} in ${place}?`,
              `The worker of ${project.label} executes it, with ${project.node}. Its tools are called for real.\n\nIts input: ${line(JSON.stringify(input), mostShown)}`,
              "Start"
            )
            if (!yes) return
            const started = yield* editor.progress(
              `Starting ${name}`,
              client.orDied(client.requests.start({ flow: flow.id, input }))
            )
            if (started === undefined) return
            const ref = { store, run: started.run }
            yield* listed(stores, ref)
            yield* cursor.move(ref, "acting")
            yield* follow(editor, stores, workers, ref)
          })
        )
      })
    )
  )
})

export const layer: Layer.Layer<never, never, Editor | Stores | Cursor | Workers> = Layer.effectDiscard(make)
