/**
 * Notes and bookmarks.
 */
import * as Effect from "effect/Effect"
import type { Json } from "effect/Schema"
import type { Request } from "../../Command.ts"
import { InvalidCheckpoint } from "../../RunError.ts"
import type { CommandRefused } from "../../RunError.ts"
import type { CommandOptions, ReadError, RunLike, Runs } from "../../Runs.ts"
import type { Mutable } from "../record.ts"
import { checkPosition, idOf, Service } from "./client.ts"
import { apply } from "./commanding.ts"
import type { Until } from "./commanding.ts"

/**
 * How to leave a note or a bookmark.
 *
 * - `actor`, `session`, `correlation`, `commandId`: as for any other command
 * - `until`: when it counts as done. In a run that nobody executes, ended ones included, it is in the journal before this
 *   answers, always. In a run that somebody executes it will be there at the next checkpoint: `accepted`, the default, is
 *   as soon as it cannot be lost any more; `applied` is when it is there
 *
 * @category models
 * @since 0.1.0
 */
export interface NoteOptions extends CommandOptions {
  readonly until?: Until | undefined
}

/**
 * Leaves a note in the journal of a run, with data if there is any. It changes nothing, and works on runs that have ended,
 * too.
 *
 * The text of a note is stored as it is: what a `Codec` has to encrypt belongs into `data`.
 *
 * @category notes
 * @since 0.1.0
 */
export const annotate = (
  run: RunLike,
  note: string,
  options: NoteOptions & { readonly data?: Json | undefined } = {}
): Effect.Effect<void, ReadError | CommandRefused, Runs> =>
  Service.use(({ client }) => {
    const request: Mutable<Extract<Request, { type: "annotate" }>> = { type: "annotate", note }
    if (options.data !== undefined) request.data = options.data
    return apply(client, idOf(run), request, options, options.until ?? "accepted")
  })

/**
 * Gives the checkpoint at `seq` a name, with a note and tags if there are any. Runs can be listed by the names and tags of
 * their bookmarks. The same name given to the same checkpoint again replaces its tags.
 *
 * @category notes
 * @since 0.1.0
 */
export const bookmark = (
  run: RunLike,
  seq: number,
  options: NoteOptions & {
    readonly name: string
    readonly note?: string | undefined
    readonly tags?: ReadonlyArray<string> | undefined
  }
): Effect.Effect<void, ReadError | InvalidCheckpoint | CommandRefused, Runs> =>
  Service.use(({ client }) =>
    Effect.gen(function* () {
      const id = idOf(run)
      yield* checkPosition(id, seq)
      const { head } = yield* client.store.get(id)
      if (seq > head.seq) {
        return yield* new InvalidCheckpoint({
          run: id,
          seq,
          detail: `the journal ends at seq ${head.seq}`
        })
      }
      const { name, note, tags } = options
      const request: Mutable<Extract<Request, { type: "bookmark" }>> = { type: "bookmark", at: seq, name }
      if (note !== undefined) request.note = note
      if (tags !== undefined) request.tags = tags
      yield* apply(client, id, request, options, options.until ?? "accepted")
    })
  )
