/**
 * Which store something is to be done in, of those whose runs can be executed from here.
 */
import * as Effect from "effect/Effect"
import type { Editor } from "../Editor.ts"
import type { Stores } from "../reading/Stores.ts"
import * as Obstacles from "./Obstacles.ts"
import type { Prospect, Workers } from "./Workers.ts"

/**
 * The store that was named, or the one that somebody chooses. If there is none, why is said: `cannot` is what cannot be done
 * then, as a sentence without its end.
 */
export const store = (
  editor: Editor["Service"],
  stores: Pick<Stores["Service"], "sources">,
  workers: Pick<Workers["Service"], "prospect">,
  title: string,
  cannot: string,
  named: string | undefined
): Effect.Effect<string | undefined> =>
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
        title,
        able.map(({ place, project }) => ({
          label: place.label,
          description: `executed by ${project.label}`,
          value: place.path
        }))
      )
    }
    if (able[0] !== undefined) return able[0].place.path
    const none = prospects.find(
      (prospect): prospect is Extract<Prospect, { _tag: "None" }> => prospect._tag === "None"
    )
    if (none !== undefined) yield* Obstacles.tell(editor, cannot, none.problem)
    else {
      const text = "There is no store yet: start the first run with `npx waymark run`, or in your program."
      yield* Effect.forkDetach(editor.warn(text))
    }
    return undefined
  })
