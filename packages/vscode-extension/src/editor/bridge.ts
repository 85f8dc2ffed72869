/** Between Effect and the callbacks of the editor. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as vscode from "vscode"
import { EditorError } from "../Editor.ts"

/** Registers something for as long as the scope is open. */
export const disposable = (register: () => vscode.Disposable): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(Effect.sync(register), (registered) => Effect.sync(() => void registered.dispose()))
  )

/** What an event of the editor tells, for as long as somebody listens. */
export const eventStream = <A>(...events: ReadonlyArray<vscode.Event<A>>): Stream.Stream<A> =>
  Stream.callback<A>((queue) =>
    Effect.forEach(
      events,
      (event) => disposable(() => event((value) => void Queue.offerUnsafe(queue, value))),
      { discard: true }
    )
  )

export const attempt = <A>(what: string, run: () => Thenable<A>): Effect.Effect<A, EditorError> =>
  Effect.tryPromise({ try: () => Promise.resolve(run()), catch: (cause) => new EditorError({ what, cause }) })

/** What the editor only fails at when it is broken. */
export const ask = <A>(run: () => Thenable<A>): Effect.Effect<A> =>
  Effect.promise(() => Promise.resolve(run()))

/** What went wrong, for a person: the message of the error, not its stack. */
export const messageOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error && error.message !== "" ? error.message : String(error)
}

/**
 * A text for a message or a question. The editor makes links of `[text](command:…)` in them, which run commands; between the
 * brackets comes something that nobody sees.
 */
export const unlinked = (text: string): string => text.replaceAll("](", "]\u200b(")

/** What was logged, in one line: a text, or several parts. */
export const textOf = (message: unknown): string =>
  (Array.isArray(message) ? message : [message])
    .map((part: unknown) => (typeof part === "string" ? part : JSON.stringify(part)))
    .join(" ")
