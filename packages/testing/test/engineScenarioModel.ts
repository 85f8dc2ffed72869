/** What has to come of a script: a simple model of the order, and what holds of every journal. */
import { assert } from "@effect/vitest"
import type { Event, Failure } from "@waymark/core/Event"
import type { RunState } from "@waymark/core/RunState"
import { isTerminal } from "@waymark/core/RunInfo"
import * as HashMap from "effect/HashMap"
import { expectOnce, expectUndone, lastOf } from "./engineScenarioChecks.ts"
import * as Scenario from "./engineScenarioFlow.ts"
import type { Action, Played, Sent } from "./engineScenarioPlay.ts"

type Ended = Extract<Event, { kind: "completed" | "failed" | "cancelled" }>

/** What clients gave a run that counted, in the order of the journal. */
const given = (journal: ReadonlyArray<Event>, sent: ReadonlyArray<Sent>): ReadonlyArray<Action> =>
  journal.flatMap((event) => {
    if (event.kind === "commandIgnored" || !("command" in event) || event.command === undefined) return []
    const { id } = event.command
    return sent.flatMap((one) => (one.id === id ? [one.action] : []))
  })

const signals = (actions: ReadonlyArray<Action>, name: string): ReadonlyArray<number> =>
  actions.flatMap((action) => (action.do === "signal" && action.name === name ? [action.n] : []))

/** What the order comes to if nobody stops it, worked out from what it was given. */
const outputOf = (
  { failures: _, hangs, pages }: Scenario.Order,
  order: ReadonlyArray<Action>,
  part: ReadonlyArray<Action>
): ReadonlyArray<string> => {
  const [go] = signals(order, "go")
  const [paid] = signals(order, "paid")
  const [first, second] = signals(order, "extra")
  const [parcel] = signals(part, "parcel")
  const verdicts = order.flatMap((action) => (action.do === "answer" ? [action.verdict] : []))
  return [
    "begun",
    "stock is reserved",
    "truck is reserved",
    `go ${go}`,
    paid === undefined ? "unpaid" : `paid ${paid}`,
    ...Array.from({ length: pages }, (__, page) => `page ${page + 1}`),
    parcel! % 5 === 0 ? `sold out ${parcel}` : `parcel ${parcel}`,
    `extra ${first}`,
    `extra ${second}`,
    "crane is reserved",
    verdicts[0] === "ship" ? "ship" : "appeal",
    ...(hangs ? [] : ["printed"]),
    Scenario.receipt
  ]
}

/** Why a run may fail, and when. */
const expectFailure = (
  error: Failure,
  { failures }: Scenario.Order,
  at: RunState,
  isPartCancelled: boolean
): void => {
  switch (error.kind) {
    case "error":
      assert.strictEqual(error.tag, "Busy")
      return assert.isAtLeast(failures, Scenario.attempts, "the order fails only if the assessment does")
    case "timeout":
      assert.strictEqual(error.what, "run")
      return assert.isAtLeast(at.time, at.deadline!, "the order failed before its time")
    case "cancelled":
      return assert.isTrue(isPartCancelled, "nobody cancelled the run that it waits for")
    default:
      assert.fail(`the order failed: ${JSON.stringify(error)}`)
  }
}

/** A signal or an answer is ignored only if nothing waits for it, and nothing will. */
const expectWanted = (
  journal: ReadonlyArray<Event>,
  states: ReadonlyArray<RunState>,
  sent: ReadonlyArray<Sent>
): void => {
  for (const event of journal) {
    if (event.kind !== "commandIgnored") continue
    const action = sent.find(({ id }) => id === event.command?.id)?.action
    const before = states[event.seq - 1]!
    if (isTerminal(before.status) || before.status === "cancelling" || before.compensating !== undefined)
      continue
    if (action?.do !== "signal" && action?.do !== "answer") continue
    const name = action.do === "answer" ? "verdict" : action.name
    const isWaitedFor = [...HashMap.values(before.waits)].some(({ on }) => "name" in on && on.name === name)
    assert.isFalse(isWaitedFor || name === "extra", `${name} was ignored at seq ${event.seq}: ${event.note}`)
  }
}

/** Whatever clients were told was accepted stands in the journal, once. */
const expectAnswered = (journal: ReadonlyArray<Event>, sent: ReadonlyArray<Sent>): void => {
  const answered = journal.flatMap((event) =>
    "command" in event && event.command !== undefined ? [event.command.id] : []
  )
  assert.strictEqual(new Set(answered).size, answered.length, "a command counts twice")
  // To cancel what has ended is accepted, and comes to nothing.
  const told = sent.flatMap(({ action, answer, id }) =>
    answer === "accepted" && action.do !== "cancel" ? [id] : []
  )
  for (const id of told) assert.include(answered, id, "a command is lost")
}

const count = (journal: ReadonlyArray<Event>, kind: Event["kind"]): number =>
  journal.filter((event) => event.kind === kind).length

/** Throws if a script came to something that it must not come to. */
export const judge = ({ executions, problems, runs, script, sent, verified }: Played): void => {
  assert.deepStrictEqual(problems, [])
  const order = runs.get("r")!
  const of = (flow: string) => [...runs].filter(([run]) => run.startsWith(`${flow}-`))
  const [[partId, part] = [undefined, undefined], ...otherParts] = of("part")
  const [letter, ...otherLetters] = of("letter")
  assert.deepStrictEqual([...otherParts, ...otherLetters], [], "runs that nobody asked for")

  for (const [run, { journal, states }] of runs) {
    expectOnce(journal)
    expectUndone(journal, executions)
    const mine = sent.filter((one) => one.run === run)
    expectWanted(journal, states, mine)
    expectAnswered(journal, mine)
    assert.strictEqual(verified.get(run), journal.length - 1, `the whole journal of run ${run} is verified`)
  }

  const end = lastOf(order.journal) as Ended
  const got = given(order.journal, sent)
  const isCancelled = got.some((action) => action.do === "cancel")
  const partGot = part === undefined ? [] : given(part.journal, sent)
  const isPartCancelled = partGot.some((action) => action.do === "cancel")
  assert.strictEqual(count(order.journal, "cancelRequested"), isCancelled ? 1 : 0)
  switch (end.kind) {
    case "cancelled":
      assert.isTrue(isCancelled, "nobody cancelled it")
      break
    case "failed": {
      // It had failed when it began to undo what it did.
      const failed = order.journal.find(({ kind }) => kind === "compensating") ?? end
      expectFailure(end.error, script.order, order.states[failed.seq]!, isPartCancelled)
      break
    }
    case "completed": {
      assert.isBelow(script.order.failures, Scenario.attempts)
      assert.isFalse(isCancelled || isPartCancelled)
      assert.deepStrictEqual(end.output, outputOf(script.order, got, partGot))
      const { pages } = script.order
      assert.strictEqual(count(order.journal, "emitted"), pages)
      assert.strictEqual(count(order.journal, "spent"), pages)
      assert.strictEqual(count(order.journal, "tagged"), 1)
      assert.strictEqual(count(order.journal, "logged"), 1)
      assert.strictEqual(count(order.journal, "waitOpened"), count(order.journal, "waitEnded"))
    }
  }

  if (part !== undefined) {
    const last = lastOf(part.journal) as Ended
    const [parcel] = signals(partGot, "parcel")
    if (last.kind === "cancelled") assert.isTrue(isCancelled || isPartCancelled, `nobody cancelled ${partId}`)
    else assert.strictEqual(last.kind, parcel! % 5 === 0 ? "failed" : "completed")
  }
  const isBegun = count(order.journal, "logged") > 0
  if (isBegun) assert.isDefined(letter, "the letter is lost")
  if (letter !== undefined) assert.strictEqual(lastOf(letter[1].journal).kind, "completed")
}
