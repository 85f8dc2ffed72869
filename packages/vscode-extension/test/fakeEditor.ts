/** An editor without a window: what it is asked is recorded, and answered as a test says. */
import { Effect, Layer, Stream } from "effect"
import { Editor } from "../src/Editor.ts"
import type { Choice, CodeLens, DocumentRef, InputOptions } from "../src/Editor.ts"

type Service = Editor["Service"]

export interface Answers {
  readonly folders?: ReadonlyArray<string>
  readonly trusted?: boolean
  /** The source files of the workspace. */
  readonly files?: ReadonlyArray<string>
  readonly settings?: { readonly [key: string]: unknown }
  /** What to choose from, by label; nothing is chosen by default. */
  readonly pick?: (title: string, choices: ReadonlyArray<Choice<unknown>>) => unknown
  readonly input?: (options: InputOptions) => string | undefined
  readonly confirm?: (question: string, detail: string, action: string) => boolean
  /** Which button of a message is pressed. */
  readonly press?: (message: string, actions: ReadonlyArray<string>) => string | undefined
  /** What stands in a draft. */
  readonly draft?: (initial: string) => string
  readonly saved?: Stream.Stream<string>
  /** The folder of the extension's own; there is none by default. */
  readonly storage?: string
}

export interface FakeEditor {
  readonly layer: Layer.Layer<Editor>
  /** Messages and questions, and the titles of documents and comparisons, in their order. */
  readonly said: ReadonlyArray<string>
  /** The first message that is like this, as soon as there is one. */
  readonly heard: (pattern: RegExp) => Effect.Effect<string>
  readonly logged: ReadonlyArray<string>
  readonly run: (command: string, argument?: unknown) => Effect.Effect<void, Error>
  readonly textOf: (document: DocumentRef) => Effect.Effect<string>
  /** Waits until a draft is told to be read again. */
  readonly outdated: (document: DocumentRef) => Effect.Effect<void>
  /** What stands above lines of a draft. */
  readonly lensesOf: (document: DocumentRef) => Effect.Effect<ReadonlyArray<CodeLens>>
}

export const fakeEditor = (answers: Answers = {}): FakeEditor => {
  const said: Array<string> = []
  const logged: Array<string> = []
  const commands = new Map<string, Parameters<Service["command"]>[1]>()
  let provide: Parameters<Service["drafts"]>[0] = () => Effect.succeed("")
  let kept: Parameters<Service["drafts"]>[3] | undefined
  const stale: Array<(query: string) => boolean> = []
  let lenses: Parameters<Service["draftLenses"]>[0] = () => Effect.succeed([])
  const say = (text: string) => Effect.sync(() => void said.push(text))
  const message = (text: string, actions: ReadonlyArray<string>) =>
    Effect.as(say(text), answers.press?.(text, actions))
  const execute: FakeEditor["run"] = (command, argument) =>
    Effect.suspend(() => {
      const handler = commands.get(command)
      if (handler === undefined) return Effect.die(new Error(`there is no command ${command}`))
      return Effect.asVoid(handler(argument)) as Effect.Effect<void, Error>
    })
  const service: Partial<Service> = {
    folders: Effect.succeed(answers.folders ?? []),
    isTrusted: Effect.succeed(answers.trusted ?? true),
    findFiles: () => Effect.succeed(answers.files ?? []),
    setting: (key) => Effect.succeed(answers.settings?.[key]),
    saved: answers.saved ?? Stream.never,
    command: (id, handler) => Effect.sync(() => void commands.set(id, handler)),
    // Those of the editor itself are only recorded.
    execute: (command, argument) =>
      command.startsWith("workbench.")
        ? say(`${command} ${typeof argument === "string" ? argument : ""}`.trim())
        : Effect.orDie(execute(command, argument)),
    storage: answers.storage,
    drafts: (provided, isFixed, changed, keeping) =>
      Effect.andThen(
        Effect.sync(() => {
          kept = keeping
          provide = (query) =>
            Effect.gen(function* () {
              const saved = isFixed(query) ? undefined : yield* Effect.orDie(keeping.read(query))
              return saved === undefined ? yield* provided(query) : new TextDecoder().decode(saved.bytes)
            })
        }),
        Effect.forkScoped(
          Stream.runForEach(changed, (isStale) => Effect.sync(() => void stale.push(isStale)))
        )
      ),
    draftLenses: (provided) => Effect.sync(() => void (lenses = provided)),
    draftText: ({ query }) =>
      Effect.gen(function* () {
        const before = yield* provide(query)
        const text = answers.draft?.(before) ?? before
        if (text !== before) yield* Effect.orDie(kept!.write(query, new TextEncoder().encode(text)))
        return text
      }),
    draftInFront: Effect.undefined,
    addressOf: ({ query, title }) => `draft:/${title}?${query}`,
    showDocument: ({ title }) => say(`document ${title}`),
    showDiff: (_left, _right, title) => say(`diff ${title}`),
    showFile: ({ file }) => say(`file ${file}`),
    pick: (title, choices) => Effect.map(say(title), () => answers.pick?.(title, choices) as never),
    input: (options) => Effect.as(say(options.title), answers.input?.(options)),
    confirm: (question, detail, action) =>
      Effect.as(say(`${question}\n${detail}`), answers.confirm?.(question, detail, action) ?? false),
    inform: (text, ...actions) => message(text, actions),
    warn: (text, ...actions) => message(text, actions),
    progress: (_title, effect) => (typeof effect === "function" ? effect(() => Effect.void) : effect),
    showLog: Effect.void,
    terminal: (folder, command) => say(`terminal in ${folder ?? "-"}: ${command}`),
    log: (_level, text) => Effect.sync(() => void logged.push(text))
  }
  const heard = (pattern: RegExp): Effect.Effect<string> =>
    Effect.suspend(() => {
      const found = said.find((text) => pattern.test(text))
      return found === undefined
        ? Effect.andThen(Effect.sleep("5 millis"), heard(pattern))
        : Effect.succeed(found)
    })
  const outdated: FakeEditor["outdated"] = (document) =>
    Effect.suspend(() =>
      stale.some((isStale) => isStale(document.query))
        ? Effect.void
        : Effect.andThen(Effect.sleep("5 millis"), outdated(document))
    )
  return {
    heard,
    outdated,
    layer: Layer.succeed(Editor, service as Service),
    said,
    logged,
    run: execute,
    textOf: ({ query }) => Effect.suspend(() => provide(query)),
    lensesOf: ({ query }) => Effect.suspend(() => lenses(query))
  }
}
