/**
 * Code of a flow's author on fibers of its own: it can be interrupted alone, has some time to end then, and is left
 * behind if it does not.
 */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"

/**
 * Something that was interrupted and did not stop: its run went on without it. `since` is when it was left behind
 * (milliseconds); `tool` is there if it is a try of a call, or of undoing one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stuck {
  readonly run: string
  readonly branch: string
  readonly node: string
  readonly visit: number
  readonly tool?: string
  readonly since: number
}

export interface Options {
  readonly clock: Clock.Clock
  readonly context: Context.Context<never>
  /** How long what was interrupted has to end. */
  readonly grace: Duration.Duration
  /** Everything in this process that was left behind and has not ended. */
  readonly stuck: Set<Stuck>
}

export interface Grace {
  /**
   * Executes something, with a context of its own or that of the fiber that asks; `undefined` if it was left behind. What
   * `stopping` says when it has begun counts for what asked to stop before it could be interrupted.
   */
  readonly execute: <A, E>(
    effect: Effect.Effect<A, E>,
    place: Omit<Stuck, "since">,
    stopping: () => boolean,
    context?: Context.Context<never>
  ) => Effect.Effect<Exit.Exit<A, E> | undefined>
  /** Interrupts what is executing. Unless that is unlimited, it has the grace time to end. */
  readonly interrupt: (unlimited?: boolean) => void
  /** Leaves behind what is executing. */
  readonly leave: () => void
}

/** So often something may catch that it is interrupted, and ask for more. */
const mostRefusals = 100

/**
 * Answers whoever is to stop: the fiber is interrupted as from outside, so that only its finalizers are executed. Where it
 * cannot be, it is told so; if it catches that again and again it gets no answer any more.
 */
export const refusal = (counts: { refusals: number }): Effect.Effect<never> =>
  Effect.withFiber((fiber) => {
    fiber.interruptUnsafe()
    return ++counts.refusals > mostRefusals ? Effect.never : Effect.interrupt
  })

/**
 * Executes something for as long as `limit` lasts, which ends as what takes longer is to end. That is interrupted, has the
 * grace time to end, and is left behind if it does not: `onLeft` is told, and what becomes of it later is ignored.
 */
export const limited = <A, E, R>(
  { clock, grace, stuck }: Omit<Options, "context">,
  effect: Effect.Effect<A, E, R>,
  limit: Effect.Effect<never>,
  {
    onLeft,
    place,
    what
  }: {
    readonly place: Omit<Stuck, "since">
    /** What it is, for the warning. */
    readonly what: string
    readonly onLeft?: () => void
  }
): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDetach(effect, { startImmediately: true }), (fiber) => {
      const atOnce = fiber.pollUnsafe()
      if (atOnce !== undefined) return atOnce
      /** Until it has ended, or something else has before. */
      const ended = (other: Fiber.Fiber<unknown>) =>
        Effect.onExit(
          Effect.callback<void>((resume) => {
            fiber.addObserver(() => resume(Effect.void))
            other.addObserver(() => resume(Effect.void))
          }),
          () => Effect.sync(() => other.interruptUnsafe())
        )
      const leave = Effect.suspend(() => {
        const left: Stuck = { ...place, since: clock.currentTimeMillisUnsafe() }
        stuck.add(left)
        fiber.addObserver(() => stuck.delete(left))
        onLeft?.()
        const { branch: _, ...where } = place
        return Effect.logWarning(`${what} took too long, does not stop, and is left behind`, where)
      })
      return Effect.flatMap(Effect.forkDetach(limit, { startImmediately: true }), (timer) =>
        Effect.flatMap(Effect.exit(restore(ended(timer))), (first): Effect.Effect<A, E> => {
          const exit = fiber.pollUnsafe()
          if (exit !== undefined && Exit.isSuccess(first)) return exit
          fiber.interruptUnsafe()
          // Whoever interrupts all of it waits for its end, and has a limit to that.
          if (Exit.isFailure(first)) return Effect.andThen(Fiber.await(fiber), first as Exit.Exit<never>)
          const over = timer.pollUnsafe() as Exit.Exit<never>
          if (fiber.pollUnsafe() !== undefined) return over
          const waiting = Duration.isFinite(grace) ? clock.sleep(grace) : Effect.never
          return Effect.flatMap(Effect.forkDetach(waiting, { startImmediately: true }), (patience) =>
            Effect.andThen(
              ended(patience),
              Effect.suspend(() => (fiber.pollUnsafe() === undefined ? Effect.andThen(leave, over) : over))
            )
          )
        })
      )
    })
  )

interface Running {
  readonly interrupt: (unlimited: boolean) => void
  readonly leave: () => void
}

export const make = ({ clock, context, grace, stuck }: Options): Grace => {
  /** Most of what is executed is through at once. */
  let running: Set<Running> | undefined

  const follow = <A, E>(
    fiber: Fiber.Fiber<A, E>,
    place: Omit<Stuck, "since">,
    stopping: () => boolean
  ): Effect.Effect<Exit.Exit<A, E> | undefined> =>
    Effect.callback((resume) => {
      const all = (running ??= new Set())
      let timer: Fiber.Fiber<unknown> | undefined
      const settle = (exit: Exit.Exit<A, E> | undefined): void => {
        all.delete(self)
        timer?.interruptUnsafe()
        resume(Effect.succeed(exit))
      }
      const leave = (): void => {
        if (!all.has(self)) return
        const left: Stuck = { ...place, since: clock.currentTimeMillisUnsafe() }
        stuck.add(left)
        fiber.addObserver(() => stuck.delete(left))
        settle(undefined)
      }
      const self: Running = {
        leave,
        interrupt: (unlimited) => {
          fiber.interruptUnsafe()
          if (unlimited || timer !== undefined || !all.has(self) || !Duration.isFinite(grace)) return
          timer = Effect.runForkWith(context)(Effect.andThen(clock.sleep(grace), Effect.sync(leave)))
        }
      }
      all.add(self)
      fiber.addObserver((exit) => {
        if (all.has(self)) settle(exit)
      })
      if (stopping()) self.interrupt(false)
    })

  return {
    execute: (effect, place, stopping, own) => {
      const begun = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<Exit.Exit<A, E> | undefined> => {
        const exit = fiber.pollUnsafe()
        return exit === undefined ? follow(fiber, place, stopping) : Effect.succeed(exit)
      }
      return own === undefined
        ? Effect.flatMap(Effect.forkDetach(effect, { startImmediately: true }), begun)
        : Effect.suspend(() => begun(Effect.runForkWith(own)(effect)))
    },
    interrupt: (unlimited = false) => {
      // What ends at once may be followed by something else at once, which is not meant.
      const now = [...(running ?? [])]
      for (const one of now) one.interrupt(unlimited)
    },
    leave: () => {
      const now = [...(running ?? [])]
      for (const one of now) one.leave()
    }
  }
}
