/**
 * A machine for tests: several processes in one, which can be frozen, killed and rebooted.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Deferred from "effect/Deferred"
import * as Layer from "effect/Layer"
import { ProcessIdentity } from "./ProcessIdentity.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Machine {
  /** The identity of one more process. */
  readonly spawn: () => MachineProcess
  /** All processes are gone; those that come are of another boot. */
  readonly reboot: () => void
}

/**
 * @category models
 * @since 0.1.0
 */
export interface MachineProcess {
  readonly pid: number
  readonly layer: Layer.Layer<ProcessIdentity>
  /** Its timers stop, and with them its heartbeat, until it is thawed. What it does otherwise goes on. */
  readonly freeze: () => void
  readonly thaw: () => void
  /** Others see that the process is gone, though whatever it does goes on. */
  readonly vanish: () => void
}

let uniques = 0

/**
 * - `host`: its name
 * - `hurried`: nobody waits on it: a pause is over at once. For stores that are opened, looked at and closed; what happens
 *   now and then happens all the time
 *
 * @category models
 * @since 0.1.0
 */
export interface MachineOptions {
  readonly host?: string | undefined
  readonly hurried?: boolean | undefined
}

/**
 * A machine on which nothing runs yet.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeMachine = ({ host = "host", hurried = false }: MachineOptions = {}): Machine => {
  let boot = 1
  let pids = 0
  const gone = new Set<number>()

  return {
    reboot: () => {
      boot += 1
      for (let pid = 1; pid <= pids; pid++) gone.add(pid)
    },
    spawn: () => {
      const pid = ++pids
      let frozen: Deferred.Deferred<void> | undefined
      const pause = (millis: number): Effect.Effect<void> =>
        Effect.callback<void>((resume) => {
          const over = () => resume(frozen === undefined ? Effect.void : Deferred.await(frozen))
          if (hurried) {
            const turn = setImmediate(over)
            return Effect.sync(() => clearImmediate(turn))
          }
          const timer = setTimeout(over, millis)
          return Effect.sync(() => clearTimeout(timer))
        })
      return {
        pid,
        layer: Layer.sync(ProcessIdentity)(() => ({
          self: { host, boot: `boot-${boot}`, namespace: "", pid, start: "1" },
          isAlive: (identity) => !gone.has(identity.pid),
          unique: () => `x${(++uniques).toString(36).padStart(4, "0")}`,
          monotonic: () => performance.now(),
          pause
        })),
        freeze: () => {
          frozen = Deferred.makeUnsafe<void>()
        },
        thaw: () => {
          if (frozen !== undefined) Deferred.doneUnsafe(frozen, Effect.void)
          frozen = undefined
        },
        vanish: () => {
          gone.add(pid)
        }
      }
    }
  }
}
