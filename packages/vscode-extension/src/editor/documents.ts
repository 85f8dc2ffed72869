/** Documents of the extension's own scheme, source files, code lenses. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as vscode from "vscode"
import type { CodeLens, DocumentRef, Editor } from "../Editor.ts"
import { attempt, disposable } from "./bridge.ts"

/** The scheme of the documents: read only, since nobody writes them. */
export const scheme = "waymark"

/** The scheme of those that are written here. */
export const draftScheme = "waymark-draft"

export const uriOf = ({ draft, query, title }: DocumentRef): vscode.Uri =>
  vscode.Uri.from({ scheme: draft === true ? draftScheme : scheme, path: `/${title}`, query })

type Service = Editor["Service"]

const lensesOf = (provided: Effect.Effect<ReadonlyArray<CodeLens>>): Promise<Array<vscode.CodeLens>> =>
  Effect.runPromise(
    Effect.map(provided, (lenses) =>
      lenses.map(({ arguments: args, command, line, title }) => {
        const at = new vscode.Position(line - 1, 0)
        return new vscode.CodeLens(new vscode.Range(at, at), { title, command, arguments: [...args] })
      })
    )
  )

export const documents: Pick<
  Service,
  "documents" | "showDocument" | "showDiff" | "showFile" | "codeLenses" | "draftLenses"
> = {
  documents: (provide, changed) =>
    Effect.gen(function* () {
      const stale = new vscode.EventEmitter<vscode.Uri>()
      yield* disposable(() => stale)
      /** What was asked for, and whether it has changed since: the editor is deaf to that until a document is open. */
      const provided = new Map<string, boolean>()
      yield* disposable(() =>
        vscode.workspace.registerTextDocumentContentProvider(scheme, {
          onDidChange: stale.event,
          provideTextDocumentContent: (uri) => {
            provided.set(uri.query, false)
            return Effect.runPromise(provide(uri.query))
          }
        })
      )
      yield* disposable(() =>
        vscode.workspace.onDidOpenTextDocument(({ uri }) => {
          if (uri.scheme === scheme && provided.get(uri.query) === true) stale.fire(uri)
        })
      )
      yield* disposable(() =>
        vscode.workspace.onDidCloseTextDocument(({ uri }) => {
          if (uri.scheme === scheme) provided.delete(uri.query)
        })
      )
      yield* Effect.forkScoped(
        Stream.runForEach(changed, (isStale) =>
          Effect.sync(() => {
            for (const query of provided.keys()) if (isStale(query)) provided.set(query, true)
            for (const { uri } of vscode.workspace.textDocuments)
              if (uri.scheme === scheme && isStale(uri.query)) stale.fire(uri)
          })
        )
      )
    }),
  // Not by opening a document first: between that and showing it, the editor may have let go of it again.
  showDocument: (document, beside = false) =>
    Effect.asVoid(
      attempt(`show ${document.title}`, () =>
        vscode.commands.executeCommand("vscode.open", uriOf(document), {
          preview: true,
          preserveFocus: beside,
          viewColumn: beside ? vscode.ViewColumn.Beside : vscode.ViewColumn.Active
        } satisfies vscode.TextDocumentShowOptions)
      )
    ),
  showDiff: (left, right, title) =>
    Effect.asVoid(
      attempt(`compare ${left.title} and ${right.title}`, () =>
        vscode.commands.executeCommand("vscode.diff", uriOf(left), uriOf(right), title, { preview: true })
      )
    ),
  showFile: ({ column = 1, file, line }, options) =>
    Effect.asVoid(
      attempt(`show ${file}`, async () => {
        const document = await vscode.workspace.openTextDocument(vscode.Uri.file(file))
        const at = new vscode.Position(Math.max(0, line - 1), Math.max(0, column - 1))
        await vscode.window.showTextDocument(document, {
          preview: true,
          preserveFocus: options?.keepFocus ?? false,
          selection: new vscode.Range(at, at)
        })
      })
    ),
  codeLenses: (provide, changed) =>
    Effect.gen(function* () {
      const stale = new vscode.EventEmitter<void>()
      yield* disposable(() => stale)
      const selector = [
        { language: "typescript", scheme: "file" },
        { language: "typescriptreact", scheme: "file" },
        { language: "javascript", scheme: "file" }
      ]
      yield* disposable(() =>
        vscode.languages.registerCodeLensProvider(selector, {
          onDidChangeCodeLenses: stale.event,
          provideCodeLenses: (document) => lensesOf(provide(document.uri.fsPath, document.getText()))
        })
      )
      yield* Effect.forkScoped(Stream.runForEach(changed, () => Effect.sync(() => stale.fire())))
    }),
  draftLenses: (provide) =>
    disposable(() =>
      vscode.languages.registerCodeLensProvider(
        { scheme: draftScheme },
        { provideCodeLenses: ({ uri }) => lensesOf(provide(uri.query)) }
      )
    )
}
