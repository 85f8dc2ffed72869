/**
 * What ends waits from outside: signals, answers, finished jobs.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type { Json } from "effect/Schema"
import type { Request } from "../../Command.ts"
import { InvalidValue } from "../../RunError.ts"
import type * as Runs from "../../Runs.ts"
import type * as Store from "../../Store.ts"
import { encode } from "../engine/encoded.ts"
import * as Failures from "../engine/failure.ts"
import { get } from "../record.ts"
import { checkFlow } from "./client.ts"
import type { Client } from "./client.ts"
import { sendIfWanted } from "./commanding.ts"

export type Signals = Pick<Runs.Runs["Service"], "signal" | "answer" | "finishJob" | "broadcast">

/** A payload as the flow stores it, if it is known what the flow says of it; else it has to be JSON, or nothing. */
const payloadOf = (
  what: string,
  schema: Schema.Codec<any, any> | undefined,
  value: unknown
): Effect.Effect<Json, InvalidValue> => {
  // Nothing is stored as a schema of nothing stores it.
  const exit = encode(schema ?? Schema.Json, value === undefined && schema === undefined ? null : value)
  if (Exit.isSuccess(exit)) return Effect.succeed(exit.value)
  return Effect.fail(
    Failures.invalid(schema === undefined ? `${what}, which no schema describes,` : what, exit)
  )
}

export const make = (client: Client): Signals => {
  const { ids, store } = client

  const signal: Signals["signal"] = Effect.fnUntraced(function* (run, name, payload, options) {
    const { flow, id } = typeof run === "string" ? { id: run, flow: undefined } : run
    const schema = flow === undefined ? undefined : get(flow.signals, name)
    const encoded = yield* payloadOf(`the payload of signal ${name}`, schema, payload)
    const { info } = yield* store.get(id)
    if (flow !== undefined) yield* checkFlow(flow, id, info.flow)
    const key = options?.key
    yield* sendIfWanted(
      client,
      id,
      info,
      { type: "signal", name, ...(key === undefined ? undefined : { key }), payload: encoded },
      options,
      flow
    )
  })

  return {
    signal,
    answer: Effect.fnUntraced(function* (run, wait, value, options) {
      const id = typeof run === "string" ? run : run.id
      const encoded = yield* payloadOf(`the answer to ${wait}`, undefined, value)
      const { info } = yield* store.get(id)
      yield* sendIfWanted(client, id, info, { type: "answer", wait, value: encoded }, options)
    }),
    finishJob: Effect.fnUntraced(function* (run, job, as, options) {
      const id = typeof run === "string" ? run : run.id
      const done =
        "failure" in as ? as : { value: yield* payloadOf(`the result of job ${job}`, undefined, as.value) }
      const { info } = yield* store.get(id)
      yield* sendIfWanted(client, id, info, { type: "finish", job, as: done }, options)
    }),
    broadcast: Effect.fnUntraced(function* (to, name, payload, options) {
      if (Object.values(to).every((value) => value === undefined)) {
        const detail = "it names no flow, session, correlation id or tag, and would go to every run"
        return yield* new InvalidValue({ what: "whom the signal is for", detail })
      }
      const id = options?.commandId ?? (yield* ids.next)
      const encoded = yield* payloadOf(`the payload of signal ${name}`, undefined, payload)
      const reached: Array<string> = []
      let cursor: string | undefined
      do {
        const page: Store.Page = yield* store.list({
          ...to,
          status: ["pending", "running", "waiting", "paused"],
          order: "oldest",
          ...(cursor === undefined ? undefined : { cursor })
        })
        for (const info of page.runs) {
          const { key } = options ?? {}
          const request: Request = {
            type: "signal",
            name,
            ...(key === undefined ? undefined : { key }),
            payload: encoded
          }
          // Each run gets a command of its own, which is the same when the broadcast is repeated.
          const sent = sendIfWanted(client, info.run, info, request, {
            ...options,
            commandId: `${id}/${info.run}`
          })
          const isReached = yield* sent.pipe(
            Effect.as(true),
            Effect.catchTag(["CommandRefused", "RunNotFound"], () => Effect.succeed(false))
          )
          if (isReached) reached.push(info.run)
        }
        cursor = page.cursor
      } while (cursor !== undefined)
      return reached
    })
  }
}
