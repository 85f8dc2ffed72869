/**
 * A worker as an editor sees it: started as a child process, or reached by a socket. Nothing here needs Node itself: what
 * starts processes is a service.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as RpcClient from "effect/rpc/RpcClient"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import * as Socket from "effect/socket/Socket"
import {
  LastError,
  type ProtocolMismatch,
  type RequestFailed,
  version,
  type Welcome,
  WorkerRpcs,
  layerSerialization
} from "./WorkerProtocol.ts"

/**
 * A worker is not there any more, or never was.
 *
 * - `lastError`: what it said itself, if it could
 * - `exit`: how its process ended, if it was one that this client started
 * - `output`: the end of what it wrote on standard error
 *
 * @category errors
 * @since 0.1.0
 */
export class WorkerDied extends Schema.TaggedError<WorkerDied>()("WorkerDied", {
  lastError: Schema.optionalKey(LastError),
  exit: Schema.optionalKey(Schema.String),
  output: Schema.String
}) {
  override get message(): string {
    if (this.lastError !== undefined) return `the worker ended: ${this.lastError.message}`
    const exit = this.exit === undefined ? "the worker is gone" : `the worker ended: ${this.exit}`
    return this.output === "" ? exit : `${exit}\n${this.output}`
  }
}

/**
 * A worker that was greeted.
 *
 * - `welcome`: what it said of itself
 * - `requests`: the requests of the protocol
 * - `died`: waits until the worker is gone, and says why
 * - `orDied`: makes of a connection that broke the reason why the worker is gone
 *
 * @category models
 * @since 0.1.0
 */
export interface WorkerClient {
  readonly welcome: Welcome
  readonly requests: RpcClient.FromGroup<typeof WorkerRpcs, RpcClientError>
  readonly died: Effect.Effect<WorkerDied>
  readonly orDied: <A, E, R>(
    request: Effect.Effect<A, E | RpcClientError, R>
  ) => Effect.Effect<A, Exclude<E, RpcClientError> | WorkerDied, R>
}

/** How long a worker may take to end in good order; then it is killed. It drains for 30 seconds at most by default. */
const patience = "40 seconds"

/** How much of what a worker writes on standard error is kept, in characters. */
const kept = 16_000

const decodeLast = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({ error: LastError })))

/** How a process ended that has no exit code. */
const signalOf = ({ message, reason }: PlatformError): string => {
  const { cause } = reason
  return cause instanceof Error ? cause.message : message
}

/** What a worker said last on standard error, if that is an error as it tells them. */
const lastErrorIn = (output: string): LastError | undefined => {
  for (const line of output.trimEnd().split("\n").reverse()) {
    if (!line.startsWith('{"error"')) continue
    const decoded = decodeLast(line)
    if (Option.isSome(decoded)) return decoded.value.error
  }
  return undefined
}

const greet = Effect.fnUntraced(function* (
  name: string,
  died: Effect.Effect<WorkerDied>
): Effect.fn.Return<
  WorkerClient,
  WorkerDied | ProtocolMismatch | RequestFailed,
  Scope.Scope | Socket.Socket
> {
  const protocol = yield* RpcClient.makeProtocolSocket({
    // A handler may keep a worker from answering for a while; that it is gone shows by itself.
    pingInterval: "30 seconds",
    pingTimeout: "10 minutes",
    // A worker that is gone is not reached again under the same connection.
    retryPolicy: Schedule.recurs(0)
  }).pipe(Effect.provide(layerSerialization))
  const requests = yield* RpcClient.make(WorkerRpcs).pipe(Effect.provideService(RpcClient.Protocol, protocol))
  const orDied = <A, E, R>(request: Effect.Effect<A, E | RpcClientError, R>) =>
    Effect.catchIf(
      request,
      (error): error is Extract<E | RpcClientError, RpcClientError> =>
        typeof error === "object" && error !== null && "_tag" in error && error._tag === "RpcClientError",
      () => Effect.flatMap(died, Effect.fail)
    ) as Effect.Effect<A, Exclude<E, RpcClientError> | WorkerDied, R>
  const welcome = yield* orDied(requests.hello({ protocol: version, client: name })).pipe(
    Effect.raceFirst(Effect.flatMap(died, Effect.fail))
  )
  return { welcome, requests, died, orDied }
})

/**
 * Reaches a worker by the socket in the context (`NodeSocket.layerNet`, say). `lastError` reads what it left when it died,
 * if it did.
 *
 * @category connecting
 * @since 0.1.0
 */
export const connect = (options: {
  /** Who connects, for the worker's log. */
  readonly name: string
  readonly lastError?: Effect.Effect<string | undefined> | undefined
}): Effect.Effect<WorkerClient, WorkerDied | ProtocolMismatch | RequestFailed, Scope.Scope | Socket.Socket> =>
  Effect.gen(function* () {
    const gone = yield* Deferred.make<void>()
    const socket = yield* Socket.Socket
    const told = options.lastError ?? Effect.undefined
    const died = Effect.andThen(
      Deferred.await(gone),
      Effect.map(told, (text) => {
        const lastError = text === undefined ? undefined : lastErrorIn(text)
        return new WorkerDied({ output: "", ...(lastError === undefined ? undefined : { lastError }) })
      })
    )
    const watched = Socket.make({
      writer: socket.writer,
      reader: Effect.map(
        Effect.tapError(socket.reader, () => Deferred.succeed(gone, undefined)),
        (reader) => ({
          ...reader,
          pull: Effect.tapError(reader.pull, () => Deferred.succeed(gone, undefined))
        })
      )
    })
    return yield* greet(options.name, died).pipe(Effect.provideService(Socket.Socket, watched))
  })

/**
 * Starts a worker as a child process (`waymark worker --stdio`) and greets it. It ends with the scope: its standard input
 * closes, and it lets go of its runs in good order.
 *
 * @category connecting
 * @since 0.1.0
 */
export const spawn = (options: {
  /** Who connects, for the worker's log. */
  readonly name: string
  readonly command: ChildProcess.Command
  /** What the worker writes on standard error, as it comes. */
  readonly onOutput?: ((text: string) => Effect.Effect<void>) | undefined
}): Effect.Effect<
  WorkerClient,
  WorkerDied | ProtocolMismatch | RequestFailed,
  Scope.Scope | ChildProcessSpawner
> =>
  Effect.gen(function* () {
    const spawner = yield* ChildProcessSpawner
    const child = yield* Effect.mapError(
      spawner.spawn(options.command),
      ({ message }) => new WorkerDied({ exit: message, output: "" })
    )
    let output = ""
    const reading = yield* child.stderr.pipe(
      Stream.decodeText(),
      Stream.runForEach((text) => {
        output = (output + text).slice(-kept)
        return options.onOutput?.(text) ?? Effect.void
      }),
      Effect.ignore,
      Effect.forkScoped({ startImmediately: true })
    )
    const ended = yield* Deferred.make<WorkerDied>()
    yield* Effect.gen(function* () {
      const exit = yield* child.exitCode.pipe(
        Effect.map((code) => `exit code ${code}`),
        Effect.catch((error) => Effect.succeed(signalOf(error)))
      )
      // All that it said is read before it is told why it ended.
      yield* Fiber.await(reading)
      const lastError = lastErrorIn(output)
      yield* Deferred.succeed(
        ended,
        new WorkerDied({ exit, output, ...(lastError === undefined ? undefined : { lastError }) })
      )
    }).pipe(Effect.forkScoped({ startImmediately: true }))

    const outgoing = yield* Queue.make<Uint8Array, Cause.Done>()
    yield* Stream.fromQueue(outgoing).pipe(Stream.run(child.stdin), Effect.ignore, Effect.forkScoped)
    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        yield* Queue.end(outgoing)
        yield* Effect.timeoutOption(Deferred.await(ended), patience)
      })
    )
    const encoder = new TextEncoder()
    const offer = (chunk: Uint8Array | string | Socket.CloseEvent) => {
      if (Socket.isCloseEvent(chunk)) return Effect.asVoid(Queue.end(outgoing))
      return Effect.asVoid(Queue.offer(outgoing, typeof chunk === "string" ? encoder.encode(chunk) : chunk))
    }
    const closed = () =>
      new Socket.SocketError({
        reason: new Socket.SocketReadError({ cause: new Error("the worker is gone") })
      })
    const socket = Socket.make({
      reader: Effect.map(Stream.toPull(child.stdout), (pull) => ({
        pull: Effect.mapError(pull, closed),
        upgrade: () => Effect.fail(closed())
      })),
      writer: Effect.succeed({
        write: offer,
        writeAll: (chunks) => Effect.forEach(chunks, offer, { discard: true })
      })
    })
    return yield* greet(options.name, Deferred.await(ended)).pipe(
      Effect.provideService(Socket.Socket, socket)
    )
  })
