/**
 * A language model that needs no network: it plays its part by looking at what has been said so far. A real one is in
 * `chatModel.ts`.
 */
import { Effect, Layer, Stream } from "effect"
import { AiError, LanguageModel, type Prompt, type Response } from "effect/ai"
import { Witness } from "./witness.ts"

type Said = ReadonlyArray<Response.PartEncoded>

const text = (words: string): Response.PartEncoded => ({ type: "text", text: words })
const call = (id: string, name: string, params: unknown): Response.PartEncoded => ({
  type: "tool-call",
  id,
  name,
  params
})

const resultsOf = (prompt: Prompt.Prompt, name: string): ReadonlyArray<Prompt.ToolResultPart> =>
  prompt.content.flatMap((message) =>
    message.role === "tool"
      ? message.content.filter(
          (part): part is Prompt.ToolResultPart => part.type === "tool-result" && part.name === name
        )
      : []
  )

/** What the model says next: first it searches, then it reads what it found, then it publishes, then it answers. */
const nextOf = (prompt: Prompt.Prompt): Said => {
  const published = resultsOf(prompt, "publish_report").at(-1)
  if (published !== undefined) {
    return [
      text(
        published.isFailure
          ? "I may not publish the report: the light went dark because the oil in the lower tank was watered."
          : "The light went dark because the upper tank was empty and the oil in the lower one held water; the report says where that is written."
      )
    ]
  }
  const sections = resultsOf(prompt, "read_section")
  if (sections.length > 0) {
    const quotations = sections
      .filter(({ isFailure }) => !isFailure)
      .map(({ result }) => `> ${String(result)}`)
    return [
      text("That explains it. I write it down."),
      call("call-publish", "publish_report", {
        title: "Why Northreach light went dark",
        markdown: quotations.join("\n\n").replaceAll("\n", "\n> ").replaceAll("> \n> >", "\n>")
      })
    ]
  }
  const searches = resultsOf(prompt, "search_docs")
  if (searches.length > 0) {
    const hits = searches.flatMap(({ result }) => result as ReadonlyArray<{ path: string; line: number }>)
    const first = [...new Map(hits.map((hit) => [hit.path, hit])).values()]
    return [
      text(`I read ${first.length} pages.`),
      ...first.map(({ line, path }, index) => call(`call-read-${index}`, "read_section", { path, line }))
    ]
  }
  return [
    text("I look for the night, and for the oil."),
    call("call-search-1", "search_docs", { query: "dark tank" }),
    call("call-search-2", "search_docs", { query: "lower tank" }),
    call("call-search-3", "search_docs", { query: "sea water" })
  ]
}

/** About four letters make a token. */
const count = (value: unknown): number => Math.ceil(JSON.stringify(value).length / 4)

/** How long it thinks is up to whoever makes it. */
export const layer = (
  thinking: Effect.Effect<void>
): Layer.Layer<LanguageModel.LanguageModel, never, Witness> =>
  Layer.effect(
    LanguageModel.LanguageModel,
    Effect.gen(function* () {
      const { around } = yield* Witness
      return yield* LanguageModel.make({
        generateText: ({ prompt }) =>
          Effect.gen(function* () {
            yield* thinking
            const said = nextOf(prompt)
            const input = count(prompt.content)
            const output = count(said)
            const finish: Response.PartEncoded = {
              type: "finish",
              reason: said.some(({ type }) => type === "tool-call") ? "tool-calls" : "stop",
              usage: {
                inputTokens: { uncached: input, total: input, cacheRead: 0, cacheWrite: 0 },
                outputTokens: { total: output, text: output, reasoning: 0 }
              }
            }
            return [...said, finish]
          }).pipe((work) => around("model", "scripted", work)),
        streamText: () =>
          Stream.fail(
            AiError.make({
              module: "scriptedModel",
              method: "streamText",
              reason: new AiError.InvalidUserInputError({ description: "the script has no stream" })
            })
          )
      })
    })
  )
