/**
 * What the extension needs of the editor, in terms of its own: the one port to it. `editor/layer.ts` implements it with
 * the API of VS Code, and nothing else imports that API.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { DebugProtocol } from "@vscode/debugprotocol"
import type { Icon } from "./reading/Status.ts"
import type { Model } from "./reading/Tree.ts"

/**
 * A document of the extension's own: `title` is what its tab is called, `query` what it is. It is read only, or one of the
 * drafts.
 */
export interface DocumentRef {
  readonly title: string
  readonly query: string
  readonly draft?: true
}

/** A place in a file. Lines and columns count from 1. */
export interface FilePlace {
  readonly file: string
  readonly line: number
  readonly column?: number
}

export interface Choice<A> {
  readonly label: string
  readonly description?: string
  readonly detail?: string
  readonly icon?: Icon
  readonly picked?: boolean
  readonly value: A
}

export interface InputOptions {
  readonly title: string
  readonly prompt: string
  readonly value?: string
  readonly placeholder?: string
  /** What is wrong with a text, while it is typed. */
  readonly validate?: (text: string) => string | undefined
}

export interface TreeHandle<Node> {
  /** Draws again what has changed. */
  readonly refresh: Effect.Effect<void>
  readonly setMessage: (message: string | undefined) => Effect.Effect<void>
  readonly setDescription: (text: string | undefined) => Effect.Effect<void>
  readonly setBadge: (count: number, tooltip: string) => Effect.Effect<void>
  readonly reveal: (node: Node) => Effect.Effect<void>
}

/** A panel in an editor tab. Messages are plain data, checked by whoever takes them. */
export interface Panel {
  readonly post: (message: unknown) => Effect.Effect<void>
  readonly messages: Stream.Stream<unknown>
  readonly setTitle: (title: string) => Effect.Effect<void>
  readonly reveal: Effect.Effect<void>
  /** Whether it is the editor in front. */
  readonly isInFront: () => boolean
  readonly closed: Effect.Effect<void>
}

/** What a panel is restored from after a restart. */
export interface PanelKind {
  readonly type: string
  /** The name of the bundled script and style, without an extension. */
  readonly script: string
  /** Takes care of a panel that was opened, or restored with the state that its page kept. */
  readonly serve: (panel: Panel, state: unknown) => Effect.Effect<void>
}

/** A session of the history debugger, as the editor talks to it. */
export interface DebugSession {
  readonly handle: (message: DebugProtocol.Request) => void
  readonly close: () => void
}

/** Attributes of a launch configuration. */
export interface LaunchConfiguration {
  readonly [key: string]: unknown
}

/** What becomes of launch configurations of the extension's debug type. */
export interface Launcher {
  /** What is launched for one, which may be of another type; nothing if there is nothing to launch. */
  readonly resolve: (given: LaunchConfiguration) => Effect.Effect<LaunchConfiguration | undefined, unknown>
  /** Those that can be chosen without having been written. */
  readonly offered: Effect.Effect<ReadonlyArray<LaunchConfiguration>, unknown>
  /** Is told when a session that it resolved to another type has ended, with what was printed on standard error. */
  readonly ended: (configuration: LaunchConfiguration, printed: string) => Effect.Effect<void>
}

export interface CodeLens {
  readonly line: number
  readonly title: string
  readonly command: string
  readonly arguments: ReadonlyArray<unknown>
}

/** A draft as it was saved, at a time in milliseconds since 1970. */
export interface KeptDraft {
  readonly bytes: Uint8Array
  readonly time: number
}

/** Something that the editor was asked for did not work. */
export class EditorError extends Schema.TaggedError<EditorError>()("EditorError", {
  what: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `the editor could not ${this.what}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

type Registered = Effect.Effect<void, never, Scope.Scope>

export class Editor extends Context.Service<
  Editor,
  {
    // the workspace
    readonly folders: Effect.Effect<ReadonlyArray<string>>
    readonly isTrusted: Effect.Effect<boolean>
    /** Files of the workspace that match a glob, except for those of `node_modules`. */
    readonly findFiles: (glob: string, most: number) => Effect.Effect<ReadonlyArray<string>>
    /** The text of a file as the editor has it, also while it is not saved. */
    readonly textOf: (file: string) => Effect.Effect<string, EditorError>
    readonly setting: (key: string) => Effect.Effect<unknown>
    /** Files that are saved in this window. */
    readonly saved: Stream.Stream<string>
    /** What may change which stores there are: folders, settings, trust, files that match one of the globs. */
    readonly workspaceChanges: (globs: ReadonlyArray<string>) => Stream.Stream<void>

    // commands and trees
    readonly command: (
      id: string,
      handler: (...args: ReadonlyArray<unknown>) => Effect.Effect<unknown, unknown>
    ) => Registered
    readonly execute: (command: string, ...args: ReadonlyArray<unknown>) => Effect.Effect<void>
    readonly setContext: (key: string, value: unknown) => Effect.Effect<void>
    readonly tree: <Node extends object>(
      id: string,
      model: Model<Node>
    ) => Effect.Effect<TreeHandle<Node>, never, Scope.Scope>

    // documents
    readonly documents: (
      provide: (query: string) => Effect.Effect<string>,
      changed: Stream.Stream<(query: string) => boolean>
    ) => Registered
    /**
     * Documents that are written in the editor. `provide` makes the text that one begins with; those that `isFixed` can only
     * be read. What is saved of the others is given to `kept`, which has it when the window is loaded again.
     */
    readonly drafts: (
      provide: (query: string) => Effect.Effect<string>,
      isFixed: (query: string) => boolean,
      changed: Stream.Stream<(query: string) => boolean>,
      kept: {
        readonly read: (query: string) => Effect.Effect<KeptDraft | undefined, Error>
        readonly write: (query: string, bytes: Uint8Array) => Effect.Effect<number, Error>
      }
    ) => Registered
    /** What stands in a draft that is open, saved or not; it counts as saved then. */
    readonly draftText: (document: DocumentRef) => Effect.Effect<string | undefined>
    /** The query of the draft that is in front. */
    readonly draftInFront: Effect.Effect<string | undefined>
    /** How a draft, or what belongs to one, is named where one refers to another. */
    readonly addressOf: (document: DocumentRef) => string
    readonly showDocument: (document: DocumentRef, beside?: boolean) => Effect.Effect<void, EditorError>
    readonly showDiff: (
      left: DocumentRef,
      right: DocumentRef,
      title: string
    ) => Effect.Effect<void, EditorError>
    readonly showFile: (
      place: FilePlace,
      options?: { readonly keepFocus?: boolean }
    ) => Effect.Effect<void, EditorError>
    readonly codeLenses: (
      provide: (file: string, text: string) => Effect.Effect<ReadonlyArray<CodeLens>>,
      changed: Stream.Stream<void>
    ) => Registered
    /** What stands above lines of drafts, and of what belongs to them. */
    readonly draftLenses: (provide: (query: string) => Effect.Effect<ReadonlyArray<CodeLens>>) => Registered
    /** Where the cursor of the text editor in front is. */
    readonly textCursor: Effect.Effect<FilePlace | undefined>

    // talking to the person
    readonly pick: <A>(
      title: string,
      choices: ReadonlyArray<Choice<A>>,
      placeholder?: string
    ) => Effect.Effect<A | undefined>
    readonly pickMany: <A>(
      title: string,
      choices: ReadonlyArray<Choice<A>>
    ) => Effect.Effect<ReadonlyArray<A> | undefined>
    readonly input: (options: InputOptions) => Effect.Effect<string | undefined>
    /** Asks in a dialog before something is done: `action` is what the button says. */
    readonly confirm: (question: string, detail: string, action: string) => Effect.Effect<boolean>
    readonly inform: (message: string, ...actions: ReadonlyArray<string>) => Effect.Effect<string | undefined>
    readonly warn: (message: string, ...actions: ReadonlyArray<string>) => Effect.Effect<string | undefined>
    /**
     * Shows progress, with a way to stop it, while an effect runs, which may say how far it is. Stopped, it gives
     * `undefined`.
     */
    readonly progress: <A, E>(
      title: string,
      effect:
        | Effect.Effect<A, E>
        | ((report: (message: string) => Effect.Effect<void>) => Effect.Effect<A, E>)
    ) => Effect.Effect<A | undefined, E>
    readonly showLog: Effect.Effect<void>
    /** Opens a terminal in a folder, or the first one, with a command typed into it that nobody has sent yet. */
    readonly terminal: (folder: string | undefined, command: string) => Effect.Effect<void>
    readonly log: (level: "info" | "warn" | "error", message: string) => Effect.Effect<void>

    // panels and debugging
    readonly panels: (kind: PanelKind) => Registered
    readonly openPanel: (kind: PanelKind, title: string) => Effect.Effect<Panel>
    readonly historyDebugger: (
      open: (
        configuration: { readonly [key: string]: unknown },
        send: (message: DebugProtocol.Response | DebugProtocol.Event) => void
      ) => DebugSession
    ) => Registered
    readonly debug: (configuration: {
      readonly [key: string]: unknown
      readonly name: string
    }) => Effect.Effect<boolean>
    readonly launcher: (launcher: Launcher) => Registered
    /** Sets a breakpoint, unless there is one between it and a last line. The effect that it gives takes it away again. */
    readonly breakpoint: (place: FilePlace, last: number) => Effect.Effect<Effect.Effect<void>>
    /** Sends a request of its own to the session of the history debugger that is in front, if there is one. */
    readonly askDebugger: (request: string, args: unknown) => Effect.Effect<void>
    /** A folder of the extension's own for this workspace, which is perhaps not there yet; none if no folder is open. */
    readonly storage: string | undefined
    /** The folder of the installed extension. */
    readonly installed: (...path: ReadonlyArray<string>) => string
  }
>()("waymark-vscode/Editor") {}
