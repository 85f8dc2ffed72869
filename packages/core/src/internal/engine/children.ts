/**
 * The runs that a visit starts: sent off once, waited for like anything else that may take long.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HashMap from "effect/HashMap"
import * as Result from "effect/Result"
import type { Json } from "effect/Schema"
import type { Body, WaitTarget } from "../../Event.ts"
import { Unencodable } from "../../Failures.ts"
import { requiresCodec } from "../../Flow.ts"
import type * as Flow from "../../Flow.ts"
import { RunCancelled, RunFailed } from "../../RunError.ts"
import type { Calling } from "../../Wait.ts"
import type * as Calls from "./calls.ts"
import type { Claims } from "./claims.ts"
import { makeCodec } from "../definition/codec.ts"
import { frozen } from "../frozen.ts"
import { canonical } from "./canonical.ts"
import * as Creating from "./creating.ts"
import { encode } from "./encoded.ts"
import * as Failures from "./failure.ts"
import type { Message } from "./outbox.ts"
import * as TypedState from "./typedState.ts"
import type * as Waits from "./waits.ts"
import { givenUp } from "./waking.ts"
import type { WaitOutcome } from "./waking.ts"

/** What the children of a visit need of the run they are started by. */
export interface Host extends Calls.Host, Waits.Host {
  /** Sees to it that a message that was sent arrives. What cannot be done now is done later. */
  readonly deliver: (message: string, flow: Flow.Any) => Effect.Effect<void>
}

export interface Place extends Waits.Place {
  readonly openedAs: string | undefined
}

/** A run that is to be waited for, as the wait for it is opened and served. */
export interface Called {
  readonly wait: string
  readonly on: Extract<WaitTarget, { type: "run" }>
  /** The message that makes the run. */
  readonly sent: Effect.Effect<Extract<Body, { kind: "sent" }>>
  /** Sees to it that the message arrives. */
  readonly deliver: (message: string) => Effect.Effect<void>
  readonly serve: (outcome: WaitOutcome) => Effect.Effect<unknown, unknown>
}

export interface Children {
  /** What a call is, which the visit has come to. */
  readonly calling: (calling: Calling) => Called
  readonly start: (
    flow: Flow.Any,
    input: unknown,
    options: Flow.ChildOptions | undefined
  ) => Effect.Effect<any>
}

/** How many runs may be above a run. */
export const maxDepth = 100

export const make = (host: Host, claims: Claims, place: Place): Children => {
  const { attempt, branch, node, visit } = place
  const inBranch = branch === "" ? undefined : { branch }
  const origin = { ...inBranch, node: place.openedAs ?? node, visit }
  /** How many calls came before that look the same. */
  const occurrences = new Map<string, number>()

  const next = (kind: string): number => {
    const occurrence = occurrences.get(kind) ?? 0
    occurrences.set(kind, occurrence + 1)
    return occurrence
  }

  const idOf = (flow: Flow.Any, ...parts: ReadonlyArray<Json>): string =>
    `${flow.id}-${host.hash(canonical([host.run, branch, origin.node, visit, flow.id, ...parts])).slice(0, 32)}`

  const inputOf = (flow: Flow.Any, input: unknown): Effect.Effect<Json> => {
    const exit = encode(flow.input, input)
    if (Exit.isSuccess(exit)) return Effect.succeed(exit.value)
    const what = `the input of flow ${flow.id}`
    return Effect.die(new Unencodable({ what, detail: Failures.problemOf(exit) }))
  }

  /** The message that makes the run. */
  const sending = (
    flow: Flow.Any,
    child: string,
    input: Json,
    options: Flow.ChildOptions = {},
    how: { readonly wait: string } | { readonly mark: string }
  ): Extract<Body, { kind: "sent" }> => {
    const { actor, correlation, parent, session } = host.state()
    const depth = (parent?.depth ?? 0) + 1
    if (depth > maxDepth) {
      throw new Error(
        `run ${host.run} has ${maxDepth} runs above it, and may start none of flow ${flow.id}: does a flow call itself without end?`
      )
    }
    if (!host.encrypts && requiresCodec(flow)) {
      throw new Error(`flow ${flow.id} has Redacted values: provide a Codec that encrypts what is stored`)
    }
    const state = TypedState.initial(flow.state)
    if (Result.isFailure(state)) {
      throw new Unencodable({ what: state.failure.what, detail: state.failure.message })
    }
    const { attributes, tags } = options
    const created: Creating.Created = {
      ...Creating.bodyOf(flow, input, state.success, { actor, correlation, session, attributes, tags }),
      parent: { run: host.run, ...origin, ...("wait" in how ? how : undefined), depth }
    }
    return {
      kind: "sent",
      ...inBranch,
      to: child,
      message: `${child}:start:${attempt}`,
      body: { type: "start", created } satisfies Message,
      ...("mark" in how ? how : undefined)
    }
  }

  const serve = (flow: Flow.Any, child: string, outcome: WaitOutcome): Effect.Effect<unknown, unknown> => {
    if ("failure" in outcome) {
      const { failure } = outcome
      if (failure.kind === "cancelled" && failure.run === child) return Effect.die(new RunCancelled(failure))
      if (failure.kind === "error") {
        const loaded = Failures.load(failure, [flow.error])
        if (loaded._tag === "Error") return Effect.fail(loaded.error)
      }
      return Effect.die(new RunFailed({ run: child, failure }))
    }
    const exit = makeCodec(flow.output).decode("value" in outcome ? frozen(outcome.value) : null)
    if (Exit.isSuccess(exit)) return Effect.succeed(exit.value)
    return host.pause({
      kind: "incompatible",
      message:
        `visit ${visit} of node ${node} has the output of run ${child}, which does not fit flow ${flow.id}` +
        (host.encrypts ? "" : `: ${Failures.problemOf(exit)}`)
    })
  }

  /** The run that a call is for: not one that this visit gave up. */
  const childOf = (flow: Flow.Any, key: Json): string => {
    const { marks } = host.open()
    let child = idOf(flow, key)
    for (let again = 1; marks !== undefined && HashMap.has(marks, givenUp(child)); again++) {
      child = idOf(flow, key, again)
    }
    return child
  }

  const calling: Children["calling"] = ({ flow, input, options }) => {
    const { key = next(flow.id) } = options ?? {}
    const child = childOf(flow, key)
    // In a fork it is the same.
    const wait = `${branch === "" ? "" : `${branch}:`}${visit}/run/${flow.id}/${JSON.stringify(key)}`
    return {
      wait,
      on: { type: "run", run: child },
      sent: Effect.map(inputOf(flow, input), (encoded) => sending(flow, child, encoded, options, { wait })),
      deliver: (message) => host.deliver(message, flow),
      serve: (outcome) => serve(flow, child, outcome)
    }
  }

  const start = Effect.fnUntraced(function* (
    flow: Flow.Any,
    given: unknown,
    options: Flow.ChildOptions | undefined
  ) {
    if (place.isClosed()) {
      return yield* Effect.die(
        new Error(`something that outlived visit ${visit} of node ${node} starts a run of flow ${flow.id}`)
      )
    }
    if (host.halted()) return yield* host.refused
    const input = yield* inputOf(flow, given)
    // Whichever fiber starts it: numbers would depend on which comes first.
    const digest = host.hash(canonical(input)).slice(0, 32)
    const key: Json = options?.key ?? [digest, next(`${flow.id}/${digest}`)]
    const child = idOf(flow, "start", key)
    const base = `start/${flow.id}/${canonical(key)}/`
    const marks = host.open().marks ?? HashMap.empty<string, 0 | 1>()
    if (!HashMap.has(marks, base + child)) {
      // A fork starts its own where its origin did.
      const isOrigins = host.refuse === undefined && HashMap.some(marks, (_, mark) => mark.startsWith(base))
      if (!isOrigins) yield* claims.unrecorded({ tool: "start", call: child, input }) ?? Effect.void
      const sent = sending(flow, child, input, options, { mark: base + child })
      yield* host.append(sent)
      yield* host.sync
      yield* host.deliver(sent.message, flow)
    }
    return { id: child, flow }
  })

  return { calling, start }
}
