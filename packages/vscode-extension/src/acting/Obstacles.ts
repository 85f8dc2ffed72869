/**
 * What stands in the way of acting: a workspace that is not trusted, a project that is not complete. It is said with what to
 * do about it, and a button that leads there.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Editor } from "../Editor.ts"
import { init, install, NoProject } from "./Project.ts"

type Service = Editor["Service"]

interface Remedy {
  readonly title: string
  readonly apply: (editor: Service) => Effect.Effect<unknown>
}

const trust: Remedy = {
  title: "Manage Workspace Trust",
  apply: ({ execute }) => execute("workbench.trust.manage")
}

/** Somebody else's code is only executed by who sees what it is: the command is typed, and not sent. */
const typed = (title: string, folder: string | undefined, command: string): Remedy => ({
  title,
  apply: ({ terminal }) => terminal(folder, command)
})

const setting: Remedy = {
  title: "Open the Setting",
  apply: ({ execute }) => execute("workbench.action.openSettings", "waymark.node")
}

const remedyOf = ({ reason }: NoProject): Remedy => {
  switch (reason._tag) {
    case "Untrusted":
      return trust
    case "NoConfig":
      return typed("Make One in a Terminal", reason.folder, init)
    case "NoCommand":
    case "BrokenCommand":
      return typed("Install It in a Terminal", reason.folder, install)
    case "NoNode":
    case "OldNode":
      return setting
  }
}

const offer = (editor: Service, message: string, { apply, title }: Remedy) => {
  const asking = Effect.flatMap(editor.warn(message, title), (chosen) =>
    chosen === undefined ? Effect.void : Effect.asVoid(apply(editor))
  )
  // A message is not waited for.
  return Effect.asVoid(Effect.forkDetach(asking))
}

/** Says why something cannot be done with the project of a store: `what` is that, as a sentence without its end. */
export const tell = (editor: Service, what: string, problem: NoProject): Effect.Effect<void> =>
  offer(editor, `${what}: ${problem.message}.`, remedyOf(problem))

/** Does something in a workspace that is trusted; says so in another, and what is missing where the project is not complete. */
export const inTrust = <E>(
  editor: Service,
  what: string,
  body: Effect.Effect<unknown, E>
): Effect.Effect<void, E> =>
  Effect.flatMap(editor.isTrusted, (isTrusted): Effect.Effect<void, E> => {
    if (!isTrusted)
      return offer(
        editor,
        "This workspace is not trusted: its runs are only shown, and none of its code is executed.",
        trust
      )
    return Effect.catch(Effect.asVoid(body), (error) =>
      Schema.is(NoProject)(error) ? tell(editor, what, error) : Effect.fail(error)
    )
  })
