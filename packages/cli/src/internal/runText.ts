/**
 * Runs in words.
 */
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Stream from "effect/Stream"
import type { Event, Failure, PauseReason } from "@waymark/core/Event"
import { describe } from "@waymark/core/RunError"
import type { RunInfo, RunStatus } from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import type * as RunState from "@waymark/core/RunState"
import * as Text from "./text.ts"

export const statusSigns: { readonly [Status in RunStatus]: string } = {
  pending: "○",
  running: "●",
  waiting: "◔",
  paused: "‖",
  cancelling: "⊘",
  completed: "✔",
  failed: "✖",
  cancelled: "⊘"
}

const colours: { readonly [Status in RunStatus]: Parameters<Text.Paint>[0] } = {
  pending: "gray",
  running: "cyan",
  waiting: "yellow",
  paused: "yellow",
  cancelling: "magenta",
  completed: "green",
  failed: "red",
  cancelled: "magenta"
}

export const statusOf = ({ status }: Pick<RunInfo, "status">, paint: Text.Paint): string =>
  paint(colours[status], `${statusSigns[status]} ${status}`)

/** A failure in words that fit on a line or few. */
export const failureOf = (failure: Failure): string => Text.clean(describe(failure), true)

/** A wait that is open, as it is told to people and programs. */
export interface OpenWait {
  readonly wait: string
  readonly branch: string
  readonly type: string
  readonly name?: string
  readonly key?: string
  readonly prompt?: unknown
  readonly choices?: unknown
  readonly schema?: unknown
  readonly due?: number
}

/** What a run waits for. */
export const waitsOf = (state: RunState.RunState): ReadonlyArray<OpenWait> =>
  Array.from(HashMap.entries(state.waits), ([wait, { branch, due, on, schema }]) => ({
    wait,
    branch,
    type: on.type,
    ...(on.type === "event" || on.type === "user" ? { name: on.name } : undefined),
    ...(on.type === "job" ? { name: on.id } : undefined),
    ...(on.type === "run" ? { name: on.run } : undefined),
    ...(on.type === "event" && on.key !== undefined ? { key: on.key } : undefined),
    ...(on.type === "user" ? { prompt: on.prompt } : undefined),
    ...(on.type === "user" && on.choices !== undefined ? { choices: on.choices } : undefined),
    ...(schema === undefined ? undefined : { schema }),
    ...(due === undefined ? undefined : { due })
  }))

const quoted = (text: string): string =>
  /^[\w.:@/-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`

/** A wait in words, and how it is ended. */
const waitText = (run: string, wait: OpenWait, now: number): ReadonlyArray<string> => {
  const due =
    wait.due === undefined
      ? ""
      : wait.due > now
        ? `, for another ${Text.span(wait.due - now)}`
        : ", and is due"
  const name = Text.inline(wait.name ?? "", 60)
  switch (wait.type) {
    case "user": {
      const lines = [`an answer to ${name}${due}: ${Text.inline(wait.prompt, 300)}`]
      if (Array.isArray(wait.choices))
        lines.push(`  choices: ${wait.choices.map((one) => Text.inline(one, 40)).join(" | ")}`)
      return [...lines, `  waymark answer ${quoted(run)} ${quoted(wait.name ?? "")} <json>`]
    }
    case "event": {
      const key = wait.key === undefined ? "" : ` with key ${Text.inline(wait.key, 40)}`
      const flag = wait.key === undefined ? "" : ` --key ${quoted(wait.key)}`
      return [
        `signal ${name}${key}${due}`,
        `  waymark signal ${quoted(run)} ${quoted(wait.name ?? "")} <json>${flag}`
      ]
    }
    case "job":
      return [`job ${name}${due}`]
    case "run":
      return [`the end of run ${name}${due}`]
    default:
      return [wait.due === undefined ? "a time" : `until ${Text.moment(wait.due)}${due}`]
  }
}

type Diverged = Extract<PauseReason, { readonly kind: "diverged" }>

/** What was asked for, as far as it is known: the tool with its input, or the wait. */
const askedText = (tool: string, call: string, input: unknown): string => {
  if (tool === "end") return "nothing: the handler ended"
  const given = input === undefined || input === null ? Text.inline(call) : Text.inline(input, 200)
  return `${Text.inline(tool, 60)} ${given}`
}

const inputOf = (event: Event | undefined): unknown =>
  event?.kind === "callStarted" ? event.input : event?.kind === "waitOpened" ? event.on : undefined

/** The event that a diverged run has in place of what was asked for. */
const recordedFor = Effect.fnUntraced(function* ({ pause, run }: RunState.RunState) {
  if (pause?.kind !== "diverged") return undefined
  const runs = yield* Runs.Runs
  const { call, seq } = pause.expected
  const [event] = yield* Stream.runCollect(runs.events(run, { from: seq, to: seq }))
  const id =
    event?.kind === "callStarted" ? event.call : event?.kind === "waitOpened" ? event.wait : undefined
  return id === call ? event : undefined
})

const divergedText = (
  { flow, run }: RunState.RunState,
  { expected, got, node, visit }: Diverged,
  recorded: Event | undefined
): ReadonlyArray<string> => {
  const before = askedText(expected.tool, expected.call, inputOf(recorded))
  const now = askedText(got.tool, got.call, got.input)
  // Calls with the same input have keys of their own.
  const id = (call: string) => (before === now ? ` (${Text.inline(call)})` : "")
  return [
    `visit ${visit} of node ${Text.inline(node, 60)} was executed again and asked for something else than is recorded: its code has changed, or depends on what is not recorded`,
    `  recorded: ${before}${id(expected.call)}, seq ${expected.seq}`,
    `  now:      ${now}${id(got.call)}`,
    `  waymark check ${quoted(flow)}: does it go on with the code as it is now?`,
    `  waymark replay ${quoted(run)}: does what it did before come out otherwise, too?`
  ]
}

/** Why a run is paused, and what can be done. */
const pauseText = (state: RunState.RunState, recorded: Event | undefined): ReadonlyArray<string> => {
  const { pause, run } = state
  if (pause === undefined) return []
  const resume = `  waymark resume ${quoted(run)}`
  switch (pause.kind) {
    case "requested":
      return [
        `paused on request${pause.note === undefined ? "" : `: ${Text.inline(pause.note, 200)}`}`,
        resume
      ]
    case "incompatible":
      return [`the flow does not fit it: ${Text.clean(pause.message, true)}`]
    case "diverged":
      return [...divergedText(state, pause, recorded), resume]
    // What can be done about it is said of each call that is in doubt.
    case "inDoubt":
      return []
    case "budget":
      return [`it spent ${pause.spent} of ${pause.limit} of budget ${pause.budget}`, resume]
    case "stepLimit":
      return [`it took ${pause.limit} steps, as many as it may`, resume]
    case "visitLimit":
      return [`it visited node ${pause.node} ${pause.limit} times, as often as it may`, resume]
  }
}

/** A call in doubt in words, and the three things that can be said of it. */
const doubtText = (
  { run, status }: RunState.RunState,
  { call, input, key, node, time, tool, visit }: Runs.CallInDoubt,
  isOnly: boolean,
  at: number
): ReadonlyArray<string> => {
  const command = `  waymark ${status === "failed" ? "retry" : "resume"} ${quoted(run)} --settle `
  const settle = (as: string) => command + quoted(isOnly ? as : `${call}=${as}`)
  return [
    `nobody knows whether this call took effect: ${askedText(tool, call, input)}`,
    `  visit ${visit} of ${Text.inline(node, 60)}, begun ${Text.moment(time)} (${Text.span(at - time)} ago), idempotency key ${key}`,
    ...Text.columns([
      [settle("again"), "it did not: it is made again, under the same key"],
      [settle("failed"), "it did not, and is not to be made"],
      [settle('{"output":…}'), "it did: this is what it gave"]
    ])
  ]
}

/** What a run waits for, or why it does not go on, fit to be shown. */
export const restText = Effect.fnUntraced(function* (
  state: RunState.RunState,
  waits: ReadonlyArray<OpenWait>,
  inDoubt: ReadonlyArray<Runs.CallInDoubt>,
  at: number
) {
  const recorded = yield* recordedFor(state)
  return [
    ...pauseText(state, recorded),
    ...inDoubt.flatMap((call) => doubtText(state, call, inDoubt.length === 1, at)),
    ...waits.flatMap((wait) => waitText(state.run, wait, at))
  ].map((line) => Text.clean(line, true))
})

export const now: Effect.Effect<number> = Effect.clockWith(({ currentTimeMillis }) => currentTimeMillis)
