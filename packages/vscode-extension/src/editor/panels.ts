/** Panels in editor tabs: a page with a strict policy, that is given nothing but plain messages. */
import * as Effect from "effect/Effect"
import * as Deferred from "effect/Deferred"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { randomBytes } from "node:crypto"
import * as vscode from "vscode"
import type { Editor, Panel, PanelKind } from "../Editor.ts"
import { disposable } from "./bridge.ts"

/** The page: its script and style come from the extension, and nothing else is loaded, run or connected to. */
const pageOf = (view: vscode.Webview, dist: vscode.Uri, script: string): string => {
  const nonce = randomBytes(16).toString("base64url")
  const uri = (name: string) => view.asWebviewUri(vscode.Uri.joinPath(dist, name)).toString()
  const policy = `default-src 'none'; script-src 'nonce-${nonce}'; style-src ${view.cspSource}; font-src ${view.cspSource}`
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="${uri(`${script}.css`)}">
<title>Waymark</title>
</head>
<body>
<script nonce="${nonce}" type="module" src="${uri(`${script}.js`)}"></script>
</body>
</html>`
}

const panelOf = (made: vscode.WebviewPanel, dist: vscode.Uri, script: string): Panel => {
  const queue = Effect.runSync(Queue.unbounded<unknown>())
  const closed = Deferred.makeUnsafe<void>()
  const listening = made.webview.onDidReceiveMessage(
    (message: unknown) => void Queue.offerUnsafe(queue, message)
  )
  made.onDidDispose(() => {
    listening.dispose()
    Deferred.doneUnsafe(closed, Effect.void)
  })
  made.webview.options = { enableScripts: true, localResourceRoots: [dist] }
  made.webview.html = pageOf(made.webview, dist, script)
  return {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- this is not that of a window
    post: (message) => Effect.promise(async () => void (await made.webview.postMessage(message))),
    messages: Stream.fromQueue(queue),
    setTitle: (title) => Effect.sync(() => void (made.title = title)),
    reveal: Effect.sync(() => made.reveal()),
    isInFront: () => made.active,
    closed: Deferred.await(closed)
  }
}

export const panels = (
  context: vscode.ExtensionContext,
  fork: (effect: Effect.Effect<void>) => void
): Pick<Editor["Service"], "panels" | "openPanel"> => {
  const dist = vscode.Uri.joinPath(context.extensionUri, "dist")
  // A picture in a tab does not take the colour of the text beside it.
  const picture = (theme: string) => vscode.Uri.joinPath(context.extensionUri, "media", `tab-${theme}.svg`)
  const icon = { light: picture("light"), dark: picture("dark") }
  return {
    panels: ({ script, serve, type }) =>
      disposable(() =>
        vscode.window.registerWebviewPanelSerializer(type, {
          deserializeWebviewPanel: async (made, state: unknown) => {
            made.iconPath = icon
            fork(serve(panelOf(made, dist, script), state))
          }
        })
      ),
    openPanel: ({ script, type }: PanelKind, title) =>
      Effect.sync(() => {
        const made = vscode.window.createWebviewPanel(type, title, vscode.ViewColumn.Active, {
          enableScripts: true,
          localResourceRoots: [dist]
        })
        made.iconPath = icon
        return panelOf(made, dist, script)
      })
  }
}
