/**
 * The commands of a run that is executed: those that have come in, and when they are carried out.
 */
import * as Effect from "effect/Effect"
import type * as Flow from "../../Flow.ts"
import type { IllegalEvent } from "../../RunState.ts"
import type * as Store from "../../Store.ts"
import { checked } from "./checking.ts"
import * as Commands from "./commands.ts"
import * as Failures from "./failure.ts"
import * as WaitSchemas from "./waitSchemas.ts"
import type { WriteError, Writer } from "./writer.ts"

export interface Obeying {
  /** Whether none has come in that was not carried out. */
  readonly isIdle: () => boolean
  /** Whether one of them is a cancel. */
  readonly hasCancel: () => boolean
  /** One has come in: a cancel, and what ends a wait, take effect at once if something is executed. */
  readonly receive: (command: Commands.Opened) => Effect.Effect<unknown, WriteError>
  /** Carries out those that have come in. */
  readonly obey: Effect.Effect<void, WriteError>
}

export const make = (options: {
  readonly service: Flow.HandlersService
  readonly writer: Writer
  /** Appends, and tells the visits whose waits end. */
  readonly appendTo: Writer["appendTo"]
  readonly isExecuting: () => boolean
  /** The run is to be cancelled. */
  readonly cancelled: () => void
  /** The run begins anew from a failure, perhaps with another state. */
  readonly restarted: () => void
}): Obeying => {
  const { service, writer } = options
  const { flow } = service
  const inbox: Array<Commands.Opened> = []

  /** A command that cannot be carried out is told of as such: it must not hold up the others, nor the run. */
  const carryOut = (
    appendTo: Writer["appendTo"],
    command: Commands.Opened
  ): Effect.Effect<unknown, WriteError> => {
    const problemFor = WaitSchemas.problemFor(flow)
    return Effect.catchDefect(
      appendTo((state) => Commands.carryOut(state, checked(service, state, command), problemFor)),
      (defect) => {
        if (!isIllegalEvent(defect)) return Effect.die(defect)
        return appendTo((state) =>
          Commands.carryOut(state, { ...command, problem: ["doesNotFit", defect.message] })
        )
      }
    )
  }

  /** The request is in the journal before anything is interrupted: a crash in between goes on cancelling. */
  const cancel = (command: Commands.Opened): Effect.Effect<unknown, WriteError> =>
    Effect.map(
      carryOut((decide) => writer.appendTo(decide), command),
      () => {
        if (writer.state.status === "cancelling") options.cancelled()
      }
    )

  return {
    isIdle: () => inbox.length === 0,
    hasCancel: () => inbox.some(isCancel),
    receive: (command) => {
      if (options.isExecuting()) {
        if (isCancel(command)) return cancel(command)
        if (Commands.isForWait(command)) {
          // Nothing else may happen for long that would make it durable.
          return Effect.andThen(carryOut(options.appendTo, command), writer.sync)
        }
      }
      if (!inbox.some((other) => isSame(other, command))) inbox.push(command)
      return Effect.void
    },
    obey: Effect.gen(function* () {
      for (let received = inbox.shift(); received !== undefined; received = inbox.shift()) {
        const { restarts } = writer.state
        yield* carryOut((decide) => writer.appendTo(decide), received)
        if (writer.state.restarts !== restarts) options.restarted()
      }
    })
  }
}

const isIllegalEvent = (defect: unknown): defect is IllegalEvent => Failures.tagOf(defect) === "IllegalEvent"

const isCancel = ({ command }: Store.Received): boolean => command.request.type === "cancel"

const isSame = (a: Store.Received, b: Store.Received): boolean =>
  a.source === b.source && a.position === b.position
