/**
 * The waits of a visit: found in the journal where they are over, opened and waited for where not.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Schema from "effect/Schema"
import type { Json } from "effect/Schema"
import type { Body, WaitTarget } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import type { OpenVisit, OpenWait } from "../../RunState.ts"
import { JobFailed, WaitMisplaced, WaitTimeout } from "../../Wait.ts"
import type * as Wait from "../../Wait.ts"
import { makeCodec } from "../definition/codec.ts"
import { frozen } from "../frozen.ts"
import { inspect } from "../definition/inspect.ts"
import type { Finding } from "../definition/inspect.ts"
import type { Called } from "./children.ts"
import type { Claims, Host as Claiming } from "./claims.ts"
import * as Failures from "./failure.ts"
import { canonical } from "./canonical.ts"
import * as Order from "./order.ts"
import * as RecordedSchema from "./recordedSchema.ts"
import * as WaitSchemas from "./waitSchemas.ts"
import type { WaitOutcome } from "./waking.ts"
import type { VisitClock } from "./visitClock.ts"

/** What a visit's waits need of the run they belong to. */
export interface Host extends Claiming {
  /** Whether what is stored is encrypted. */
  readonly encrypts: boolean
  readonly open: () => OpenVisit
  /** Opens waits, and ends them at once if they are over already. If that fails, the run is stopped. */
  readonly openWaits: (bodies: ReadonlyArray<Body>) => Effect.Effect<void>
  /**
   * Waits until the visit's waits may have changed, as long as the fiber is kept; is interrupted when it is not. As long as
   * others of the visit's fibers make calls it is.
   */
  readonly park: (others: Others) => Effect.Effect<void>
  readonly halted: () => boolean
  /** What is asked for then is answered by this. */
  readonly refused: Effect.Effect<never>
  /** In a rehearsal: the visit asks for waits that are open, with these schemas. */
  readonly reopened?: (
    waits: ReadonlyArray<readonly [wait: string, schema: Json | undefined]>
  ) => Effect.Effect<void>
  readonly sync: Effect.Effect<void>
}

/** What is executed of a visit besides the fiber that waits. */
export interface Others {
  /** Whether a call of the visit is being carried out. */
  readonly isBusy: () => boolean
  /** Whether nothing but this fiber is executed of the visit. */
  readonly isAlone: (fiber: Fiber.Fiber<unknown, unknown>) => boolean
}

export interface Place extends Others {
  readonly branch: string
  readonly node: string
  readonly visit: number
  readonly attempt: number
  readonly clock: VisitClock
  readonly flow: Flow.Any
  /** A run that is to be waited for. */
  readonly calling: (calling: Wait.Calling) => Called
  /** The visit's own fiber. */
  readonly fiber: () => Fiber.Fiber<unknown, unknown> | undefined
  readonly isClosed: () => boolean
}

/** How the first of several waits ended. */
export interface Ended {
  readonly index: number
  readonly outcome: WaitOutcome
  readonly time: number
}

export interface Waits {
  readonly wait: (
    requests: ReadonlyArray<Wait.Request>
  ) => Effect.Effect<{ readonly index: number; readonly value: unknown }, unknown>
}

/** A wait that the visit has come to. */
interface Planned {
  readonly request: Wait.Request
  readonly id: string
  readonly on: WaitTarget
  /** The run that is waited for, if it is one. */
  readonly called: Called | undefined
}

export const make = (host: Host, claims: Claims, place: Place): Waits => {
  const { attempt, branch, clock, node, visit } = place
  const where = { ...(branch === "" ? undefined : { branch }), node, visit, attempt }
  const occurrences = new Map<string, number>()

  const idOf = ({ name, on }: Wait.Request): string => {
    const base = `${branch === "" ? "" : `${branch}:`}${visit}/${on.type}/${name}`
    const occurrence = occurrences.get(base) ?? 0
    occurrences.set(base, occurrence + 1)
    return `${base}/${occurrence}`
  }

  /** What the journal has of the one that ended first. */
  const recorded = (ids: ReadonlyArray<string>): Ended | undefined => {
    const { ended } = host.open()
    for (let index = 0; index < ids.length; index++) {
      const over = Object.hasOwn(ended, ids[index]!) ? ended[ids[index]!]! : undefined
      if (over === undefined || "lost" in over.outcome) continue
      return { index, outcome: over.outcome, time: over.time }
    }
    return undefined
  }

  const planned = (request: Wait.Request): Planned => {
    if (request.calls === undefined) return { request, id: idOf(request), on: request.on, called: undefined }
    const called = place.calling(request.calls)
    return { request, id: called.wait, on: called.on, called }
  }

  const serve = ({ called, on, request }: Planned, outcome: WaitOutcome): Effect.Effect<unknown, unknown> => {
    const { name, schema } = request
    if ("timedOut" in outcome) {
      return on.type === "until" ? Effect.void : Effect.fail(new WaitTimeout({ name }))
    }
    if (called !== undefined) return called.serve(outcome)
    if ("failure" in outcome) {
      if (on.type === "job") {
        return Effect.fail(new JobFailed({ job: on.id, detail: Failures.detailOf(outcome.failure) }))
      }
      return Effect.die(Failures.valueOf(Failures.load(outcome.failure, [])))
    }
    if (!("value" in outcome) || schema === undefined) return Effect.void
    // What the schema leaves as it is would be changed in the journal's own state, too.
    const exit = makeCodec(schema).decode(frozen(outcome.value))
    if (Exit.isSuccess(exit)) return Effect.succeed(exit.value)
    // The run is not failed for what another version of the handler waited for.
    const why = host.encrypts ? "" : `: ${Failures.detailOf(Failures.mismatch("", exit))}`
    return host.pause({
      kind: "incompatible",
      message: `what ended the wait for ${name} in visit ${visit} of node ${node} does not fit the schema that the handler waits with${why}`
    })
  }

  /** A run that is retried goes on now; no event that its visits consumed tells when that is. */
  const begins = (): number =>
    attempt > 1 && host.open().failures.length === 0
      ? Math.max(clock.now, clock.live.currentTimeMillisUnsafe())
      : clock.now

  const opening = (plans: ReadonlyArray<Planned>): ReadonlyArray<Body> => {
    const now = begins()
    return plans.map(({ id, on, request: { limit, name, schema } }): Body => {
      const due = limit?.(now)
      if (due !== undefined && !Number.isFinite(due)) {
        throw new RangeError(
          `the wait for ${name} in node ${node} is to be over at ${due}: give a time that exists, or a signal to wait for`
        )
      }
      return {
        kind: "waitOpened",
        ...where,
        wait: id,
        on,
        ...(plans.length > 1 ? { race: plans[0]!.id } : undefined),
        ...(schema === undefined ? undefined : { schema: RecordedSchema.record(schema) }),
        ...(due === undefined ? undefined : { due })
      }
    })
  }

  /** Opens waits, and sees to it that the runs that are waited for are made. */
  const open = (plans: ReadonlyArray<Planned>): Effect.Effect<void> => {
    if (plans.every(({ called }) => called === undefined)) return host.openWaits(opening(plans))
    return Effect.gen(function* () {
      const made: Array<readonly [Called, Extract<Body, { kind: "sent" }>]> = []
      for (const { called } of plans) if (called !== undefined) made.push([called, yield* called.sent])
      yield* host.openWaits([...made.map(([, sent]) => sent), ...opening(plans)])
      yield* host.sync
      for (const [called, { message }] of made) yield* called.deliver(message)
    })
  }

  /** Waits that are open: whether the visit asks for them as it did when they were opened. */
  const reopen = (plans: ReadonlyArray<Planned>): Effect.Effect<void> => {
    const { reopened } = host
    if (reopened === undefined) return Effect.void
    return reopened(
      plans.flatMap(({ called, id, request: { schema } }) =>
        called === undefined ? [[id, schema && RecordedSchema.record(schema)] as const] : []
      )
    )
  }

  const outcome = (ids: ReadonlyArray<string>): Effect.Effect<Ended> =>
    Effect.suspend(() => {
      if (host.halted()) return host.refused
      const over = recorded(ids)
      if (over !== undefined) {
        if (over.time > clock.now) clock.now = over.time
        return Effect.succeed(over)
      }
      return Effect.andThen(host.park(place), outcome(ids))
    })

  /** Waits for the first of several waits, which are opened if the visit comes to them for the first time. */
  const until = (name: string, requests: ReadonlyArray<Wait.Request>) =>
    Effect.withFiber((fiber): Effect.Effect<{ readonly index: number; readonly value: unknown }, unknown> => {
      if (place.isClosed()) {
        return Effect.die(
          new Error(`something that outlived visit ${visit} of node ${node} waits for ${name}`)
        )
      }
      if (host.halted()) return host.refused
      if (fiber !== place.fiber()) return Effect.die(new WaitMisplaced({ node, wait: name }))
      const plans = requests.map(planned)
      const [{ id: first, on }] = plans as [Planned]
      const ids = plans.map(({ id }) => id)
      for (const id of ids) claims.claim(id)
      const ended = Effect.flatMap(outcome(ids), ({ index, outcome: over }) =>
        Effect.map(serve(plans[index]!, over), (value) => ({ index, value }))
      )
      const over = recorded(ids)
      if (over !== undefined) {
        const turn = claims.order?.turnOf(ids[over.index]!)
        return turn === undefined ? ended : Effect.andThen(turn, ended)
      }
      if (host.open().waiting.includes(first)) return Effect.andThen(reopen(plans), ended)
      const checked = claims.unrecorded({ tool: "wait", call: first, input: on }) ?? Effect.void
      // Other fibers begin what they are about to do before it is over, as they do before one that takes longer.
      const opened = Effect.suspend(() =>
        recorded(ids) === undefined || place.isAlone(fiber) ? ended : Effect.andThen(Order.othersFirst, ended)
      )
      return Effect.andThen(Effect.andThen(checked, open(plans)), opened)
    })

  return {
    wait: (requests) => {
      const [first] = requests
      if (first === undefined) return Effect.die(new Error("a race of no waits is never over"))
      for (const { name, on, schema } of requests) {
        const problem = schema && problemWith(schema, host.encrypts)
        if (problem !== undefined) return Effect.die(new Error(`the wait for ${name} ${problem}`))
        WaitSchemas.learn(place.flow, node, on, schema)
      }
      return until(first.name, requests)
    }
  }
}

const findings = new WeakMap<Schema.Constraint, ReadonlyArray<Finding>>()

/** Why what ends a wait cannot be stored, if that is so. */
const problemWith = (schema: Schema.Constraint, encrypts: boolean): string | undefined => {
  let found = findings.get(schema)
  if (found === undefined) findings.set(schema, (found = inspect(schema, "its schema")))
  for (const { kind, path, what } of found) {
    if (kind === "redacted") {
      if (!encrypts) return "has Redacted values: provide a Codec that encrypts what is stored"
    } else return `cannot be stored: ${path} (${what}) does not say how; describe it, or use Schema.Json`
  }
  return undefined
}

/** Whether an answer is one that a person could give. */
export const isChoice = ({ on }: OpenWait, value: Json): boolean => {
  if (on.type !== "user" || on.choices === undefined || on.freeText === true) return true
  const text = canonical(value)
  return Array.isArray(on.choices) && on.choices.some((choice) => canonical(choice) === text)
}
