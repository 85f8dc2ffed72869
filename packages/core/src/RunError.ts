/**
 * Why a request to a run was not met.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Failure, RefusalReason, Undone } from "./Event.ts"
import { describe } from "./internal/describe.ts"
import { RunStatus } from "./RunInfo.ts"

export {
  /**
   * A failure as it stands in a journal, in words.
   *
   * @category describing
   * @since 0.1.0
   */
  describe
}

/**
 * A run of this id exists, of another flow or with another input.
 *
 * @category errors
 * @since 0.1.0
 */
export class RunConflict extends Schema.TaggedError<RunConflict>()("RunConflict", {
  run: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `run ${JSON.stringify(this.run)} exists already, and is another one: ${this.detail}`
  }
}

/**
 * A value that was given does not fit the flow's schema for it.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidValue extends Schema.TaggedError<InvalidValue>()("InvalidValue", {
  /** Which value: the input, a channel, an option. */
  what: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    const verb = /^the (edits|limits|options)$/.test(this.what) ? "are" : "is"
    return `${this.what} ${verb} not valid: ${this.detail}`
  }
}

const undoneText = (undone: ReadonlyArray<Undone> = []): string =>
  undone.length === 0
    ? ""
    : `; it could not undo ${undone.map(({ call, inDoubt }) => `${call}${inDoubt === true ? " (in doubt)" : ""}`).join(", ")}`

/**
 * A run failed for another reason than an error that its flow declares.
 *
 * @category errors
 * @since 0.1.0
 */
export class RunFailed extends Schema.TaggedError<RunFailed>()("RunFailed", {
  run: Schema.String,
  failure: Failure,
  /** The node whose visit failed, if there was one. */
  node: Schema.optionalKey(Schema.String),
  /** What the run did and could not undo, if there is any. */
  undone: Schema.optionalKey(Schema.Array(Undone))
}) {
  override get message(): string {
    const at = this.node === undefined ? "" : ` at node ${this.node}`
    return `run ${JSON.stringify(this.run)} failed${at}: ${describe(this.failure)}${undoneText(this.undone)}`
  }

  /** The exception that a handler or a tool threw, if it was one, with its stack: where it happened. */
  override get cause(): Error | undefined {
    const { failure } = this
    if (failure.kind !== "defect") return undefined
    const { message, name, stack } = failure
    // What a codec has sealed is no text.
    if (typeof message !== "string" || typeof stack !== "string") return undefined
    return Object.assign(new Error(message), { name, stack })
  }
}

/**
 * A run was cancelled.
 *
 * @category errors
 * @since 0.1.0
 */
export class RunCancelled extends Schema.TaggedError<RunCancelled>()("RunCancelled", {
  run: Schema.String,
  reason: Schema.String,
  /** What the run did and could not undo, if there is any. */
  undone: Schema.optionalKey(Schema.Array(Undone))
}) {
  override get message(): string {
    return `run ${JSON.stringify(this.run)} was cancelled: ${this.reason}${undoneText(this.undone)}`
  }
}

/**
 * A run had not ended in the time given. Nothing was done to it.
 *
 * @category errors
 * @since 0.1.0
 */
export class AwaitTimeout extends Schema.TaggedError<AwaitTimeout>()("AwaitTimeout", {
  run: Schema.String,
  status: RunStatus,
  millis: Schema.Finite
}) {
  override get message(): string {
    const hint =
      this.status === "paused"
        ? "it stays so until somebody resumes it; Runs.get says why"
        : this.status === "pending"
          ? "it begins when a worker that has its flow takes it up"
          : "it goes on"
    return `run ${JSON.stringify(this.run)} has not ended after ${this.millis} ms and is ${this.status}: ${hint}`
  }
}

/**
 * What was asked for does not fit the run as it is; `reason` says why, for programs, and `detail` for people.
 *
 * @category errors
 * @since 0.1.0
 */
export class CommandRefused extends Schema.TaggedError<CommandRefused>()("CommandRefused", {
  run: Schema.String,
  command: Schema.String,
  status: RunStatus,
  reason: RefusalReason,
  detail: Schema.String
}) {
  override get message(): string {
    return `run ${JSON.stringify(this.run)} is ${this.status}; cannot ${this.command}: ${this.detail}`
  }
}

/**
 * There is no such position in the run's journal, or nothing can go on from it.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidCheckpoint extends Schema.TaggedError<InvalidCheckpoint>()("InvalidCheckpoint", {
  run: Schema.String,
  /** As it was given: it may be no position at all. */
  seq: Schema.Number,
  detail: Schema.String
}) {
  override get message(): string {
    return `seq ${this.seq} of run ${JSON.stringify(this.run)}: ${this.detail}`
  }
}
