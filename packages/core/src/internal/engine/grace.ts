/**
 * Code of a flow's author on fibers of its own: it can be interrupted alone, has some time to end then, and is left
 * behind if it does not.
 */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"

/**
 * Something that was interrupted and did not stop: its run went on without it. `since` is when it was left behind
 * (milliseconds).
 *
 * @category models
 * @since 0.1.0
 */
export interface Stuck {
  readonly run: string
  readonly branch: string
  readonly node: string
  readonly visit: number
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
