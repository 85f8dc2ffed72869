import type { Json } from "effect/Schema"
import type { Call, FanOut, OpenVisit, Part, RunState } from "../RunState.ts"

/** How a snapshot holds a channel: small values in place, others by where they can be read. */
export interface ChannelHead {
  readonly type: "Plain" | "List" | "Record"
  readonly value?: Json
  readonly parts?: ReadonlyArray<Part>
  /** How many items a list has. */
  readonly length?: number
}

/** The state of a run in a snapshot: everything but the content of its large channels. */
export interface SnapshotHead
  extends Omit<RunState, "seq" | "epoch" | "time" | "input" | "channels" | "open" | "fanOuts" | "snapshot">
{
  readonly input: ChannelHead
  readonly channels: { readonly [channel: string]: ChannelHead }
  readonly open: {
    readonly [branch: string]: Omit<OpenVisit, "calls"> & { readonly calls: ReadonlyArray<readonly [string, Call]> }
  }
  readonly fanOuts: {
    readonly [fanOut: string]: Omit<FanOut, "updates"> & {
      readonly updates: ReadonlyArray<readonly [string, ReadonlyArray<unknown>]>
    }
  }
}
