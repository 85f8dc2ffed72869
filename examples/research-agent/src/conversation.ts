/**
 * What a response adds to a conversation, and in which order.
 */
import { Prompt, type Response } from "effect/ai"

/** Sorts what says something of a call as the calls were made; what does not stays where it is, before the others. */
const byCall = <P extends { readonly type: string }>(
  parts: ReadonlyArray<P>,
  calls: ReadonlyMap<string, number>
): Array<P> => {
  const place = (part: any): number =>
    calls.get(
      part.type === "tool-result" ? part.id : part.type === "tool-approval-request" ? part.toolCallId : ""
    ) ?? -1
  return [...parts].sort((a, b) => place(a) - place(b))
}

const callsOf = (messages: ReadonlyArray<Prompt.Message>): Map<string, number> => {
  const calls = new Map<string, number>()
  for (const { content, role } of messages) {
    if (role !== "assistant") continue
    for (const part of content) if (part.type === "tool-call") calls.set(part.id, calls.size)
  }
  return calls
}

/**
 * The results of calls that were made at the same time come in the order of the calls, whichever was done first, so that
 * a run that is executed again comes to the same; before them those of earlier calls that had to be approved.
 */
export const answerInOrder = (
  asked: Prompt.RawInput,
  content: ReadonlyArray<Response.AnyPart>
): ReadonlyArray<Response.AnyPart> => {
  const calls = callsOf(Prompt.make(asked).content)
  const earlier = (part: Response.AnyPart) => part.type === "tool-result" && calls.has(part.id)
  const now = content.filter((part) => !earlier(part))
  const made = new Map(
    now.flatMap((part) => (part.type === "tool-call" ? [part.id] : [])).map((id, at) => [id, at])
  )
  return [...byCall(content.filter(earlier), calls), ...byCall(now, made)]
}

/**
 * What a response adds to the conversation. The results of calls that had to be approved first come before what the model
 * said to them.
 */
export const messagesOf = (content: ReadonlyArray<Response.AnyPart>): ReadonlyArray<Prompt.Message> => {
  const called = new Set(content.flatMap((part) => (part.type === "tool-call" ? [part.id] : [])))
  const earlier = (part: Response.AnyPart) => part.type === "tool-result" && !called.has(part.id)
  return [content.filter(earlier), content.filter((part) => !earlier(part))].flatMap(
    (parts) => Prompt.fromResponseParts(parts).content
  )
}
