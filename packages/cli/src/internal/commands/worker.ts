import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Worker from "@waymark/core/Worker"
import { version, WorkerRpcs } from "../../WorkerProtocol.ts"
import type { LogLine } from "../../WorkerProtocol.ts"
import * as ConfigFile from "../configFile.ts"
import { BadInput } from "../failures.ts"
import { Output } from "../output.ts"
import * as Place from "../place.ts"
import * as StandardOutput from "../standardOutput.ts"
import * as Handlers from "../worker/handlers.ts"
import * as LastError from "../worker/lastError.ts"
import * as Transports from "../worker/transports.ts"

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

export const worker = Command.make(
  "worker",
  {
    stdio: Flag.Boolean("stdio").pipe(
      Flag.withDescription("Take requests on standard input: for editors. Ends when that closes"),
      Flag.withDefault(false)
    ),
    socket: Flag.String("socket").pipe(
      Flag.withDescription("Take requests at a socket of this machine"),
      Flag.withMetavar("path"),
      Flag.optional
    )
  },
  Effect.fn("worker")(function* ({ socket, stdio }) {
    if (stdio && Option.isSome(socket)) {
      return yield* new BadInput({ what: "--stdio and --socket", detail: "choose one" })
    }
    const path = Option.map(socket, ConfigFile.given)
    if (stdio || Option.isSome(path)) {
      StandardOutput.reserve()
      LastError.begin(Option.getOrUndefined(Option.map(path, LastError.fileBeside)))
    }
    const output = yield* Output
    const loaded = yield* Place.configured
    const closed = yield* Deferred.make<void>()
    if (!stdio && Option.isNone(path)) {
      return yield* Effect.gen(function* () {
        const { owner } = yield* Worker.Worker
        const ids = loaded.config.flows.map(({ flow }) => flow.id)
        yield* output.line({ worker: owner, flows: ids }, () => `executes ${ids.join(", ")}; Ctrl-C ends it in good order`)
        yield* Effect.never
      }).pipe(Effect.provide(Place.working))
    }
    const log = yield* PubSub.sliding<LogLine>(1000)
    const transport = Option.isSome(path) ? Transports.socket(path.value) : Transports.stdio(closed)
    const serving = RpcServer.layer(WorkerRpcs, { disableTracing: true }).pipe(
      Layer.provide([Handlers.layer(loaded, log), transport]),
      Layer.provide(Place.working),
      Layer.provide(logging(log))
    )
    yield* Effect.gen(function* () {
      yield* Layer.build(serving)
      if (Option.isSome(path)) yield* output.note(`listens at ${path.value}, protocol ${version}`)
      yield* Deferred.await(closed)
    }).pipe(Effect.scoped)
  })
).pipe(
  Command.withDescription(
    "Execute runs until it is stopped: those that are started and resumed, here and elsewhere, and those that others left."
  ),
  Command.withExamples([
    { command: "waymark worker", description: "In a terminal, or as a service" },
    { command: "waymark worker --socket /run/user/1000/waymark.sock", description: "With requests from an editor or a program" }
  ])
)
