/**
 * Commands: put in a run's inbox and, if nobody has the run, carried out right here.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Command } from "../../Command.ts"
import type { Request } from "../../Command.ts"
import type { Event, RefusalReason } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import { CommandRefused } from "../../RunError.ts"
import type { RunInfo } from "../../RunInfo.ts"
import type { CommandOptions, SendOptions } from "../../Runs.ts"
import type { RunState } from "../../RunState.ts"
import type { Received } from "../../Store.ts"
import * as Commands from "../engine/commands.ts"
import { copyOf } from "../engine/encoded.ts"
import * as Reader from "../engine/reader.ts"
import * as Waking from "../engine/waking.ts"
import * as Writer from "../engine/writer.ts"
import { guardOf } from "../guard.ts"
import { cursorOf, isHandled } from "../inbox.ts"
import { get } from "../record.ts"
import { isTerminal } from "../status.ts"
import { findBackwards } from "../engine/backwards.ts"
import type { Client } from "./client.ts"

/**
 * When a command counts as done: when it is durable in the inbox of a run that somebody has (`accepted`), or when the
 * journal says what came of it (`applied`).
 */
export type Until = "accepted" | "applied"

const isCommand = /* @__PURE__ */ guardOf(Command)
/** Explains why a value is not a command. */
const decode = /* @__PURE__ */ Schema.decodeUnknownEffect(Command, { onExcessProperty: "error" })

const make = /* @__PURE__ */ Effect.fnUntraced(function* (
  { clock, codec, ids }: Client,
  run: string,
  plain: Request,
  options: CommandOptions
) {
  const request = yield* Commands.seal(codec, run, copyOf(plain))
  const id = options.commandId ?? (yield* ids.next)
  const time = clock.currentTimeMillisUnsafe()
  const command: Command = { id, run, time, ...Waking.senderOf(options), request }
  // What nobody could carry out is not sent: an inbox keeps it.
  return isCommand(command) ? command : yield* Effect.orDie(decode(command))
})

/** The event by which the journal answers a command, if there is one. */
export const answerTo = /* @__PURE__ */ Effect.fnUntraced(function* (
  client: Client,
  run: string,
  id: string
): Effect.fn.Return<Event | undefined, Reader.ReadError> {
  const { info } = yield* client.store.get(run)
  return yield* findBackwards(client, info, false, (event) => "command" in event && event.command?.id === id)
})

/** The command as it lies in the inbox, as long as the journal does not answer it. */
const unanswered = /* @__PURE__ */ Effect.fnUntraced(function* (
  { store }: Client,
  id: string,
  { inbox = {}, run }: Pick<RunInfo, "inbox" | "run">
): Effect.fn.Return<Received | undefined, Reader.ReadError> {
  const received = yield* store.inbox(run, cursorOf(inbox))
  return received.find(
    ({ command, position, source }) => command.id === id && !isHandled(get(inbox, source), position)
  )
})

/**
 * How the kinds of events begin by which a journal answers commands, if not like the request: `paused`, `limitsChanged`. Kept
 * this short since every client has it.
 */
const answers: { readonly [type in Request["type"]]?: string } = {
  retry: "restarted",
  settle: "call",
  answer: "waitEnded",
  finish: "waitEnded",
  ended: "waitEnded"
}

/** Whether what was sent under this id before was another kind of command, as far as its answer tells. */
const isOther = ({ type }: Request, before: Request | Event | undefined): boolean => {
  if (before === undefined) return false
  if (!("kind" in before)) return before.type !== type
  const { kind } = before
  return !(
    kind === "commandIgnored" ||
    kind.startsWith(answers[type] ?? type) ||
    (type === "signal" && kind === "waitEnded")
  )
}

/**
 * Fails if the run was sent another command under the id of this one before: then this one is in no inbox, and nothing comes
 * of it. One that is there already was carried out, or will be.
 */
const checkId = /* @__PURE__ */ Effect.fnUntraced(function* (
  client: Client,
  { id, request, run }: Command,
  { commandId }: CommandOptions
): Effect.fn.Return<void, Reader.ReadError | CommandRefused> {
  if (commandId === undefined) return
  const { info } = yield* client.store.get(run)
  const received = yield* unanswered(client, id, info)
  const before = received === undefined ? yield* answerTo(client, run, id) : received.command.request
  if (!isOther(request, before)) return
  return yield* new CommandRefused({
    run,
    command: request.type,
    status: info.status,
    reason: "idTaken",
    detail: "another command has its id"
  })
})

/** Puts a command in a run's inbox. */
const put = (client: Client, command: Command, options: CommandOptions) =>
  Effect.andThen(client.store.send(command), checkId(client, command, options))

/** Makes a command and puts it in a run's inbox. */
export const send = (client: Client, run: string, request: Request, options: CommandOptions = {}) =>
  Effect.flatMap(make(client, run, request, options), (command) => put(client, command, options))

/** Refuses a command, unless it is one that the run has carried out before: then there is nothing left to do. */
export const refuse = (
  client: Client,
  info: RunInfo,
  request: Request,
  { commandId }: CommandOptions,
  refused: CommandRefused
): Effect.Effect<void, Reader.ReadError | CommandRefused> =>
  commandId === undefined
    ? Effect.fail(refused)
    : Effect.flatMap(answerTo(client, info.run, commandId), (event) =>
        event === undefined || event.kind === "commandIgnored" || isOther(request, event)
          ? Effect.fail(refused)
          : Effect.void
      )

/** Sends a command, and waits until it counts as done. */
export const submit = (
  client: Client,
  run: string,
  request: Request,
  options: SendOptions = {},
  answersHere = true
): Effect.Effect<void, Reader.ReadError | CommandRefused> =>
  options.until === "applied"
    ? apply(client, run, request, options, "applied", answersHere)
    : send(client, run, request, options)

/**
 * Takes a run that nobody has, answers the command, and lets go of the run again; `false` if somebody has it after all.
 *
 * Before it is answered the command is in the inbox, like any other: whoever takes the run up if this process dies in
 * between finds it there, and its place in the inbox is what keeps it from being carried out twice.
 */
const answer = (client: Client, command: Command): Effect.Effect<boolean, Reader.ReadError> =>
  Effect.gen(function* () {
    const { codec, store } = client
    const { lease, previous } = yield* store.acquire(command.run, "client")
    yield* Effect.onExit(
      Effect.gen(function* () {
        yield* store.send(command)
        const { head, state } = yield* Reader.load(client, command.run)
        const received = yield* unanswered(client, command.id, state)
        const [opened] = received === undefined ? [] : yield* Commands.open(codec, [received])
        const bodies = opened === undefined ? undefined : Commands.carryOut(state, opened)
        // That the owner before it crashed has to stand in the journal whether or not there is something to say.
        if (bodies === undefined && previous === "handover") return
        const writer = Writer.make({ ...client, lease, state, head })
        yield* writer.append(
          {
            kind: "claimed",
            owner: lease.owner,
            cause: previous,
            previous: { epoch: state.epoch, seq: head.seq, hash: head.hash },
            purpose: "command"
          },
          ...(bodies ?? [])
        )
        yield* writer.sync
      }),
      () => store.release(lease)
    )
    return true
  }).pipe(
    Effect.catchTag(["LeaseHeld", "LeaseLost"], () => Effect.succeed(false)),
    // Nobody else can append to a run whose lease one has.
    Effect.catchTag("SeqConflict", Effect.die),
    Effect.uninterruptible
  )

/** Looks again whenever something about a run changes, until it is so. */
const untilSo = <E>({ store }: Client, run: string, look: Effect.Effect<boolean, E>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const changed = yield* Latch.make(false)
      const watching = yield* Stream.runForEach(store.changes, (change) =>
        change.run === run ? changed.open : Effect.void
      ).pipe(Effect.forkScoped({ startImmediately: true }))
      while (!(yield* look)) {
        yield* Effect.raceFirst(changed.await, Fiber.join(watching))
        yield* changed.close
      }
    })
  )

/**
 * Sees to it that a command is carried out: here if nobody has the run, else by its owner. Then nobody sees the run as it
 * was before, unless it is left at `accepted`. What is not to be answered here is left to a worker in any case.
 */
export const apply = /* @__PURE__ */ Effect.fnUntraced(function* (
  client: Client,
  run: string,
  request: Request,
  options: CommandOptions,
  until: Until,
  answersHere = true
): Effect.fn.Return<void, Reader.ReadError | CommandRefused> {
  const { store } = client
  const command = yield* make(client, run, request, options)
  const look = Effect.gen(function* () {
    const { info, owner } = yield* store.get(run)
    if ((yield* unanswered(client, command.id, info)) === undefined) return true
    return answersHere && owner === undefined && (yield* answer(client, command))
  })
  const { info, owner } = yield* store.get(run)
  // Before the command is in the inbox no worker is told of it, which would take the run up and keep it.
  if (!answersHere || owner !== undefined || !(yield* answer(client, command))) {
    yield* put(client, command, options)
    // Whoever has a run that has ended is about to let go of it.
    if (until === "applied" || isTerminal(info.status)) yield* untilSo(client, run, look)
    else if (!(yield* look)) return
  } else yield* checkId(client, command, options)
  const event = yield* answerTo(client, run, command.id)
  if (event?.kind === "commandIgnored") {
    const { info } = yield* store.get(run)
    return yield* new CommandRefused({
      run,
      command: request.type,
      status: info.status,
      reason: event.reason ?? "status",
      detail: event.note
    })
  }
})

/**
 * Whether a client can tell as well as a worker if what a command brings fits. It knows no tools, and what the flow declares
 * of a signal only by the flow itself.
 */
const canCheck = (state: RunState, request: Request, flow: Flow.Any | undefined): boolean => {
  switch (request.type) {
    case "settle":
      return !("output" in request.as)
    case "signal":
      return (
        state.keeps?.includes(request.name) !== true ||
        (flow?.id === state.flow && flow.version === state.version)
      )
    default:
      return true
  }
}

/**
 * Sends a command to a run, unless it is clear that it would come to nothing: whoever has the run decides by the same rules,
 * but whoever sends it should hear of it.
 */
export const sendIfWanted = /* @__PURE__ */ Effect.fnUntraced(function* (
  client: Client,
  run: string,
  info: RunInfo,
  request: Request,
  options: SendOptions = {},
  flow?: Flow.Any
): Effect.fn.Return<void, Reader.ReadError | CommandRefused> {
  const refused = (reason: RefusalReason, detail: string) =>
    refuse(
      client,
      info,
      request,
      options,
      new CommandRefused({ run, command: request.type, status: info.status, reason, detail })
    )
  if (isTerminal(info.status)) return yield* refused("ended", `the run had ${info.status} already`)
  if (info.status === "cancelling") return yield* refused("ending", "the run is being cancelled")
  const { state } = yield* Reader.load(client, run)
  const trial = Commands.carryOut(state, {
    source: "",
    position: Number.MAX_SAFE_INTEGER,
    command: { id: "", run, time: 0, request }
  })
  const [first] = trial ?? []
  if (first?.kind === "commandIgnored") return yield* refused(first.reason ?? "status", first.note)
  yield* submit(client, run, request, options, canCheck(state, request, flow))
})
