/**
 * What a run sends to others: delivered again until it is known to have arrived.
 *
 * A message is in the journal, durably, before anything of it is seen; the receiver knows it by its id, or by the id of
 * the run that it makes. So delivering it twice comes to the same as once.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { Json } from "effect/Schema"
import type { Request } from "../../Command.ts"
import type { Failure } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import type { RunState } from "../../RunState.ts"
import { cursorOf, isHandled } from "../inbox.ts"
import { get } from "../record.ts"
import { isTerminal } from "../status.ts"
import { canonical } from "./canonical.ts"
import * as Commands from "./commands.ts"
import * as Creating from "./creating.ts"
import * as Endings from "./endings.ts"
import * as Reader from "./reader.ts"
import * as Versions from "./versions.ts"
import * as Waking from "./waking.ts"
import type { Bodies, WriteError, Writer } from "./writer.ts"

/** What is sent: a run to be made, how a run ended, that a run is to be cancelled. */
export type Message =
  | { readonly type: "start"; readonly created: Creating.Created }
  | Endings.Ended
  | { readonly type: "cancel"; readonly wait: string; readonly reason: string }

export interface Outbox {
  /** Whether something is to be delivered that was not tried in vain. */
  readonly isDue: () => boolean
  /** Delivers all that is due, once it is durable. */
  readonly flush: Effect.Effect<void, WriteError>
  /** Delivers a message that is durable, if it is not known to have arrived. */
  readonly deliver: (message: string, flow?: Flow.Any) => Effect.Effect<void, WriteError>
  /** Cancels the runs that are waited for, as far as that can be done now; whether all of them have ended. */
  readonly endChildren: Effect.Effect<boolean, WriteError>
  /** Whether something is being tried again by itself. */
  readonly isBusy: () => boolean
  /** Nothing is tried again by itself any more; waits for what is. */
  readonly end: Effect.Effect<void>
}

/**
 * After so many milliseconds a message that could not be delivered is tried again, and a run that is to end is asked
 * again.
 */
export const tryAgain = 15_000

const cancelledAs = (run: string, reason: string): Endings.Outcome => ({
  failure: { kind: "cancelled", run, reason }
})

/** How a run has ended, if it has. */
const outcomeOf = ({ ending, run }: RunState): Endings.Outcome | undefined => {
  switch (ending?.status) {
    case undefined:
      return undefined
    case "completed":
      return { value: ending.output }
    case "failed":
      return { failure: ending.error }
    case "cancelled":
      return cancelledAs(run, ending.reason)
  }
}

export const make = (options: {
  readonly creator: Creating.Creator
  readonly writer: Writer
  readonly touched: (bodies: Bodies) => void
  /** Calls back after so many milliseconds, unless the result is called before. */
  readonly timer: (millis: number, callback: () => void) => () => void
  /** Something is due again: whether somebody sees to it. */
  readonly poke: () => boolean
  /** Does something beside what is executed. */
  readonly fork: (effect: Effect.Effect<void, WriteError>) => Fiber.Fiber<void>
}): Outbox => {
  const { creator, touched, writer } = options
  const { clock, codec, store } = creator
  const { run } = writer.lease
  /** Messages that could not be delivered, until they are tried again. */
  const stuck = new Set<string>()
  let stopTrying: (() => void) | undefined
  let retrying: Fiber.Fiber<void> | undefined
  /** Messages that are being delivered. */
  const underWay = new Set<string>()
  /** Runs that are being made, or could not be yet: nothing else is told them before. */
  const making = new Set<string>()
  /** Waits whose runs were asked to end, and when they are to be asked again. */
  const asked = new Map<string, number>()

  const appendTo = (decide: (state: RunState) => Bodies | undefined): Effect.Effect<void, WriteError> => {
    let appended: Bodies | undefined
    return Effect.map(
      writer.appendTo((state) => (appended = decide(state))),
      () => {
        if (appended !== undefined) touched(appended)
      }
    )
  }

  const arrived = (message: string): Effect.Effect<void, WriteError> =>
    appendTo(({ outbox }) => (HashMap.has(outbox, message) ? [{ kind: "delivered", message }] : undefined))

  const isWaitedFor = (wait: string | undefined, child: string): boolean =>
    Waking.isForRun(writer.state, wait, child)

  /** The wait for a run is over, if it is open still, by what became of the run. */
  const end = (
    wait: string | undefined,
    child: string,
    outcome: Endings.Outcome
  ): Effect.Effect<void, WriteError> =>
    appendTo((state) => (Waking.isForRun(state, wait, child) ? Waking.end(state, wait!, outcome) : undefined))

  const send = Effect.fnUntraced(function* (to: string, id: string, plain: Request) {
    const request = yield* Commands.seal(codec, to, plain)
    const time = clock.currentTimeMillisUnsafe()
    yield* store.send({ id, run: to, time, ...Waking.senderOf(writer.state), request })
  })

  const reasonOf = ({ cancel }: RunState): string =>
    `run ${run}, which waits for it, was cancelled: ${cancel}`

  /** Whether the last end of a failed run is still to come in here. */
  const isToCome = Effect.fnUntraced(function* (child: RunState) {
    const id = Endings.messageOf(child.run, child.restarts)
    if (HashMap.has(child.outbox, id)) return true
    const received = yield* store.inbox(run, cursorOf(writer.state.inbox))
    return received.some(
      ({ command, position, source }) =>
        command.id === id && !isHandled(get(writer.state.inbox, source), position)
    )
  })

  /** The run that was to be made is there: from an earlier delivery, or of an earlier attempt. */
  const meet = Effect.fnUntraced(function* (message: string, child: string, created: Creating.Created) {
    const { input, parent } = created
    const wait = parent!.wait
    const first = yield* Reader.eventAt(creator, child, 0)
    const isOurs = first.kind === "created" && canonical(first.parent as Json) === canonical(parent as Json)
    if (!isOurs || canonical(first.input) !== canonical(input)) {
      const detail = isOurs
        ? "it was started with another input; give calls whose input differs from attempt to attempt a key each"
        : "it is not one that this visit started"
      const text = `run ${child} exists already: ${detail}`
      const failure: Failure = { kind: "defect", name: "RunConflict", message: text }
      yield* Effect.logWarning("a run cannot be started by another", { run, error: text })
      return yield* end(wait, child, { failure })
    }
    if (!isWaitedFor(wait, child)) return
    const { state } = yield* Reader.load(creator, child)
    const outcome = outcomeOf(state)
    if (state.status === "failed") {
      // If its failure was told an earlier attempt, this one asks for it to be tried again.
      if (!(yield* isToCome(state))) yield* send(child, message, { type: "retry" })
    } else if (outcome !== undefined) yield* end(wait, child, outcome)
  })

  const start = Effect.fnUntraced(function* (
    message: string,
    child: string,
    { created }: Extract<Message, { type: "start" }>,
    flow: Flow.Any | undefined
  ) {
    const wait = created.parent?.wait
    // Whoever does not wait any more has got its end, or does not want it.
    if (wait !== undefined && !isWaitedFor(wait, child)) return
    if (flow !== undefined) yield* Versions.keepShape(store, flow)
    // It may be through before this fiber goes on, and so may those that it starts: not on one stack.
    yield* Effect.yieldNow
    const { state } = writer
    const isInVain = wait !== undefined && state.status === "cancelling"
    const reason = reasonOf(state)
    const made = yield* Effect.result(
      isInVain
        ? // If it is not there it never was executed; made so, it never will be.
          Creating.create({ ...creator, starter: undefined }, child, created, undefined, {
            following: [
              { kind: "cancelRequested", reason },
              { kind: "cancelled", reason }
            ]
          })
        : Creating.create(creator, child, created, undefined)
    )
    if (made._tag === "Success") {
      if (isInVain) yield* end(wait, child, cancelledAs(child, reason))
    } else if (made.failure._tag === "RunExists") yield* meet(message, child, created)
    else return yield* Effect.fail(made.failure)
  })

  const carry = (
    message: string,
    to: string,
    body: Message,
    flow: Flow.Any | undefined
  ): Effect.Effect<void, WriteError | Reader.ReadError> => {
    switch (body.type) {
      case "start":
        return start(message, to, body, flow)
      case "ended": {
        // A run that goes on after a failure tells its next end.
        const { restarts, status } = writer.state
        return isTerminal(status) && message === Endings.messageOf(run, restarts)
          ? Effect.catchTag(send(to, message, body), "RunNotFound", () => Effect.void)
          : Effect.void
      }
      case "cancel":
        return Effect.catchTag(
          send(to, message, { type: "cancel", reason: body.reason }),
          "RunNotFound",
          () => end(body.wait, to, cancelledAs(to, "it was deleted"))
        )
    }
  }

  /** What concerns the run's own journal is not to be got over here; for the rest there is another way. */
  const orElse = <R>(
    effect: Effect.Effect<void, WriteError | Reader.ReadError, R>,
    otherwise: (error: Exclude<Reader.ReadError, never>) => Effect.Effect<void, WriteError>
  ): Effect.Effect<void, WriteError, R> =>
    Effect.catch(effect, (error): Effect.Effect<void, WriteError> => {
      if (writer.broken !== undefined) return Effect.fail(writer.broken)
      return error._tag === "LeaseLost" || error._tag === "SeqConflict"
        ? Effect.fail(error)
        : otherwise(error)
    })

  const deliver: Outbox["deliver"] = (message, flow) =>
    Effect.suspend((): Effect.Effect<void, WriteError> => {
      const sent = Option.getOrUndefined(HashMap.get(writer.state.outbox, message))
      if (sent === undefined || underWay.has(message)) return Effect.void
      underWay.add(message)
      const { to } = sent
      const body = sent.body as unknown as Message
      if (body.type === "start") making.add(to)
      const carried = Effect.andThen(carry(message, to, body, flow), arrived(message))
      return orElse(carried, (error) => {
        stuck.add(message)
        stopTrying ??= options.timer(tryAgain, () => {
          stopTrying = undefined
          stuck.clear()
          // A visit may take long.
          if (!options.poke()) retrying = options.fork(flush)
        })
        return Effect.logWarning("a message to another run could not be delivered; it is tried again later", {
          run,
          to,
          message,
          error: error.message
        })
      }).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            underWay.delete(message)
            if (body.type === "start" && !stuck.has(message)) making.delete(to)
          })
        )
      )
    }).pipe(Effect.uninterruptible)

  /** Runs are made before they are told something. */
  const nextDue = (): string | undefined => {
    let first: string | undefined
    if (HashMap.isEmpty(writer.state.outbox)) return first
    for (const [message, { body, to }] of writer.state.outbox) {
      if (stuck.has(message) || underWay.has(message)) continue
      if ((body as unknown as Message).type === "start") return message
      if (!making.has(to)) first ??= message
    }
    return first
  }

  const flush: Outbox["flush"] = Effect.gen(function* () {
    if (nextDue() === undefined) return
    yield* writer.sync
    for (let message = nextDue(); message !== undefined; message = nextDue()) yield* deliver(message)
  })

  /** A run that is waited for has ended, or is asked to. */
  const look = Effect.fnUntraced(function* (wait: string, child: string) {
    const { info } = yield* store.get(child)
    if (isTerminal(info.status)) {
      const outcome = outcomeOf((yield* Reader.load(creator, child)).state)
      // It may have been retried just now.
      if (outcome !== undefined) return yield* end(wait, child, outcome)
    }
    if (info.status === "cancelling") return
    yield* appendTo((state) => [
      {
        kind: "sent",
        to: child,
        message: `${child}:cancel:${state.seq}`,
        body: { type: "cancel", wait, reason: reasonOf(state) }
      }
    ])
  })

  const endChildren: Outbox["endChildren"] = Effect.gen(function* () {
    const now = clock.currentTimeMillisUnsafe()
    const unsent = new Set<string>()
    for (const { to } of HashMap.values(writer.state.outbox)) unsent.add(to)
    for (const [wait, { on }] of writer.state.waits) {
      if (on.type !== "run" || now < (asked.get(wait) ?? 0) || unsent.has(on.run)) continue
      asked.set(wait, now + tryAgain)
      yield* orElse(look(wait, on.run), (error) =>
        error._tag === "RunNotFound"
          ? end(wait, on.run, cancelledAs(on.run, "it was deleted"))
          : Effect.logWarning("a run that is to be cancelled cannot be read; it is looked at again", {
              run,
              child: on.run,
              error: error.message
            })
      )
    }
    yield* flush
    for (const { on } of HashMap.values(writer.state.waits)) if (on.type === "run") return false
    return true
  })

  return {
    isDue: () => nextDue() !== undefined,
    flush,
    deliver,
    endChildren,
    isBusy: () => retrying !== undefined && retrying.pollUnsafe() === undefined,
    end: Effect.suspend(() => {
      const fiber = retrying
      const ended = fiber === undefined ? Effect.void : Effect.asVoid(Fiber.await(fiber))
      return Effect.andThen(
        ended,
        Effect.sync(() => stopTrying?.())
      )
    })
  }
}
