/**
 * One run of an effect for all who ask while another run is under way.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** How long runs may go on, and what those get who wait for one that was ended, or ask afterwards. */
export interface Within<E> {
  readonly scope: Scope.Scope
  readonly ended: Effect.Effect<never, E>
}

export interface Options<E> {
  /** The first run begins after this, and those who ask meanwhile share it. */
  readonly gather?: Effect.Effect<void> | undefined
  /** Runs end with this scope, which waits for what of them cannot be interrupted; without it they go on by themselves. */
  readonly within?: Within<E> | undefined
}

/**
 * Everyone who asks gets the outcome of a run that began after they asked; those who ask during a run share the next
 * one. An interrupted asker does not stop the run for the others.
 */
export const coalesce = <A, E>(
  work: Effect.Effect<A, E>,
  { gather, within }: Options<E> = {}
): Effect.Effect<A, E> => {
  let running = false
  let hasEnded = false
  let present: Deferred.Deferred<A, E> | undefined
  /** The outcome of the run that has yet to begin. */
  let next: Deferred.Deferred<A, E> | undefined

  const run: Effect.Effect<void> = Effect.suspend(() => {
    const outcome = next
    if (outcome === undefined) {
      running = false
      return Effect.void
    }
    present = outcome
    next = undefined
    return Effect.flatMap(Effect.exit(work), (exit) => {
      Deferred.doneUnsafe(outcome, exit)
      return run
    })
  })
  const gathered = gather === undefined ? run : Effect.andThen(gather, run)

  const start = (): Effect.Effect<unknown> => {
    if (within === undefined) {
      return Effect.forkDetach(Effect.interruptible(gathered), { startImmediately: true })
    }
    const end = Effect.sync(() => {
      hasEnded = true
      for (const outcome of [present, next]) {
        if (outcome !== undefined) Deferred.doneUnsafe(outcome, within.ended)
      }
    })
    return Effect.forkIn(
      Effect.onInterrupt(Effect.interruptible(gathered), () => end),
      within.scope,
      { startImmediately: true, uninterruptible: true }
    )
  }

  return Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      if (within !== undefined && (hasEnded || within.scope.state._tag === "Closed")) return within.ended
      next ??= Deferred.makeUnsafe<A, E>()
      const outcome = restore(Deferred.await(next))
      if (running) return outcome
      running = true
      return Effect.andThen(start(), outcome)
    })
  )
}
