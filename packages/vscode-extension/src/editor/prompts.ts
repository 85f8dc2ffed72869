/** Questions, messages and progress. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as vscode from "vscode"
import type { Choice, Editor } from "../Editor.ts"
import { ask, unlinked } from "./bridge.ts"
import { themeIcon } from "./trees.ts"

const toItem = <A>(choice: Choice<A>): vscode.QuickPickItem & { readonly choice: Choice<A> } => ({
  label: choice.label,
  ...(choice.description === undefined ? {} : { description: choice.description }),
  ...(choice.detail === undefined ? {} : { detail: choice.detail }),
  ...(choice.icon === undefined ? {} : { iconPath: themeIcon(choice.icon) }),
  ...(choice.picked === undefined ? {} : { picked: choice.picked }),
  choice
})

type Service = Editor["Service"]

export const prompts = (
  log: vscode.LogOutputChannel
): Pick<
  Service,
  "pick" | "pickMany" | "input" | "confirm" | "inform" | "warn" | "progress" | "showLog" | "log" | "terminal"
> => ({
  pick: (title, choices, placeHolder) =>
    Effect.map(
      ask(() =>
        vscode.window.showQuickPick(choices.map(toItem), {
          title,
          matchOnDescription: true,
          matchOnDetail: true,
          ...(placeHolder === undefined ? {} : { placeHolder })
        })
      ),
      (item) => item?.choice.value
    ),
  pickMany: (title, choices) =>
    Effect.map(
      ask(() => vscode.window.showQuickPick(choices.map(toItem), { title, canPickMany: true })),
      (items) => items?.map(({ choice }) => choice.value)
    ),
  input: ({ placeholder, prompt, title, validate, value }) =>
    ask(() =>
      vscode.window.showInputBox({
        title,
        prompt: unlinked(prompt),
        ignoreFocusOut: true,
        ...(value === undefined ? {} : { value }),
        ...(placeholder === undefined ? {} : { placeHolder: placeholder }),
        ...(validate === undefined ? {} : { validateInput: (text: string) => unlinked(validate(text) ?? "") })
      })
    ),
  confirm: (question, detail, action) =>
    Effect.map(
      ask(() => vscode.window.showWarningMessage(unlinked(question), { modal: true, detail }, action)),
      (chosen) => chosen === action
    ),
  inform: (message, ...actions) =>
    ask(() => vscode.window.showInformationMessage(unlinked(message), ...actions)),
  warn: (message, ...actions) => ask(() => vscode.window.showWarningMessage(unlinked(message), ...actions)),
  progress: <A, E>(
    title: string,
    effect: Effect.Effect<A, E> | ((report: (message: string) => Effect.Effect<void>) => Effect.Effect<A, E>)
  ) =>
    Effect.flatMap(
      ask(() =>
        vscode.window.withProgress(
          { location: vscode.ProgressLocation.Notification, title: unlinked(title), cancellable: true },
          async (progress, token) => {
            const report = (message: string) =>
              Effect.sync(() => progress.report({ message: unlinked(message) }))
            const fiber = Effect.runFork(typeof effect === "function" ? effect(report) : effect)
            const listening = token.onCancellationRequested(() => Effect.runFork(Fiber.interrupt(fiber)))
            const exit = await Effect.runPromise(Fiber.await(fiber))
            listening.dispose()
            return exit
          }
        )
      ),
      (exit): Effect.Effect<A | undefined, E> =>
        Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? Effect.succeed(undefined) : exit
    ),
  terminal: (cwd, command) =>
    Effect.sync(() => {
      const made = vscode.window.createTerminal(cwd === undefined ? {} : { cwd })
      made.show()
      made.sendText(command, false)
    }),
  showLog: Effect.sync(() => log.show()),
  log: (level, message) => Effect.sync(() => log[level](message))
})
