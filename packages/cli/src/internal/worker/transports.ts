/**
 * How requests reach a worker: by its standard input and output, or by a socket.
 */
import * as Net from "node:net"
import { Writable } from "node:stream"
import * as NodeSink from "@effect/platform-node/NodeSink"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as PlatformError from "effect/PlatformError"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as RpcServer from "effect/rpc/RpcServer"
import { layerSerialization } from "../../WorkerProtocol.ts"
import { BadInput } from "../failures.ts"
import * as StandardOutput from "../standardOutput.ts"

/** Standard output as it was before it was reserved. */
const output = (): Writable =>
  new Writable({
    write: (chunk: Uint8Array, _encoding, done) => StandardOutput.writeBytes(chunk, done)
  })

/** By standard input and output; `closed` is done when the client closes the input. */
export const stdio = (closed: Deferred.Deferred<void>): Layer.Layer<RpcServer.Protocol, never, Stdio.Stdio> =>
  RpcServer.layerProtocolStdio.pipe(
    Layer.provide([
      layerSerialization,
      Layer.effect(
        Stdio.Stdio,
        Effect.map(Stdio.Stdio, (original) =>
          Stdio.make({
            ...original,
            stdin: Stream.ensuring(original.stdin, Deferred.succeed(closed, undefined)),
            stdout: () =>
              NodeSink.fromWritable({
                evaluate: output,
                endOnDone: false,
                onError: (cause) =>
                  PlatformError.systemError({ module: "Stdio", method: "stdout", _tag: "Unknown", cause })
              })
          })
        )
      )
    ])
  )

/** Whether a process listens at a socket. */
const isListening = (path: string): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = Net.connect(path)
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed(true))
    })
    socket.once("error", () => resume(Effect.succeed(false)))
  })

const isPipe = (path: string): boolean => path.startsWith("\\\\")

/** By a socket at a path (a named pipe on Windows), which only this user can use. */
export const socket = (path: string): Layer.Layer<RpcServer.Protocol, unknown, FileSystem.FileSystem> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      if (!isPipe(path) && (yield* Effect.orElseSucceed(fs.exists(path), () => false))) {
        if (yield* isListening(path)) {
          return yield* new BadInput({ what: "--socket", detail: `another worker listens at ${path}` })
        }
        // A worker that was killed left it.
        yield* fs.remove(path)
      }
      const restricted = Effect.acquireUseRelease(
        Effect.sync(() => process.umask(0o177)),
        () => Layer.build(NodeSocketServer.layer({ path })),
        (mask) => Effect.sync(() => process.umask(mask))
      )
      return RpcServer.layerProtocolSocketServer.pipe(
        Layer.provide([layerSerialization, Layer.effectContext(restricted)])
      )
    })
  )
