/**
 * The typed states that the visits of a run see: that of the main line, and in each branch that of its fan-out with the
 * branch's own updates on top.
 */
import * as Exit from "effect/Exit"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Flow from "../../Flow.ts"
import type { OpenVisit, RunState } from "../../RunState.ts"
import { branchOfFanOut } from "../branch.ts"
import { makeCodec } from "../definition/codec.ts"
import { frozen } from "../frozen.ts"
import { fanOutAround } from "../visits.ts"
import * as Failures from "./failure.ts"
import type { Mismatch } from "./typedState.ts"
import * as TypedState from "./typedState.ts"

export interface Views {
  /** The state that the open visit of a branch sees. */
  readonly of: (state: RunState, branch: string) => Result.Result<TypedState.TypedState, Mismatch>
  readonly set: (branch: string, typed: TypedState.TypedState) => void
  /** The branch is through. */
  readonly drop: (branch: string) => void
  /** The run's state was changed from outside. */
  readonly reset: () => void
  readonly inputOf: (state: RunState) => Result.Result<unknown, Mismatch>
  readonly itemOf: (visit: OpenVisit) => Result.Result<unknown, Mismatch>
}

const mismatchOf = (what: string, exit: Exit.Failure<unknown, unknown>): Mismatch => ({
  what,
  message: Failures.problemOf(exit)
})

export const make = (flow: Flow.Any): Views => {
  const known = new Map<string, TypedState.TypedState>()
  let input: { readonly value: unknown } | undefined

  const of: Views["of"] = (state, branch) => {
    const held = known.get(branch)
    if (held !== undefined) return Result.succeed(held)
    const made = make_(state, branch)
    if (Result.isSuccess(made)) known.set(branch, made.success)
    return made
  }

  const make_: Views["of"] = (state, branch) => {
    if (branch === "") return TypedState.decode(flow.state, state.channels)
    const fanOut = fanOutAround(state, branch)!
    let view = of(state, branchOfFanOut(fanOut.id))
    const updates = Option.getOrUndefined(HashMap.get(fanOut.updates, branch))
    for (let i = 0; Result.isSuccess(view) && i < (updates?.length ?? 0); i++)
      view = view.success.apply(updates!.items[i]!.ops)
    return view
  }

  return {
    of,
    set: (branch, typed) => void known.set(branch, typed),
    drop: (branch) => void known.delete(branch),
    reset: () => known.clear(),
    inputOf: (state) => {
      if (input !== undefined) return Result.succeed(input.value)
      const exit = makeCodec(flow.input).decode(state.input.value)
      if (Exit.isFailure(exit)) return Result.fail(mismatchOf("the input", exit))
      input = { value: frozen(exit.value) }
      return Result.succeed(input.value)
    },
    itemOf: ({ item, node }) => {
      const schema = flow.nodes[node]?.item
      if (schema === undefined) return Result.succeed(undefined)
      const exit = makeCodec(schema).decode(item)
      return Exit.isFailure(exit)
        ? Result.fail(mismatchOf(`the item of node ${node}`, exit))
        : Result.succeed(frozen(exit.value))
    }
  }
}
