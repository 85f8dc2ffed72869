/** What has to hold of the journals of a scenario, whatever happened. */
import { assert } from "@effect/vitest"
import type { Event } from "@waymark/core/Event"
import type * as CrashExplorer from "../src/CrashExplorer.ts"
import { endings, expectConsumedOnce } from "./engineWaiting.ts"

/** How a run ended: whoever takes up a run that has ended may say so afterwards. */
export const lastOf = (journal: ReadonlyArray<Event>): Event =>
  journal.findLast(({ kind }) => kind !== "claimed" && kind !== "commandIgnored" && kind !== "delivered")!

/** The calls that a run did and that can be undone, in the order in which they succeeded, by where they began. */
const undoable = (journal: ReadonlyArray<Event>): ReadonlyArray<number> => {
  const begun = new Map<string, number>()
  const done: Array<number> = []
  for (const event of journal) {
    const place =
      "call" in event ? JSON.stringify(["branch" in event ? event.branch : "", event.visit, event.call]) : ""
    if (event.kind === "callStarted" && event.undoable !== undefined) begun.set(place, event.seq)
    if (event.kind === "callCompleted" && begun.has(place)) done.push(begun.get(place)!)
  }
  return done
}

/** A run that failed or was cancelled has undone all that it did, the last first; any other has undone nothing. */
export const expectUndone = (
  journal: ReadonlyArray<Event>,
  executions: ReadonlyArray<CrashExplorer.Execution>
): void => {
  const { kind, run } = lastOf(journal)
  const did = undoable(journal)
  const undone = journal.flatMap((event) => (event.kind === "compensationCompleted" ? [event.of] : []))
  if (kind !== "failed" && kind !== "cancelled")
    return assert.deepStrictEqual(undone, [], `run ${run} undid something`)
  assert.deepStrictEqual(
    undone.filter((of) => did.includes(of)),
    [...did].reverse(),
    `what run ${run} did, by where it began, is undone in reverse order`
  )
  for (const of of did) {
    const { key } = journal[of] as Extract<Event, { kind: "callStarted" }>
    const isDone = executions.some(({ result, undoes }) => undoes === key && result === "succeeded")
    assert.isTrue(isDone, `nobody undid the call of run ${run} at seq ${of}`)
  }
  assert.strictEqual(new Set(undone).size, undone.length, `run ${run} undid something twice`)
  // What nobody knows of may have taken effect, and is named.
  const last = lastOf(journal)
  const named = "undone" in last ? (last.undone ?? []) : []
  for (const { inDoubt, started } of named) {
    assert.isTrue(inDoubt, `run ${run} could not undo the call at seq ${started}`)
    assert.notInclude(did, started)
  }
}

/** Waits end once, kept signals count once, commands count once, and what was sent has arrived once. */
export const expectOnce = (journal: ReadonlyArray<Event>): void => {
  const run = journal[0]!.run
  endings(journal)
  expectConsumedOnce(journal)
  const answered = journal.flatMap((event) =>
    "command" in event && event.command !== undefined
      ? [`${event.command.source} ${event.command.position}`]
      : []
  )
  assert.strictEqual(new Set(answered).size, answered.length, `run ${run} carried out a command twice`)
  const sent = journal.flatMap((event) => (event.kind === "sent" ? [event.message] : []))
  const delivered = journal.flatMap((event) => (event.kind === "delivered" ? [event.message] : []))
  assert.deepStrictEqual(
    [...delivered].sort(),
    [...sent].sort(),
    `what run ${run} sent has arrived, once each`
  )
}
