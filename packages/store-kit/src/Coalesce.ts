/**
 * One run of an effect for all who ask while another run is under way.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"

/**
 * Everyone who asks gets the outcome of a run that began after they asked; those who ask during a run share the next
 * one. An interrupted asker does not stop the run for the others. With `gather`, the first run begins after that, and those
 * who ask meanwhile share it, too.
 */
export const coalesce = <A, E>(
  work: Effect.Effect<A, E>,
  gather?: Effect.Effect<void>
): Effect.Effect<A, E> => {
  let running = false
  /** The outcome of the run that has yet to begin. */
  let next: Deferred.Deferred<A, E> | undefined

  const run: Effect.Effect<void> = Effect.suspend(() => {
    const outcome = next
    if (outcome === undefined) {
      running = false
      return Effect.void
    }
    next = undefined
    return Effect.flatMap(Effect.exit(work), (exit) => {
      Deferred.doneUnsafe(outcome, exit)
      return run
    })
  })
  const started = Effect.interruptible(gather === undefined ? run : Effect.andThen(gather, run))

  return Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      next ??= Deferred.makeUnsafe<A, E>()
      const outcome = restore(Deferred.await(next))
      if (running) return outcome
      running = true
      return Effect.andThen(Effect.forkDetach(started, { startImmediately: true }), outcome)
    })
  )
}
