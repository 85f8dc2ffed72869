/** Documents that are written in the editor: a file system of a scheme of their own. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as vscode from "vscode"
import type { Editor, KeptDraft } from "../Editor.ts"
import { ask, disposable } from "./bridge.ts"
import { draftScheme, uriOf } from "./documents.ts"

/**
 * A document's address from another one. The JSON extension notices that a schema has changed only if nothing in its address
 * is encoded, so what the document is stands in the name.
 */
const addressOf = (query: string): vscode.Uri =>
  vscode.Uri.from({ scheme: draftScheme, path: `/${Buffer.from(query).toString("base64url")}.json` })

/** What a document is: by the query, or by the name. */
const queryOf = ({ path, query }: vscode.Uri): string =>
  query === "" ? Buffer.from(path.slice(1, -".json".length), "base64url").toString() : query

type Kept = Parameters<Editor["Service"]["drafts"]>[3]

/** Drafts that were saved, in this window or before it was loaded; the others are as they are provided. */
class Drafts implements vscode.FileSystemProvider {
  /** Until the window closes: also what is no longer kept. */
  readonly #saved = new Map<string, KeptDraft>()
  readonly #provide: (query: string) => Promise<string>
  readonly #isFixed: (query: string) => boolean
  readonly #kept: Kept
  /** What was asked for, by address: it may be on its way to a document that is not open yet. */
  readonly given = new Map<string, vscode.Uri>()
  /** Grows when what is provided may have changed: the editor reads again what has another time. */
  generation = 0
  readonly changed = new vscode.EventEmitter<Array<vscode.FileChangeEvent>>()
  readonly onDidChangeFile = this.changed.event
  constructor(provide: (query: string) => Promise<string>, isFixed: (query: string) => boolean, kept: Kept) {
    this.#provide = provide
    this.#isFixed = isFixed
    this.#kept = kept
  }
  async #savedOf(uri: vscode.Uri): Promise<KeptDraft | undefined> {
    const address = uri.toString()
    if (this.#saved.has(address) || this.#isFixed(queryOf(uri))) return this.#saved.get(address)
    const kept = await Effect.runPromise(this.#kept.read(queryOf(uri)))
    // It may have been saved meanwhile.
    if (kept !== undefined && !this.#saved.has(address)) this.#saved.set(address, kept)
    return this.#saved.get(address)
  }
  watch(): vscode.Disposable {
    return new vscode.Disposable(() => {})
  }
  async readFile(uri: vscode.Uri): Promise<Uint8Array> {
    const address = uri.toString()
    this.given.set(address, uri)
    const saved = await this.#savedOf(uri)
    return saved?.bytes ?? new TextEncoder().encode(await this.#provide(queryOf(uri)))
  }
  async stat(uri: vscode.Uri): Promise<vscode.FileStat> {
    const saved = await this.#savedOf(uri)
    const size = (await this.readFile(uri)).byteLength
    const stat = { type: vscode.FileType.File, ctime: 0, mtime: saved?.time ?? this.generation, size }
    return this.#isFixed(queryOf(uri)) ? { ...stat, permissions: vscode.FilePermission.Readonly } : stat
  }
  async writeFile(uri: vscode.Uri, bytes: Uint8Array): Promise<void> {
    if (this.#isFixed(queryOf(uri))) throw vscode.FileSystemError.NoPermissions(uri)
    const time = await Effect.runPromise(this.#kept.write(queryOf(uri), bytes))
    this.#saved.set(uri.toString(), { bytes, time })
    this.changed.fire([{ type: vscode.FileChangeType.Changed, uri }])
  }
  readDirectory(): Array<[string, vscode.FileType]> {
    return []
  }
  createDirectory(uri: vscode.Uri): void {
    throw vscode.FileSystemError.NoPermissions(uri)
  }
  delete(uri: vscode.Uri): void {
    throw vscode.FileSystemError.NoPermissions(uri)
  }
  rename(uri: vscode.Uri): void {
    throw vscode.FileSystemError.NoPermissions(uri)
  }
}

type Service = Editor["Service"]

export const drafts: Pick<Service, "drafts" | "draftText" | "draftInFront" | "addressOf"> = {
  drafts: (provide, isFixed, changed, kept) =>
    Effect.gen(function* () {
      const provider = new Drafts((query) => Effect.runPromise(provide(query)), isFixed, kept)
      yield* disposable(() => provider.changed)
      yield* disposable(() =>
        vscode.workspace.registerFileSystemProvider(draftScheme, provider, { isCaseSensitive: true })
      )
      yield* Effect.forkScoped(
        Stream.runForEach(changed, (isStale) =>
          Effect.sync(() => {
            const stale = [...provider.given.values()].filter(
              (uri) => isFixed(queryOf(uri)) && isStale(queryOf(uri))
            )
            provider.generation++
            provider.changed.fire(stale.map((uri) => ({ type: vscode.FileChangeType.Changed, uri })))
          })
        )
      )
    }),
  draftText: (document) =>
    ask(async () => {
      const wanted = uriOf(document).toString()
      const open = vscode.workspace.textDocuments.find(({ uri }) => uri.toString() === wanted)
      if (open === undefined) return undefined
      await open.save()
      return open.getText()
    }),
  draftInFront: Effect.sync(() => {
    const uri = vscode.window.activeTextEditor?.document.uri
    return uri?.scheme === draftScheme ? uri.query : undefined
  }),
  addressOf: ({ query }) => addressOf(query).toString()
}
