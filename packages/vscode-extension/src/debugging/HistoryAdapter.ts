/**
 * Messages of the debug adapter protocol around a history session: one request after the other, each with its response.
 */
import * as Effect from "effect/Effect"
import type { DebugProtocol } from "@vscode/debugprotocol"
import { capabilities } from "./HistorySession.ts"
import type { Session } from "./HistorySession.ts"

export type Message = DebugProtocol.Response | DebugProtocol.Event

export interface Adapter {
  readonly handle: (request: DebugProtocol.Request) => Effect.Effect<void>
}

/**
 * `open` makes the session of a configuration; it is given a way to send events. Requests may be handled concurrently: the
 * session changes its position only in steps of its own.
 */
export const make = (
  post: (message: Message) => void,
  open: (configuration: any, send: (event: string, body: unknown) => void) => Effect.Effect<Session, Error>
): Adapter => {
  let session: Session | undefined
  let seq = 1
  const send = (event: string, body: unknown): void => post({ type: "event", seq: seq++, event, body })
  const respond = (request: DebugProtocol.Request, success: boolean, rest: object): void =>
    post({
      type: "response",
      seq: seq++,
      request_seq: request.seq,
      command: request.command,
      success,
      ...rest
    })

  const meet = (request: DebugProtocol.Request): Effect.Effect<unknown, Error> => {
    switch (request.command) {
      case "initialize":
        return Effect.succeed(capabilities)
      case "launch":
      case "attach":
        return Effect.gen(function* () {
          session = yield* open(request.arguments, send)
          yield* Effect.sync(() => send("initialized", {}))
        })
      case "disconnect":
      case "terminate":
        return Effect.sync(() => send("terminated", {}))
      default:
        return session === undefined
          ? Effect.succeed({})
          : session.request(request.command, request.arguments ?? {})
    }
  }

  return {
    handle: (request) =>
      Effect.matchEffect(meet(request), {
        onSuccess: (body) => Effect.sync(() => respond(request, true, body === undefined ? {} : { body })),
        onFailure: ({ message }) =>
          Effect.sync(() =>
            respond(request, false, {
              message,
              body: {
                error: {
                  id: 1,
                  format: message.replaceAll("{", "(").replaceAll("}", ")"),
                  showUser: request.command === "launch"
                }
              }
            })
          )
      })
  }
}
