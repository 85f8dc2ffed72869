/** Folders, files, settings and trust. */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as vscode from "vscode"
import type { Editor } from "../Editor.ts"
import { ask, attempt, disposable, eventStream } from "./bridge.ts"

type Service = Editor["Service"]

const fileChanges = (glob: string): Stream.Stream<vscode.Uri> =>
  Stream.callback<vscode.Uri>((queue) =>
    Effect.gen(function* () {
      // Created and deleted: a store that only grows is followed through the store itself.
      const watcher = yield* Effect.acquireRelease(
        Effect.sync(() => vscode.workspace.createFileSystemWatcher(glob, false, true, false)),
        (made) => Effect.sync(() => void made.dispose())
      )
      const offer = (uri: vscode.Uri) => void Queue.offerUnsafe(queue, uri)
      yield* disposable(() => watcher.onDidCreate(offer))
      yield* disposable(() => watcher.onDidDelete(offer))
    })
  )

export const workspace: Pick<
  Service,
  "folders" | "isTrusted" | "findFiles" | "textOf" | "setting" | "saved" | "workspaceChanges" | "textCursor"
> = {
  folders: Effect.sync(() =>
    (vscode.workspace.workspaceFolders ?? [])
      .filter(({ uri }) => uri.scheme === "file")
      .map(({ uri }) => uri.fsPath)
  ),
  isTrusted: Effect.sync(() => vscode.workspace.isTrusted),
  findFiles: (glob, most) =>
    Effect.map(
      ask(() => vscode.workspace.findFiles(glob, "**/node_modules/**", most)),
      (uris) => uris.map(({ fsPath }) => fsPath)
    ),
  textOf: (file) =>
    Effect.map(
      attempt(`read ${file}`, () => vscode.workspace.openTextDocument(file)),
      (document) => document.getText()
    ),
  setting: (key) => Effect.sync(() => vscode.workspace.getConfiguration("waymark").get(key)),
  saved: eventStream(vscode.workspace.onDidSaveTextDocument).pipe(
    Stream.filter(({ uri }) => uri.scheme === "file"),
    Stream.map(({ uri }) => uri.fsPath)
  ),
  workspaceChanges: (globs) =>
    Stream.mergeAll(
      [
        eventStream<unknown>(
          vscode.workspace.onDidChangeWorkspaceFolders,
          vscode.workspace.onDidGrantWorkspaceTrust
        ),
        eventStream(vscode.workspace.onDidChangeConfiguration).pipe(
          Stream.filter((event) => event.affectsConfiguration("waymark"))
        ),
        ...globs.map((glob) => fileChanges(glob))
      ],
      { concurrency: "unbounded" }
    ).pipe(Stream.map(() => undefined)),
  textCursor: Effect.sync(() => {
    const editor = vscode.window.activeTextEditor
    if (editor === undefined || editor.document.uri.scheme !== "file") return undefined
    const { active } = editor.selection
    return { file: editor.document.uri.fsPath, line: active.line + 1, column: active.character + 1 }
  })
}
