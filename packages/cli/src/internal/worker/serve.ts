/**
 * A worker that takes requests. It is loaded when there is one: what it needs takes others a while.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as PubSub from "effect/PubSub"
import * as RpcServer from "effect/rpc/RpcServer"
import { version, WorkerRpcs } from "../../WorkerProtocol.ts"
import type { LogLine } from "../../WorkerProtocol.ts"
import type * as ConfigFile from "../configFile.ts"
import { Output } from "../output.ts"
import * as Place from "../place.ts"
import * as Handlers from "./handlers.ts"
import * as Transports from "./transports.ts"

/** Log lines go to the clients that want them, too. */
const logging = (log: PubSub.PubSub<LogLine>) =>
  Logger.layer(
    [
      Logger.make<unknown, void>(({ date, logLevel, message }) => {
        const texts = (Array.isArray(message) ? message : [message]) as ReadonlyArray<unknown>
        const text = texts.map((part) => (typeof part === "string" ? part : JSON.stringify(part))).join(" ")
        PubSub.publishUnsafe(log, { time: date.getTime(), level: logLevel, message: text })
      })
    ],
    { mergeWithExisting: true }
  )

/** Executes runs and takes requests: at a socket until it is stopped, else by standard input until that closes. */
export const serve = Effect.fnUntraced(function* (
  loaded: ConfigFile.Loaded,
  socket: string | undefined,
  takesUp: "all" | "asked"
) {
  const output = yield* Output
  const closed = yield* Deferred.make<void>()
  const log = yield* PubSub.sliding<LogLine>(1000)
  const transport = socket === undefined ? Transports.stdio(closed) : Transports.socket(socket)
  const serving = RpcServer.layer(WorkerRpcs, { disableTracing: true }).pipe(
    Layer.provide([Handlers.layer(loaded, log), transport]),
    Layer.provide(Place.working(takesUp)),
    Layer.provide(logging(log))
  )
  yield* Effect.gen(function* () {
    yield* Layer.build(serving)
    if (socket !== undefined) yield* output.note(`listens at ${socket}, protocol ${version}`)
    yield* Deferred.await(closed)
  }).pipe(Effect.scoped)
})
