/** The history debugger in the editor, and starting others. */
import * as Effect from "effect/Effect"
import * as vscode from "vscode"
import type { DebugProtocol } from "@vscode/debugprotocol"
import type { Editor } from "../Editor.ts"
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

export const debugging: Pick<Editor["Service"], "historyDebugger" | "debug" | "askDebugger"> = {
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
  askDebugger: (request, args) =>
    Effect.suspend(() => {
      const session = vscode.debug.activeDebugSession
      if (session?.type !== debugType) return Effect.void
      // A session that is ending answers nothing any more, and nobody needs it to.
      return Effect.ignore(Effect.tryPromise(() => Promise.resolve(session.customRequest(request, args))))
    })
}
