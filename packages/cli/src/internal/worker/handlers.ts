/**
 * What a worker does when it is asked.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as Manifest from "@waymark/core/Manifest"
import * as Runs from "@waymark/core/Runs"
import * as Worker from "@waymark/core/Worker"
import { type Edits, ProtocolMismatch, RequestFailed, version, WorkerRpcs } from "../../WorkerProtocol.ts"
import type { LogLine } from "../../WorkerProtocol.ts"
import { endingOf } from "../ending.ts"
import type * as ConfigFile from "../configFile.ts"
import * as Place from "../place.ts"
import * as Values from "../values.ts"
import { version as packageVersion } from "../version.ts"

/** Whether a client has said hello. */
class Greeted extends Context.Service<Greeted, true>()("@waymark/cli/Greeted") {}

/** Why a request failed, for the client. */
const failureOf = (cause: Cause.Cause<unknown>): RequestFailed => {
  const { told } = endingOf(cause)
  return new RequestFailed({
    tag: told?.tag ?? "Interrupted",
    detail: told?.message ?? "it was interrupted",
    ...(told?.reason === undefined ? undefined : { reason: told.reason })
  })
}

type Failed = RequestFailed | ProtocolMismatch

/** A defect of a flow's code is a failed request, and no end of the worker. */
const told = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, RequestFailed, R> =>
  Effect.catchCause(effect, (cause) =>
    Cause.hasInterruptsOnly(cause)
      ? Effect.failCause(cause as Cause.Cause<never>)
      : Effect.fail(failureOf(cause))
  )

interface Asked {
  readonly client: Rpc.ServerClient
}

const isGreeted = ({ client }: Asked): Effect.Effect<void, ProtocolMismatch> =>
  Option.isSome(Context.getOption(client.annotations, Greeted))
    ? Effect.void
    : Effect.fail(new ProtocolMismatch({ worker: version }))

const senderOf = ({ actor, commandId, correlation, session }: Runs.CommandOptions): Runs.CommandOptions => ({
  actor,
  session,
  correlation,
  commandId
})

const editsIn = ({ empty = [], set = {} }: Edits): { readonly [channel: string]: unknown } => ({
  ...set,
  ...Object.fromEntries(empty.map((channel) => [channel, undefined]))
})

/** The handlers of the protocol, for a configuration. They work with the runs and the worker in the context. */
export const layer = (
  loaded: ConfigFile.Loaded,
  log: PubSub.PubSub<LogLine>
): Layer.Layer<Rpc.ToHandler<RpcGroup.Rpcs<typeof WorkerRpcs>>, never, Runs.Runs | Worker.Worker> =>
  WorkerRpcs.toLayer(
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const worker = yield* Worker.Worker
      const context = yield* Effect.context<Runs.Runs>()
      const entryOf = (flow: string) => Place.flowNamed(loaded, flow)
      const ask =
        <P, A, E>(handler: (payload: P) => Effect.Effect<A, E, Runs.Runs>) =>
        (payload: P, asked: Asked): Effect.Effect<A, Failed> =>
          Effect.andThen(isGreeted(asked), Effect.provideContext(told(handler(payload)), context))
      /** What is asked of a run holds when it is executed here next. */
      const steer = <P extends { readonly run: string }, A, E>(
        handler: (payload: P) => Effect.Effect<A, E, Runs.Runs>
      ) => ask((payload: P) => Effect.tap(handler(payload), worker.takeUp(payload.run)))
      const follow =
        <P, A, E>(handler: (payload: P) => Stream.Stream<A, E, Runs.Runs>) =>
        (payload: P, asked: Asked): Stream.Stream<A, Failed> =>
          Stream.unwrap(
            Effect.as(
              isGreeted(asked),
              handler(payload).pipe(
                Stream.catchCause((cause) =>
                  Cause.hasInterruptsOnly(cause)
                    ? Stream.failCause(cause as Cause.Cause<never>)
                    : Stream.fail(failureOf(cause))
                ),
                Stream.provideContext(context)
              )
            )
          )
      const refOf = Effect.fnUntraced(function* (run: string) {
        const { flow } = yield* runs.get(run)
        return Runs.ref((yield* entryOf(flow)).flow, run)
      })

      return {
        hello: ({ client, protocol }, asked) =>
          Effect.gen(function* () {
            if (protocol !== version)
              return yield* new ProtocolMismatch({ worker: version, client: protocol })
            asked.client.annotate(Greeted, true)
            yield* Effect.logInfo(`${client} is connected`)
            return {
              protocol: version,
              version: packageVersion,
              node: process.version,
              pid: process.pid,
              config: loaded.file,
              owner: worker.owner,
              flows: loaded.config.flows.map(({ flow }) => Manifest.manifest(flow))
            }
          }),
        start: ask(({ flow: name, input, ...options }) =>
          Effect.gen(function* () {
            const { flow } = yield* entryOf(name)
            const started = yield* runs.start(flow, yield* Values.input(flow, input), options)
            return { run: started.id }
          })
        ),
        fork: ask(({ edits, run, seq, ...options }) =>
          Effect.gen(function* () {
            const ref = yield* refOf(run)
            const content = edits === undefined ? undefined : yield* Values.edits(ref.flow, editsIn(edits))
            const forked = yield* runs.fork(ref, seq, { ...options, edits: content })
            return { run: forked.id, from: forked.from }
          })
        ),
        retry: steer(({ edits, maxSteps, run, settle, ...sender }) =>
          Effect.gen(function* () {
            const limits = maxSteps === undefined ? undefined : { maxSteps }
            const how = { ...senderOf(sender), settle, ...(limits === undefined ? undefined : { limits }) }
            if (edits === undefined) return yield* runs.retry(run, how)
            const ref = yield* refOf(run)
            yield* runs.retry(ref, { ...how, edits: yield* Values.edits(ref.flow, editsIn(edits)) })
          })
        ),
        resume: steer(({ run, settle, ...sender }) => runs.resume(run, { ...senderOf(sender), settle })),
        pause: steer(({ note, run, ...sender }) => runs.pause(run, { ...senderOf(sender), note })),
        cancel: steer(({ reason, run, ...sender }) =>
          Effect.map(runs.cancel(run, reason, { ...senderOf(sender), until: "accepted" }), (status) => ({
            status
          }))
        ),
        answer: steer(({ run, value, wait, ...sender }) => runs.answer(run, wait, value, senderOf(sender))),
        signal: steer(({ key, name, payload, run, ...sender }) =>
          runs.signal(run, name, payload, { ...senderOf(sender), key })
        ),
        bookmark: ask(({ name, note, run, seq, tags, ...sender }) =>
          Runs.bookmark(run, seq, { ...senderOf(sender), name, note, tags })
        ),
        takeUp: steer(({ run }) => Effect.asVoid(runs.get(run))),
        replay: ask(({ from, most, run }) =>
          Effect.gen(function* () {
            const { flow } = yield* runs.get(run)
            const entry = yield* entryOf(flow)
            return yield* Runs.replay(Runs.ref(entry.flow, run), { from, most }).pipe(
              Effect.provide(Place.handlersOf(loaded.file, entry))
            )
          })
        ),
        validate: ask(({ edits, flow: name, input }) =>
          Effect.gen(function* () {
            const { flow } = yield* entryOf(name)
            const results: ReadonlyArray<Exit.Exit<unknown, { readonly message: string }>> = [
              ...(input === undefined ? [] : [yield* Effect.exit(Values.input(flow, input))]),
              ...(edits === undefined ? [] : [yield* Effect.exit(Values.edits(flow, editsIn(edits)))])
            ]
            const problems = results.flatMap((exit) =>
              exit._tag === "Failure" ? [failureOf(exit.cause).detail] : []
            )
            return { problems }
          })
        ),
        events: follow(({ from, run, to }) => runs.events(run, { from, to })),
        progress: follow(({ run }) => Runs.progress(run)),
        log: follow(() => Stream.fromPubSub(log)),
        status: ask(() => Effect.all({ running: worker.running, stuck: worker.stuck }))
      }
    })
  )
