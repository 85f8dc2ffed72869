/**
 * What an editor and `waymark worker` say to each other: requests with schemas, over a pipe or a socket, as lines of JSON.
 *
 * The first request of a client is `hello`, by which both find out whether they speak the same protocol. Values (inputs,
 * edits, answers) are in their stored form, as in the journal. Nothing here needs Node.
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import { Event } from "@waymark/core/Event"
import { Manifest } from "@waymark/core/Manifest"
import { RunInfo, RunStatus } from "@waymark/core/RunInfo"

/**
 * The version of the protocol. It grows when a client of the one before would not understand a worker any more, or a worker
 * its client; what is only added does not count.
 *
 * @category constants
 * @since 0.1.0
 */
export const version = 1

const lines = RpcSerialization.makeNdjson({ maxBufferSize: "unbounded" })

/**
 * How messages are written: a line of JSON for each, of any length, since an event may hold much.
 *
 * @category serialization
 * @since 0.1.0
 */
export const layerSerialization: Layer.Layer<RpcSerialization.RpcSerialization> = Layer.succeed(
  RpcSerialization.RpcSerialization,
  RpcSerialization.RpcSerialization.of({
    ...lines,
    makeUnsafe: () => {
      const parser = lines.makeUnsafe()
      const decoder = new TextDecoder()
      // The parser looks through all that it has at each piece that comes: a long line is given to it when it is whole.
      let pieces: Array<string> = []
      return {
        ...parser,
        decode: (bytes) => {
          const piece = typeof bytes === "string" ? bytes : decoder.decode(bytes, { stream: true })
          pieces.push(piece)
          if (!piece.includes("\n")) return []
          const whole = pieces.join("")
          pieces = []
          return parser.decode(whole)
        }
      }
    }
  })
)

const optional = Schema.optionalKey

// -------------------------------------------------------------------------------------------------------------------
// errors
// -------------------------------------------------------------------------------------------------------------------

/**
 * The client and the worker speak different versions of the protocol, or the client has not said hello.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProtocolMismatch extends Schema.TaggedError<ProtocolMismatch>()("ProtocolMismatch", {
  worker: Schema.Int,
  /** That of the client, if it has said hello. */
  client: optional(Schema.Int)
}) {
  override get message(): string {
    if (this.client === undefined) return "the first request is `hello`"
    const older = this.client < this.worker ? "the editor's extension" : "@waymark/cli in this project"
    return `the worker speaks version ${this.worker} of the protocol and the client ${this.client}: update ${older}`
  }
}

/**
 * A request was not met. `tag` says which error of Waymark it was, `reason` of which kind if there are several, and the
 * message is for people.
 *
 * @category errors
 * @since 0.1.0
 */
export class RequestFailed extends Schema.TaggedError<RequestFailed>()("RequestFailed", {
  tag: Schema.String,
  reason: optional(Schema.String),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

const error = Schema.Union([RequestFailed, ProtocolMismatch])

/**
 * Why a worker ended that should not have: what it writes on standard error as its last line (as `{"error": …}`), and with
 * `--socket` into the file beside the socket, whose name ends in `.error.json`.
 *
 * - `exitCode`: the one it ended with
 * - `stack`: where, if nobody foresaw it
 *
 * @category schemas
 * @since 0.1.0
 */
export const LastError = Schema.Struct({
  tag: Schema.String,
  reason: optional(Schema.String),
  message: Schema.String,
  exitCode: Schema.Int,
  stack: optional(Schema.String)
})
/**
 * @category models
 * @since 0.1.0
 */
export type LastError = typeof LastError.Type

// -------------------------------------------------------------------------------------------------------------------
// models
// -------------------------------------------------------------------------------------------------------------------

/**
 * What a worker says of itself: the versions of the protocol and of its package, where it runs, and what it can execute.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Welcome = Schema.Struct({
  protocol: Schema.Int,
  version: Schema.String,
  node: Schema.String,
  pid: Schema.Int,
  config: Schema.String,
  owner: Schema.String,
  flows: Schema.Array(Manifest)
})
/**
 * @category models
 * @since 0.1.0
 */
export type Welcome = typeof Welcome.Type

/**
 * Who asks for something, for which session, and on which occasion: stands in the run's journal. Under one `commandId` a
 * command counts once.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Sender = Schema.Struct({
  actor: optional(Schema.String),
  session: optional(Schema.String),
  correlation: optional(Schema.String),
  commandId: optional(Schema.String)
})

/**
 * The whole new content of some channels. `empty` names those that are to be empty.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Edits = Schema.Struct({
  set: optional(Schema.Record(Schema.String, Schema.Json)),
  empty: optional(Schema.Array(Schema.String))
})
/**
 * @category models
 * @since 0.1.0
 */
export type Edits = typeof Edits.Type

/**
 * What became of a call that is in doubt.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Settlement = Schema.Union([
  Schema.Literals(["again", "failed"]),
  Schema.Struct({ output: Schema.Json })
])

/**
 * An attempt of a visit that came out otherwise than its journal has it; as `Runs.Divergence`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Divergence = Schema.Struct({
  seq: Schema.Int,
  branch: optional(Schema.String),
  node: Schema.String,
  visit: Schema.Int,
  attempt: Schema.Int,
  expected: Schema.Json,
  got: Schema.Json
})
/**
 * @category models
 * @since 0.1.0
 */
export type Divergence = typeof Divergence.Type

/**
 * What executing a run again came to; as `Runs.ReplayReport`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ReplayReport = Schema.Struct({
  run: Schema.String,
  visits: Schema.Int,
  skipped: optional(Schema.Int),
  divergences: Schema.Array(Divergence)
})
/**
 * @category models
 * @since 0.1.0
 */
export type ReplayReport = typeof ReplayReport.Type

/**
 * Something that the worker, or the code of a flow, has to tell. `time` is in milliseconds since 1970.
 *
 * @category schemas
 * @since 0.1.0
 */
export const LogLine = Schema.Struct({
  time: Schema.Finite,
  level: Schema.String,
  message: Schema.String
})
/**
 * @category models
 * @since 0.1.0
 */
export type LogLine = typeof LogLine.Type

/**
 * A handler, or a call in it, that was interrupted and has not stopped in time; as `Worker.Stuck`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Stuck = Schema.Struct({
  run: Schema.String,
  branch: Schema.String,
  node: Schema.String,
  visit: Schema.Int,
  tool: optional(Schema.String),
  since: Schema.Finite
})

// -------------------------------------------------------------------------------------------------------------------
// requests
// -------------------------------------------------------------------------------------------------------------------

const run = { run: Schema.String }
const command = { ...run, ...Sender.fields }

/**
 * The requests of the protocol. Those that change a run answer when it is durable; a request that is interrupted by the
 * client stops, and what it has asked for by then stands.
 *
 * - `hello`: the handshake
 * - `start`, `fork`: begin a run, and execute it
 * - `resume`, `retry`, `cancel`, `pause`, `answer`, `signal`, `bookmark`: steer one
 * - `takeUp`: executes a run that nobody executes; a worker that takes up only what it is asked for does so, too, with
 *   every run that it starts, forks or steers
 * - `replay`: executes handlers again against what is recorded, and writes nothing; with `from`, those of the visits that had
 *   not ended at that position; it ends when it has found as many divergences as `most` says, the first one by default
 * - `validate`: what is wrong with an input or with edits, if anything, before they are sent
 * - `events`: those of a run from a position on, then those that come until it has ended
 * - `progress`: a run's row as it is, then after each event, until it has ended
 * - `log`: what the worker and the code of flows tell from now on
 * - `status`: which runs are executed now, and what does not stop
 *
 * @category requests
 * @since 0.1.0
 */
export const WorkerRpcs = RpcGroup.make(
  Rpc.make("hello", {
    payload: { protocol: Schema.Int, client: Schema.String },
    success: Welcome,
    error
  }),
  Rpc.make("start", {
    payload: {
      flow: Schema.String,
      input: Schema.Json,
      id: optional(Schema.String),
      actor: optional(Schema.String),
      session: optional(Schema.String),
      correlation: optional(Schema.String),
      tags: optional(Schema.Array(Schema.String))
    },
    success: Schema.Struct(run),
    error
  }),
  Rpc.make("fork", {
    payload: {
      ...run,
      seq: Schema.Int,
      edits: optional(Edits),
      id: optional(Schema.String),
      actor: optional(Schema.String),
      session: optional(Schema.String),
      correlation: optional(Schema.String),
      tags: optional(Schema.Array(Schema.String))
    },
    success: Schema.Struct({ ...run, from: Schema.Struct({ ...run, seq: Schema.Int }) }),
    error
  }),
  Rpc.make("retry", {
    payload: {
      ...command,
      edits: optional(Edits),
      settle: optional(Schema.Record(Schema.String, Settlement)),
      maxSteps: optional(Schema.Int)
    },
    error
  }),
  Rpc.make("resume", {
    payload: { ...command, settle: optional(Schema.Record(Schema.String, Settlement)) },
    error
  }),
  Rpc.make("pause", { payload: { ...command, note: optional(Schema.String) }, error }),
  Rpc.make("cancel", {
    payload: { ...command, reason: Schema.String },
    success: Schema.Struct({ status: RunStatus }),
    error
  }),
  Rpc.make("answer", { payload: { ...command, wait: Schema.String, value: Schema.Json }, error }),
  Rpc.make("signal", {
    payload: { ...command, name: Schema.String, key: optional(Schema.String), payload: Schema.Json },
    error
  }),
  Rpc.make("bookmark", {
    payload: {
      ...command,
      seq: Schema.Int,
      name: Schema.String,
      note: optional(Schema.String),
      tags: optional(Schema.Array(Schema.String))
    },
    error
  }),
  Rpc.make("takeUp", { payload: run, error }),
  Rpc.make("replay", {
    payload: { ...run, from: optional(Schema.Int), most: optional(Schema.Int) },
    success: ReplayReport,
    error
  }),
  Rpc.make("validate", {
    payload: { flow: Schema.String, input: optional(Schema.Json), edits: optional(Edits) },
    success: Schema.Struct({ problems: Schema.Array(Schema.String) }),
    error
  }),
  Rpc.make("events", {
    payload: { ...run, from: optional(Schema.Int), to: optional(Schema.Int) },
    success: Event,
    error,
    stream: true
  }),
  Rpc.make("progress", { payload: run, success: RunInfo, error, stream: true }),
  Rpc.make("log", { success: LogLine, error, stream: true }),
  Rpc.make("status", {
    success: Schema.Struct({ running: Schema.Array(Schema.String), stuck: Schema.Array(Stuck) }),
    error
  })
)
