/**
 * What happens at the nodes of the agent. It is ordinary `effect/ai` code, but for `ai.provide`.
 */
import { Run, Wait } from "@waymark/core"
import { Effect, Schema } from "effect"
import { LanguageModel, Prompt } from "effect/ai"
import { Agent, AgentFailed, ai, maxTurns, Research, Turn } from "./agent.ts"
import { messagesOf } from "./conversation.ts"

export const Decision = Schema.Literals(["approve", "deny"])

const instructions =
  "You answer questions about Waymark from its documentation. Search, read what you found, publish a report with " +
  "quotations, then answer in one sentence."

/** The requests for an approval that nobody has answered yet, with the calls that they are about. */
const openRequests = (conversation: ReadonlyArray<Prompt.Message>) => {
  const calls = new Map<string, Prompt.ToolCallPart>()
  const open = new Map<
    string,
    { readonly approvalId: string; readonly call: Prompt.ToolCallPart | undefined }
  >()
  for (const message of conversation) {
    if (typeof message.content === "string") continue
    for (const part of message.content) {
      if (part.type === "tool-call") calls.set(part.id, part)
      if (part.type === "tool-approval-request") {
        open.set(part.approvalId, { approvalId: part.approvalId, call: calls.get(part.toolCallId) })
      }
      if (part.type === "tool-approval-response") open.delete(part.approvalId)
    }
  }
  return [...open.values()]
}

export const AgentHandlers = Agent.toLayer({
  think: Effect.fn("think")(
    function* ({ input, next, state }) {
      const turn = state.turns + 1
      yield* Run.progress(state.turns, maxTurns, "thinking")
      const reply = yield* LanguageModel.generateText({
        prompt: Prompt.make([
          { role: "system", content: instructions },
          { role: "user", content: input.question }
        ]).pipe(Prompt.concat(Prompt.fromMessages(state.conversation))),
        toolkit: Research,
        concurrency: 4
      })
      const { inputTokens, outputTokens } = reply.usage
      const spent = (inputTokens.total ?? 0) + (outputTokens.total ?? 0)
      yield* Turn.emit({
        turn,
        said: reply.text,
        calls: reply.toolCalls.map(({ name }) => name),
        tokens: spent
      })

      const update = { conversation: messagesOf(reply.content), turns: 1 }
      if (openRequests(update.conversation).length > 0) return next.to("approve", update)
      if (reply.toolCalls.length > 0) return next.to("think", update)
      return next.end({ answer: reply.text, turns: turn }, update)
    },
    ai.provide,
    Effect.catchTag("AiError", (error) => Effect.fail(new AgentFailed({ detail: error.message })))
  ),

  approve: Effect.fn("approve")(function* ({ next, state }) {
    const responses: Array<Prompt.ToolMessagePart> = []
    for (const { approvalId, call } of openRequests(state.conversation)) {
      const decision = yield* Wait.user("approval", {
        prompt: `May the agent call ${call?.name} with ${JSON.stringify(call?.params)}?`,
        schema: Decision,
        choices: ["approve", "deny"]
      })
      yield* Run.log(`${call?.name}: ${decision}`)
      responses.push(
        Prompt.toolApprovalResponsePart({
          approvalId,
          approved: decision === "approve",
          ...(decision === "deny" ? { reason: "a person said no" } : undefined)
        })
      )
    }
    return next.to("think", { conversation: [Prompt.toolMessage({ content: responses })] })
  })
})
