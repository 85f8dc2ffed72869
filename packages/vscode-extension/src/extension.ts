/**
 * The extension: puts its layers together, and takes them down.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as vscode from "vscode"
import * as Acting from "./acting/Acting.ts"
import * as Debugging from "./debugging/Debugging.ts"
import * as Launching from "./debugging/Launching.ts"
import { textOf } from "./editor/bridge.ts"
import * as EditorLayer from "./editor/layer.ts"
import * as Cursor from "./faces/Cursor.ts"
import * as Discovery from "./faces/Discovery.ts"
import * as DocumentViews from "./faces/DocumentViews.ts"
import * as RunViews from "./faces/RunViews.ts"
import * as RunPanel from "./panel/RunPanel.ts"
import * as Stores from "./reading/Stores.ts"
import * as Sources from "./source/Sources.ts"

let runtime: ManagedRuntime.ManagedRuntime<never, never> | undefined

const layerOf = (context: vscode.ExtensionContext, log: vscode.LogOutputChannel) =>
  Layer.mergeAll(
    Discovery.layer,
    RunViews.layer,
    DocumentViews.layer,
    Acting.layer,
    RunPanel.layer,
    Launching.layer
  ).pipe(
    Layer.provide([Debugging.layer, Acting.layerWorkers]),
    Layer.provide([Cursor.layer, Stores.layer, Sources.layer]),
    Layer.provide(Stores.StoreLayers.layerHost((file) => context.asAbsolutePath(`dist/${file}`))),
    Layer.provide(EditorLayer.layer(context, log)),
    Layer.provide(Logger.layer([Logger.make(({ message }) => log.info(textOf(message)))]))
  )

/** Called by the editor when the extension is needed for the first time. */
export const activate = async (context: vscode.ExtensionContext): Promise<void> => {
  const log = vscode.window.createOutputChannel("Waymark", { log: true })
  context.subscriptions.push(log)
  runtime = ManagedRuntime.make(layerOf(context, log))
  await runtime.runPromise(Effect.void)
}

/** Called by the editor when it closes, or when the extension is disabled. */
export const deactivate = (): Promise<void> | undefined => runtime?.dispose()
