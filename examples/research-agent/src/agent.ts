/**
 * The agent: what it can do, what it may spend, and the loop that it is.
 */
import { Flow, Node, Run, State, Tool } from "@waymark/core"
import { Schedule, Schema } from "effect"
import { Tool as AiTool, Toolkit } from "effect/ai"
import * as DurableAi from "./durableAi.ts"
import { Message } from "./stored.ts"

export class NotThere extends Schema.TaggedError<NotThere>()("NotThere", { path: Schema.String }) {}

export const Hit = Schema.Struct({ path: Schema.String, line: Schema.Int, text: Schema.String })

/** Reads only, so a call whose result was lost in a crash is simply made again. */
const SearchDocs = AiTool.make("search_docs", {
  description: "Finds lines of the documentation that contain all the words of a query",
  parameters: Schema.Struct({ query: Schema.String }),
  success: Schema.Array(Hit),
  dependencies: [Tool.Invocation]
}).annotate(AiTool.Readonly, true)

const ReadSection = AiTool.make("read_section", {
  description: "Reads some lines of a page of the documentation, from a line on",
  parameters: Schema.Struct({ path: Schema.String, line: Schema.Int }),
  success: Schema.String,
  failure: NotThere,
  // The model is told, and can look for something else.
  failureMode: "return",
  dependencies: [Tool.Invocation]
}).annotate(AiTool.Readonly, true)

/** The dangerous one: somebody has to say yes first. It writes the same file again and again, so it may be repeated. */
const PublishReport = AiTool.make("publish_report", {
  description: "Publishes the report. Everybody can read it then",
  parameters: Schema.Struct({ title: Schema.String, markdown: Schema.String }),
  success: Schema.Struct({ path: Schema.String }),
  needsApproval: true,
  dependencies: [Tool.Invocation]
}).annotate(AiTool.Idempotent, true)

export const Research = Toolkit.make(SearchDocs, ReadSection, PublishReport)

export const Tokens = Run.budget("tokens", { limit: 2_000, warnAt: 0.8 })

/** What the run tells on its way: what the model wanted, turn by turn. */
export const Turn = Run.output(
  "turn",
  Schema.Struct({
    turn: Schema.Int,
    said: Schema.String,
    calls: Schema.Array(Schema.String),
    tokens: Schema.Int
  })
)

export const ai = DurableAi.make(Research, {
  budget: Tokens,
  retry: Schedule.max([Schedule.exponential("500 millis"), Schedule.recurs(4)]),
  timeout: "2 minutes"
})

export class AgentFailed extends Schema.TaggedError<AgentFailed>()("AgentFailed", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

/** How often the model may be asked. */
export const maxTurns = 12

export const Agent = Flow.make("research-agent", {
  input: { question: Schema.String },
  state: {
    /** What was said since the question, by the model and by the tools. An update appends to it. */
    conversation: State.list(Message),
    turns: State.counter()
  },
  output: Schema.Struct({ answer: Schema.String, turns: Schema.Int }),
  error: AgentFailed,
  budgets: [Tokens],
  start: "think",
  nodes: {
    think: Node.make({ to: ["think", "approve", "end"], error: AgentFailed, maxVisits: maxTurns }),
    approve: Node.make({ to: ["think"] })
  }
})
