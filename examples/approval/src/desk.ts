/**
 * Where a person answers: a prompt in the terminal. It needs no worker, and may run in another process or years later.
 */
import { Runs } from "@waymark/core"
import { Console, Effect } from "effect"
import { Prompt } from "effect/cli"
import { Purchase } from "./purchase.ts"

/** What the runs in the store ask this person, the oldest question first. */
export const questionsFor = Effect.fn("questionsFor")(function* (person: string) {
  const runs = yield* Runs.Runs
  const questions: Array<{ readonly run: string; readonly wait: string; readonly prompt: string }> = []
  let cursor: string | undefined
  do {
    const page = yield* runs.list({
      flow: Purchase.id,
      status: ["waiting"],
      order: "oldest",
      ...(cursor === undefined ? undefined : { cursor })
    })
    for (const { run } of page.runs) {
      const { waits } = yield* runs.stateAt(run)
      for (const [wait, { on }] of waits) {
        if (on.type !== "user" || on.name !== person || typeof on.prompt !== "string") continue
        questions.push({ run, wait, prompt: on.prompt })
      }
    }
    cursor = page.cursor
  } while (cursor !== undefined)
  return questions
})

type Choice =
  | { readonly verdict: "approve" }
  | { readonly verdict: "reject"; readonly reason: string }
  | "later"

const choices = [
  { title: "approve", value: { verdict: "approve" } },
  { title: "reject: too expensive", value: { verdict: "reject", reason: "it is too expensive" } },
  { title: "reject: not needed", value: { verdict: "reject", reason: "we do not need it" } },
  { title: "decide later", value: "later" }
] as const satisfies ReadonlyArray<{ readonly title: string; readonly value: Choice }>

/** Asks a person all that is asked of them; gives how many questions were answered. */
export const desk = Effect.fn("desk")(function* (person: string) {
  const runs = yield* Runs.Runs
  let answered = 0
  for (const { prompt, run, wait } of yield* questionsFor(person)) {
    const choice: Choice = yield* Prompt.run(Prompt.Select<Choice>({ message: prompt, choices }))
    if (choice === "later") continue
    yield* runs.answer(run, wait, choice, { actor: person, until: "applied" }).pipe(
      Effect.tap(() => Effect.sync(() => answered++)),
      // While the person was thinking, the question was asked again, or somebody else.
      Effect.catchTag("CommandRefused", ({ message }) => Console.log(`That came too late: ${message}`))
    )
  }
  return answered
})
