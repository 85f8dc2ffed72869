/** The editor port, by the API of VS Code. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Path from "node:path"
import * as vscode from "vscode"
import { Editor } from "../Editor.ts"
import { messageOf, unlinked } from "./bridge.ts"
import { debugging } from "./debugging.ts"
import { drafts } from "./drafts.ts"
import { documents } from "./documents.ts"
import { panels } from "./panels.ts"
import { prompts } from "./prompts.ts"
import { commands, tree } from "./trees.ts"
import { workspace } from "./workspace.ts"

/** `log` is the extension's output channel; what commands fail with is told there, and in a message. */
export const layer = (context: vscode.ExtensionContext, log: vscode.LogOutputChannel): Layer.Layer<Editor> =>
  Layer.effect(
    Editor,
    Effect.gen(function* () {
      const runFork = Effect.runForkWith(yield* Effect.context())
      const tell = (message: string): void => {
        log.error(message)
        void vscode.window.showErrorMessage(unlinked(message), "Show log").then((chosen) => {
          if (chosen !== undefined) log.show()
        })
      }
      const run = async (effect: Effect.Effect<unknown, unknown>): Promise<unknown> => {
        const exit = await Effect.runPromise(Effect.exit(effect))
        if (Exit.isSuccess(exit)) return exit.value
        tell(messageOf(exit.cause))
        return undefined
      }
      return Editor.of({
        ...workspace,
        ...commands(run),
        tree,
        ...documents,
        ...drafts,
        ...prompts(log),
        ...panels(context, (effect) => void runFork(effect)),
        ...debugging(run),
        storage: context.storageUri?.scheme === "file" ? context.storageUri.fsPath : undefined,
        installed: (...path) => Path.join(context.extensionPath, ...path)
      })
    })
  )
