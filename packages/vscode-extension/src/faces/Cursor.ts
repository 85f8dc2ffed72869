/**
 * The run that somebody looks at, and the position in it: one for the whole window, so that trees, graph, state and source
 * move together.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import type { RunRef } from "../reading/Checkpoints.ts"

/** A position in a run; without a `seq`, its end, wherever that moves. */
export interface Position extends RunRef {
  readonly seq?: number
}

/** Where the cursor went, and who moved it: who did need not be told. */
export interface Moved {
  readonly to: Position | undefined
  readonly by: string
}

export class Cursor extends Context.Service<
  Cursor,
  {
    readonly current: () => Position | undefined
    readonly move: (to: Position | undefined, by: string) => Effect.Effect<void>
    readonly moves: Stream.Stream<Moved>
  }
>()("waymark-vscode/Cursor") {}

export const layer: Layer.Layer<Cursor> = Layer.effect(
  Cursor,
  Effect.gen(function* () {
    const moved = yield* PubSub.unbounded<Moved>()
    let current: Position | undefined
    return Cursor.of({
      current: () => current,
      move: (to, by) =>
        Effect.suspend(() => {
          current = to
          return Effect.asVoid(PubSub.publish(moved, { to, by }))
        }),
      moves: Stream.fromPubSub(moved)
    })
  })
)
