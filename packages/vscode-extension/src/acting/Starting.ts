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
import { follow, listed } from "./Following.ts"
import * as Form from "./Form.ts"
import { Workers } from "./Workers.ts"
import type { Prospect } from "./Workers.ts"

/** So much of an input is shown again before the run starts. */
const mostShown = 500

const make = Effect.gen(function* () {
  const editor = yield* Editor
  const stores = yield* Stores
  const cursor = yield* Cursor
  const workers = yield* Workers
  const { ask } = Asking.make(editor)

  /** The store in which a run is to be started: the one that was named, or one that somebody chooses. */
  const chooseStore = (named: string | undefined) =>
    Effect.gen(function* () {
      const places = stores
        .sources()
        .filter(({ open, place }) => open !== undefined && (named === undefined || place.path === named))
        .map(({ place }) => place)
      const prospects = yield* Effect.forEach(places, ({ path }) => workers.prospect(path))
      const able = places.flatMap((place, i) => {
        const prospect = prospects[i]!
        return prospect._tag === "None" ? [] : [{ place, project: prospect.project }]
      })
      if (able.length > 1) {
        return yield* editor.pick(
          "Start a run in",
          able.map(({ place, project }) => ({
            label: place.label,
            description: `executed by ${project.label}`,
            value: place.path
          }))
        )
      }
      if (able[0] !== undefined) return able[0].place.path
      const [problem] = prospects.filter(
        (prospect): prospect is Extract<Prospect, { _tag: "None" }> => prospect._tag === "None"
      )
      yield* editor.warn(
        problem === undefined
          ? "There is no store yet: start the first run with `npx waymark run`, or in your program."
          : `No run can be started here: ${problem.problem.message}.`
      )
      return undefined
    })

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
    Effect.gen(function* () {
      if (!(yield* editor.isTrusted)) {
        yield* editor.warn("This workspace is not trusted, so runs in it are only shown.")
        return
      }
      const store = yield* chooseStore(textField(argument, "store"))
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
})

export const layer: Layer.Layer<never, never, Editor | Stores | Cursor | Workers> = Layer.effectDiscard(make)
