/**
 * One run of an effect for all who ask while another run is under way.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"

/**
 * Everyone who asks gets the outcome of a run that began after they asked; those who ask during a run share the next
 * one. An interrupted asker does not stop the run for the others.
 */
export const coalesce = <A, E>(work: Effect.Effect<A, E>): Effect.Effect<A, E> => {
  let running = false
  let next: Deferred.Deferred<A, E> | undefined

  const start = (outcome: Deferred.Deferred<A, E>): Effect.Effect<void> =>
    Effect.flatMap(Effect.exit(work), (exit: Exit.Exit<A, E>) => {
      Deferred.doneUnsafe(outcome, exit)
      const waiting = next
      next = undefined
      if (waiting === undefined) {
        running = false
        return Effect.void
      }
      return start(waiting)
    })

  return Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      if (running) {
        next ??= Deferred.makeUnsafe<A, E>()
        return restore(Deferred.await(next))
      }
      running = true
      const outcome = Deferred.makeUnsafe<A, E>()
      return Effect.andThen(
        Effect.forkDetach(Effect.interruptible(start(outcome)), { startImmediately: true }),
        restore(Deferred.await(outcome))
      )
    })
  )
}
