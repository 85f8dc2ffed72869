/**
 * Carries out operations with the faults that a plan has for them.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Code } from "../powerLoss/errno.ts"
import { concerns, planOf } from "./fault.ts"
import type { Fault, Kind, Operation, Plan, Rule } from "./fault.ts"

/** An operation as it comes, and how it is carried out with the faults that not every one can have. */
export interface Request<A, E> {
  readonly service: Operation["service"]
  readonly name: string
  readonly kind: Kind
  readonly subject: string
  readonly perform: Effect.Effect<A, E>
  readonly fail: (code: Code) => Effect.Effect<never, E>
  /** Carries out as much of a write as these bytes are. */
  readonly torn?: ((bytes: number) => Effect.Effect<unknown, E>) | undefined
  /** Answers as if it had been made durable. */
  readonly lost?: Effect.Effect<A, E> | undefined
  /** Carries it out once more; nobody hears of that. */
  readonly again?: Effect.Effect<unknown, unknown> | undefined
  readonly flipped?: ((bit: number) => Effect.Effect<A, E>) | undefined
  /** What was answered before; `undefined` if nobody asked. */
  readonly stale?: (() => Effect.Effect<A, E> | undefined) | undefined
  /** Is told of each moment at which it may be cut off. */
  readonly observer?: Observer | undefined
}

export interface Observer {
  readonly before: (operation: Operation) => void
  readonly after: (operation: Operation, succeeded: boolean) => void
}

export interface Injected {
  readonly operation: Operation
  readonly fault: Fault
}

export interface Injector {
  readonly operations: ReadonlyArray<Operation>
  readonly injected: ReadonlyArray<Injected>
  readonly perform: <A, E>(request: Request<A, E>) => Effect.Effect<A, E>
  /** Replaces what is planned. */
  readonly use: (rules: ReadonlyArray<Rule>) => void
  readonly crash: () => void
  readonly isDead: () => boolean
  readonly crashed: Effect.Effect<void>
}

/** What never comes back can be interrupted, wherever it is called: a test has to get rid of what is dead. */
const gone = Effect.interruptible(Effect.never)

const can =
  <A, E>(request: Request<A, E>, stale: Effect.Effect<A, E> | undefined) =>
  (fault: Fault): boolean => {
    if (!concerns(fault, request.kind)) return false
    switch (fault._tag) {
      case "TornWrite":
        return request.torn !== undefined
      case "LostSync":
        return request.lost !== undefined
      case "Duplicate":
        return request.again !== undefined
      case "FlipBit":
        return request.flipped !== undefined
      case "StaleRead":
        return stale !== undefined
      default:
        return true
    }
  }

export const make = (rules: ReadonlyArray<Rule>, onCrash: () => void): Injector => {
  const operations: Array<Operation> = []
  const injected: Array<Injected> = []
  const crashed = Deferred.makeUnsafe<void>()
  let plan: Plan = planOf(rules)
  let dead = false

  const crash = (): void => {
    if (dead) return
    dead = true
    onCrash()
    Deferred.doneUnsafe(crashed, Effect.void)
  }
  const died = Effect.suspend(() => {
    crash()
    return gone
  })

  const perform = <A, E>(request: Request<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      if (dead) return gone
      const { kind, name, observer, service, subject } = request
      const operation: Operation = { number: operations.length + 1, service, name, kind, subject }
      operations.push(operation)
      observer?.before(operation)
      if (dead) return gone

      /** Whoever died meanwhile does not hear of it. */
      const carriedOut = <B>(work: Effect.Effect<B, E>): Effect.Effect<B, E> =>
        Effect.flatMap(Effect.exit(work), (exit): Effect.Effect<B, E> => {
          observer?.after(operation, Exit.isSuccess(exit))
          return dead ? gone : exit
        })

      const stale = request.stale?.()
      const fault = plan.decide(operation, can(request, stale))
      if (fault === undefined) return carriedOut(request.perform)
      injected.push({ operation, fault })
      switch (fault._tag) {
        case "Fail":
          return fault.partial === undefined || request.torn === undefined
            ? request.fail(fault.code)
            : Effect.andThen(carriedOut(request.torn(fault.partial)), request.fail(fault.code))
        case "CrashBefore":
          return died
        case "CrashAfter":
          return Effect.andThen(Effect.exit(carriedOut(request.perform)), died)
        case "TornWrite":
          return Effect.andThen(Effect.exit(carriedOut(request.torn!(fault.bytes))), died)
        case "LostSync":
          return request.lost!
        case "Duplicate":
          return Effect.tap(carriedOut(request.perform), () => Effect.exit(request.again!))
        case "Delay":
          return Effect.andThen(Effect.sleep(fault.millis), carriedOut(request.perform))
        case "FlipBit":
          return carriedOut(request.flipped!(fault.bit))
        case "StaleRead":
          return stale!
      }
    })

  return {
    operations,
    injected,
    perform,
    use: (next) => {
      plan = planOf(next)
    },
    crash,
    isDead: () => dead,
    crashed: Deferred.await(crashed)
  }
}
