/**
 * Tries that have to show that they are alive.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Tool from "../../Tool.ts"

export interface Heart {
  /** The try is alive. */
  readonly beat: Effect.Effect<void>
  /** Fails when the try has not shown that for too long. */
  readonly stalled: Effect.Effect<never>
}

const nanosPerMilli = 1e6

/** A heart for one try. It goes by a clock that no one sets. */
export const make = (heartbeat: Duration.Duration, name: string): Heart => {
  const millis = Duration.toMillis(heartbeat)
  let last = 0
  const now = Effect.map(Clock.Clock, (clock) => Number(clock.monotonicTimeNanosUnsafe()) / nanosPerMilli)
  const beat = Effect.map(now, (time) => {
    last = time
  })
  const left = Effect.map(now, (time) => last + millis - time)
  const stalled: Effect.Effect<never> = Effect.flatMap(left, (wait) =>
    Effect.andThen(
      // If everything stood still, the try is to have a chance to say that it is alive.
      Effect.andThen(Effect.sleep(Duration.millis(wait)), Effect.yieldNow),
      Effect.flatMap(left, (more) =>
        more > 0 ? stalled : Effect.die(new Tool.ToolStalled({ tool: name, millis }))
      )
    )
  )
  return { beat, stalled }
}
