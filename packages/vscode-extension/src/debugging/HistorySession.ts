/**
 * A debug session over the history of a run: it steps through checkpoints, forwards and back, and shows the state at each.
 * It speaks the debug adapter protocol and knows nothing of the editor.
 */
import * as Effect from "effect/Effect"
import type { DebugProtocol } from "@vscode/debugprotocol"
import type { Event } from "@waymark/core/Event"
import { openVisits } from "@waymark/core/RunState"
import { kindText, placeText } from "../reading/Checkpoints.ts"
import { failureOf, failureText } from "../reading/Documents.ts"
import { clock, line } from "../reading/Text.ts"
import { siteAt, siteOf } from "../source/Sources.ts"
import type { Site } from "../source/Sources.ts"
import * as Journey from "./Journey.ts"
import type { Reader } from "./Journey.ts"
import { RequestRefused } from "./RequestRefused.ts"
import * as Scopes from "./Scopes.ts"
import * as Values from "./Values.ts"

export const capabilities: DebugProtocol.Capabilities = {
  supportsConfigurationDoneRequest: true,
  supportsStepBack: true,
  supportsGotoTargetsRequest: true,
  supportsRestartRequest: true,
  supportsFunctionBreakpoints: true,
  supportsDataBreakpoints: true,
  supportsEvaluateForHovers: true,
  supportsExceptionInfoRequest: true,
  supportsTerminateRequest: true,
  supportsDelayedStackTraceLoading: true,
  exceptionBreakpointFilters: [
    { filter: "failed", label: "Failed", description: "Stop where a visit or the run failed", default: true },
    { filter: "retried", label: "Retried", description: "Stop where an attempt failed and is tried again" },
    { filter: "waiting", label: "Waiting", description: "Stop where the run began to wait" }
  ]
}

export interface Options {
  readonly reader: Reader
  readonly send: (event: string, body: unknown) => void
  /** Told wherever the session stops. */
  readonly moved: (seq: number) => void
}

export interface Session {
  /** Begins at a checkpoint: the one at `seq` or before it, else the last. */
  readonly launch: (seq: number | undefined) => Effect.Effect<void, Error>
  /** Meets a request: gives the body of its response. */
  readonly request: (command: string, args: any) => Effect.Effect<unknown, Error>
}

/** More branches than this are not shown as threads: the others are counted. */
const mostThreads = 50
const mainThread = 1

export const make = ({ moved, reader, send }: Options): Session => {
  const values = Values.make()
  let at: Event | undefined
  const lines = new Map<string, ReadonlyArray<string>>()
  let names: ReadonlySet<string> = new Set()
  let channels: ReadonlySet<string> = new Set()
  let filters: ReadonlySet<Journey.Filter> = new Set()
  let nextBreakpoint = 1
  const targets = new Map<number, number>()
  const threads = new Map<string, number>([["", mainThread]])

  const here = Effect.suspend(() =>
    at === undefined
      ? Effect.fail(new RequestRefused({ detail: "The session has not begun." }))
      : Effect.succeed(at)
  )
  const stops = (): Journey.Stops => ({
    lines: new Set([...lines.values()].flat()),
    names,
    channels,
    filters
  })
  const threadOf = (branch: string): number => {
    let thread = threads.get(branch)
    if (thread === undefined) threads.set(branch, (thread = threads.size + 1))
    return thread
  }
  const branchOfThread = (thread: number): string => [...threads].find(([, id]) => id === thread)?.[0] ?? ""

  const stop = (event: Event, reason: string, description?: string): void => {
    at = event
    values.reset()
    moved(event.seq)
    send("stopped", {
      reason,
      threadId: threadOf(Journey.branchOf(event)),
      allThreadsStopped: true,
      ...(description === undefined ? {} : { description, text: description })
    })
  }

  /** After the response to the request that asked for it: that is what the protocol wants. */
  const later = (work: Effect.Effect<void, Error>): Effect.Effect<void> =>
    Effect.asVoid(
      Effect.forkDetach(
        Effect.andThen(
          Effect.yieldNow,
          Effect.catch(work, (error) =>
            Effect.sync(() => {
              send("output", { category: "stderr", output: `${error.message}\n` })
              if (at !== undefined) stop(at, "step")
            })
          )
        )
      )
    )

  const edgeText = (direction: "forwards" | "backwards") =>
    direction === "forwards" ? "The run has got no further" : "The run begins here"

  const stepping = (direction: "forwards" | "backwards", how: "into" | "over" | "out") =>
    Effect.flatMap(here, (from) =>
      later(
        Effect.map(Journey.step(reader, from, direction, how), (event) => {
          if (event === undefined) stop(from, "step", edgeText(direction))
          else stop(event, "step", kindText(event.kind))
        })
      )
    )

  const proceeding = (direction: "forwards" | "backwards") =>
    Effect.flatMap(here, (from) =>
      later(
        Effect.map(Journey.proceed(reader, from, direction, stops()), (found) => {
          if (found === undefined) stop(from, "step", edgeText(direction))
          else
            stop(
              found.event,
              found.reason ?? "step",
              found.reason === undefined ? edgeText(direction) : kindText(found.event.kind)
            )
        })
      )
    )

  const sourceOf = (site: Site): DebugProtocol.Source => ({
    path: site.file,
    name: site.file.replace(/^.*[\\/]/, "")
  })

  const frame = (id: number, name: string, site: Site | undefined): DebugProtocol.StackFrame => ({
    id,
    name: line(name, 120),
    line: site?.line ?? 0,
    column: site === undefined ? 0 : (site.column ?? 1),
    ...(site === undefined ? { presentationHint: "label" as const } : { source: sourceOf(site) })
  })

  /** The editor asks for the first frame, then for the others. */
  const stackTrace = ({ levels = 0, startFrame = 0, threadId: thread }: DebugProtocol.StackTraceArguments) =>
    Effect.gen(function* () {
      const event = yield* here
      const { flow, run } = yield* reader.info
      const sites = yield* reader.sites
      const branch = branchOfThread(thread)
      const own = Journey.branchOf(event)
      const frames: Array<DebugProtocol.StackFrame> = []
      const push = (name: string, node: string | undefined) =>
        void frames.push(frame(thread * 1000 + frames.length, name, siteOf(sites, flow, node)))
      if (branch === own) {
        const node = Journey.nodeOf(event)
        push(`${placeText(event as never)}: ${kindText(event.kind)}`, node)
      } else {
        const open = [...openVisits(yield* reader.stateAt(event.seq))].find(([name]) => name === branch)
        if (open !== undefined) push(`${open[1].node} [${branch}]`, open[1].node)
      }
      // What encloses a branch, from the inside out.
      for (let outer = branch; outer !== "";) {
        const slash = outer.lastIndexOf("/")
        outer = slash === -1 ? "" : outer.slice(0, slash)
        frames.push(
          frame(
            thread * 1000 + frames.length,
            outer === "" ? "branches of the run" : `branches of [${outer}]`,
            undefined
          )
        )
      }
      push(`flow ${flow} · run ${run} @${event.seq}`, undefined)
      const end = levels === 0 ? frames.length : startFrame + levels
      return { stackFrames: frames.slice(startFrame, end), totalFrames: frames.length }
    })

  const scopes = Effect.flatMap(here, (event) => Scopes.scopesOf(reader, values, event))
  const evaluate = (expression: string) =>
    Effect.flatMap(here, (event) => Scopes.lookUp(reader, values, event, expression))

  const setBreakpoints = ({ breakpoints = [], source }: DebugProtocol.SetBreakpointsArguments) =>
    Effect.gen(function* () {
      const file = source.path ?? ""
      const { flow } = yield* reader.info
      const sites = yield* reader.sites
      const nodes: Array<string> = []
      const answers = breakpoints.map((wanted): DebugProtocol.Breakpoint => {
        const site = siteAt(sites, file, wanted.line)
        const id = nextBreakpoint++
        if (site?.node === undefined || site.flow !== flow) {
          const why =
            site === undefined ? "no node of a flow stands here" : `this belongs to flow ${site.flow}`
          return {
            id,
            verified: false,
            line: wanted.line,
            message: `A run of ${flow} does not come here: ${why}.`
          }
        }
        nodes.push(site.node)
        return { id, verified: true, line: site.line, source }
      })
      lines.set(file, nodes)
      return { breakpoints: answers }
    })

  const gotoTargets = ({ line: wanted, source }: DebugProtocol.GotoTargetsArguments) =>
    Effect.gen(function* () {
      const site = siteAt(yield* reader.sites, source.path ?? "", wanted)
      if (site?.node === undefined) return { targets: [] }
      const visits = yield* Journey.visitsOf(reader, site.node)
      return {
        targets: visits.map((event): DebugProtocol.GotoTarget => {
          const id = targets.size + 1
          targets.set(id, event.seq)
          return {
            id,
            line: site.line,
            label: `${event.seq}  ${line(placeText(event as never))}: ${kindText(event.kind)}, ${clock(event.time)}`
          }
        })
      }
    })

  const goTo = (seq: number, reason: string) =>
    Effect.gen(function* () {
      const event = yield* Journey.checkpointAt(reader, seq)
      if (event === undefined)
        return yield* new RequestRefused({ detail: `There is no checkpoint at ${seq}.` })
      if (event.seq !== at?.seq) stop(event, reason, kindText(event.kind))
    })

  const threadList = Effect.gen(function* () {
    const event = yield* here
    const own = Journey.branchOf(event)
    const open = [...openVisits(yield* reader.stateAt(event.seq))]
    const found = new Set(open.map(([branch]) => branch)).add(own)
    found.delete("")
    const branches = [...found].sort((a, b) => a.localeCompare(b, "en", { numeric: true }))
    const { run } = yield* reader.info
    const more = branches.length - mostThreads
    return {
      threads: [
        { id: mainThread, name: line(`run ${run}${more > 0 ? ` (${more} more branches)` : ""}`, 120) },
        ...branches
          .slice(0, mostThreads)
          .map((branch) => ({ id: threadOf(branch), name: `branch ${branch}` }))
      ]
    }
  })

  const exceptionInfo = Effect.map(here, (event) => {
    const failure = failureOf(event)
    if (failure === undefined) return { exceptionId: kindText(event.kind), breakMode: "always" }
    const text = failureText(failure)
    return {
      exceptionId:
        failure.kind === "error" ? failure.tag : failure.kind === "defect" ? failure.name : failure.kind,
      description: text,
      breakMode: "always",
      details: { message: text.split("\n", 1)[0], stackTrace: failure.kind === "defect" ? text : undefined }
    }
  })

  const request: Session["request"] = (command, args) => {
    switch (command) {
      case "setBreakpoints":
        return setBreakpoints(args)
      case "setFunctionBreakpoints":
        names = new Set((args.breakpoints as ReadonlyArray<{ name: string }>).map(({ name }) => name))
        return Effect.succeed({
          breakpoints: [...names].map(() => ({ id: nextBreakpoint++, verified: true }))
        })
      case "dataBreakpointInfo": {
        const path = args.variablesReference === undefined ? "state" : values.pathOf(args.variablesReference)
        const isChannel = path === "state" || path === undefined
        return Effect.succeed(
          isChannel
            ? {
                dataId: args.name,
                description: `channel ${args.name}`,
                accessTypes: ["write"],
                canPersist: true
              }
            : { dataId: null, description: "Only changes of whole channels can be watched" }
        )
      }
      case "setDataBreakpoints":
        channels = new Set(
          (args.breakpoints as ReadonlyArray<{ dataId: string }>).map(({ dataId }) => dataId)
        )
        return Effect.succeed({
          breakpoints: [...channels].map(() => ({ id: nextBreakpoint++, verified: true }))
        })
      case "setExceptionBreakpoints":
        filters = new Set(args.filters)
        return Effect.succeed({})
      case "configurationDone":
      case "pause":
        return later(
          Effect.map(here, (event) =>
            stop(event, command === "pause" ? "pause" : "entry", kindText(event.kind))
          )
        )
      case "threads":
        return threadList
      case "stackTrace":
        return stackTrace(args)
      case "scopes":
        return scopes
      case "variables":
        return Effect.sync(() => ({ variables: values.parts(args.variablesReference, args) }))
      case "evaluate":
        return evaluate(args.expression)
      case "exceptionInfo":
        return exceptionInfo
      case "next":
        return stepping("forwards", "over")
      case "stepIn":
        return stepping("forwards", "into")
      case "stepOut":
        return stepping("forwards", "out")
      case "stepBack":
        return stepping("backwards", "over")
      case "continue":
        return Effect.as(proceeding("forwards"), { allThreadsContinued: true })
      case "reverseContinue":
        return proceeding("backwards")
      case "gotoTargets":
        return gotoTargets(args)
      case "goto":
        return later(Effect.suspend(() => goTo(targets.get(args.targetId) ?? -1, "goto")))
      case "waymark/goto":
        return Effect.flatMap(reader.info, ({ run }) =>
          run === args.run ? later(goTo(args.seq, "goto")) : Effect.void
        )
      case "restart":
        return later(Effect.map(reader.event(0), (event) => stop(event, "entry", kindText(event.kind))))
      default:
        return Effect.fail(new RequestRefused({ detail: `A history does not know the request ${command}.` }))
    }
  }

  return {
    request,
    launch: (seq) =>
      Effect.gen(function* () {
        const { seq: head } = yield* reader.info
        at = yield* Journey.checkpointAt(reader, seq ?? head)
        if (at === undefined) return yield* new RequestRefused({ detail: "The run has no checkpoint yet." })
      })
  }
}
