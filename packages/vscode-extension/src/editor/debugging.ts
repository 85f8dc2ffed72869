/** The history debugger in the editor, and starting others. */
import * as Effect from "effect/Effect"
import * as vscode from "vscode"
import type { DebugProtocol } from "@vscode/debugprotocol"
import type { Editor } from "../Editor.ts"
import { mark as launchMark } from "../debugging/Launch.ts"
import { ask, disposable } from "./bridge.ts"

export const debugType = "waymark"

/** An adapter that lives in this process: it reads a journal, and executes nothing. */
class Inline implements vscode.DebugAdapter {
  readonly #sent = new vscode.EventEmitter<vscode.DebugProtocolMessage>()
  readonly #session
  readonly onDidSendMessage = this.#sent.event
  constructor(
    open: Parameters<Editor["Service"]["historyDebugger"]>[0],
    configuration: vscode.DebugConfiguration
  ) {
    this.#session = open(configuration, (message) => this.#sent.fire(message))
  }
  handleMessage(message: vscode.DebugProtocolMessage): void {
    this.#session.handle(message as DebugProtocol.Request)
  }
  dispose(): void {
    this.#session.close()
    this.#sent.dispose()
  }
}

/** The session that others belong to: the Node debugger has one for each process. */
const rootOf = (session: vscode.DebugSession): vscode.DebugSession =>
  session.parentSession === undefined ? session : rootOf(session.parentSession)

/** So much of what a session prints is kept, in characters. */
const mostPrinted = 20_000

/** `run` executes what the editor asks for, and tells what it fails with. */
export const debugging = (
  run: (effect: Effect.Effect<unknown, unknown>) => Promise<unknown>
): Pick<Editor["Service"], "historyDebugger" | "debug" | "launcher" | "breakpoint" | "askDebugger"> => ({
  historyDebugger: (open) =>
    disposable(() =>
      vscode.debug.registerDebugAdapterDescriptorFactory(debugType, {
        createDebugAdapterDescriptor: ({ configuration }) =>
          new vscode.DebugAdapterInlineImplementation(new Inline(open, configuration))
      })
    ),
  debug: (configuration) =>
    ask(() =>
      vscode.debug.startDebugging(vscode.workspace.workspaceFolders?.[0], {
        type: debugType,
        request: "launch",
        ...configuration
      })
    ),
  launcher: ({ ended, offered, resolve }) =>
    Effect.gen(function* () {
      const { debug } = vscode
      yield* disposable(() =>
        debug.registerDebugConfigurationProvider(debugType, {
          resolveDebugConfiguration: (_folder, given) =>
            run(resolve(given)) as Promise<vscode.DebugConfiguration | undefined>
        })
      )
      yield* disposable(() =>
        debug.registerDebugConfigurationProvider(
          debugType,
          { provideDebugConfigurations: () => run(offered) as Promise<Array<vscode.DebugConfiguration>> },
          vscode.DebugConfigurationProviderTriggerKind.Dynamic
        )
      )
      const printed = new Map<string, string>()
      yield* disposable(() =>
        debug.registerDebugAdapterTrackerFactory("*", {
          createDebugAdapterTracker: (session) => {
            const { configuration, id } = rootOf(session)
            if (configuration[launchMark] === undefined) return undefined
            return {
              onDidSendMessage: ({ body, event }: DebugProtocol.OutputEvent) => {
                if (event !== "output" || body.category !== "stderr") return
                printed.set(id, `${printed.get(id) ?? ""}${body.output}`.slice(-mostPrinted))
              }
            }
          }
        })
      )
      yield* disposable(() =>
        debug.onDidTerminateDebugSession(({ configuration, id, parentSession }) => {
          if (parentSession !== undefined || configuration[launchMark] === undefined) return
          void run(ended(configuration, printed.get(id) ?? ""))
          printed.delete(id)
        })
      )
    }),
  breakpoint: ({ column, file, line }, last) =>
    Effect.sync(() => {
      const uri = vscode.Uri.file(file)
      const isThere = vscode.debug.breakpoints.some(
        (known) =>
          known instanceof vscode.SourceBreakpoint &&
          known.enabled &&
          known.location.uri.toString() === uri.toString() &&
          known.location.range.start.line >= line - 1 &&
          known.location.range.start.line < last
      )
      if (isThere) return Effect.void
      const at = new vscode.Position(line - 1, (column ?? 1) - 1)
      const added = new vscode.SourceBreakpoint(new vscode.Location(uri, at))
      vscode.debug.addBreakpoints([added])
      return Effect.sync(() => vscode.debug.removeBreakpoints([added]))
    }),
  askDebugger: (request, args) =>
    Effect.suspend(() => {
      const session = vscode.debug.activeDebugSession
      if (session?.type !== debugType) return Effect.void
      // A session that is ending answers nothing any more, and nobody needs it to.
      return Effect.ignore(Effect.tryPromise(() => Promise.resolve(session.customRequest(request, args))))
    })
})
