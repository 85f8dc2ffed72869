import * as Effect from "effect/Effect"
import type { Command, Request } from "@waymark/core/Command"
import type { InboxCursor, Received } from "@waymark/core/Store"
import * as Journal from "../../JournalBuilder.ts"
import type { Check } from "../../StoreHarness.ts"
import { acquireFree, begin, restart, shows } from "./observation.ts"
import type { Instance } from "./trial.ts"
import { check, holds, refused, same, violated } from "./trial.ts"

const command = (id: string, request: Request = { type: "resume" }, run = "run"): Command => ({
  id,
  run,
  time: 1_000,
  request
})

const idsOf = (received: ReadonlyArray<Received>) => received.map(({ command: { id } }) => id)

const requests: ReadonlyArray<Request> = [
  { type: "cancel", reason: "enough é 😀" },
  { type: "pause" },
  { type: "pause", note: "line\nbreak" },
  { type: "resume" },
  { type: "retry", edits: { list: { append: [1, { a: null }] }, gone: { unset: true } } },
  { type: "settle", call: "c", as: { output: [1, "\u2028", { deep: [[]] }] } },
  { type: "settle", call: "c", as: { failure: true } },
  { type: "settle", call: "c", as: { again: true } },
  { type: "signal", name: "n", payload: "x".repeat(100_000) },
  { type: "signal", name: "n", key: "k", payload: { "": [true, false] } },
  { type: "answer", wait: "w", value: null },
  { type: "retry", settle: { c: { output: null }, "": { again: true } } },
  { type: "annotate", note: "n", data: [{}] },
  { type: "bookmark", at: 3, name: "b", note: "", tags: ["é", ""] }
]

/** The inbox, whose positions must grow from 1 in each source. */
const inbox = Effect.fnUntraced(function* (store: Instance, run: string, cursor: InboxCursor = {}) {
  const received = yield* store.inbox(run, cursor)
  const last = new Map<string, number>()
  for (const { source, position } of received) {
    const before = last.get(source) ?? cursor[source] ?? 0
    yield* holds(
      `inbox: in source ${JSON.stringify(source)}, position ${position} comes after ${before}`,
      Number.isInteger(position) && position > before
    )
    last.set(source, position)
  }
  return received
})

/** Covers all that was received. */
const cursorAfter = (received: ReadonlyArray<Received>, from: InboxCursor = {}): InboxCursor => {
  const cursor: Record<string, number> = { ...from }
  for (const { source, position } of received) cursor[source] = Math.max(cursor[source] ?? 0, position)
  return cursor
}

export const inboxChecks: ReadonlyArray<Check> = [
  check(
    "inbox",
    "commands arrive as they were sent, in order",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      yield* begin(store, "run")
      yield* same("an inbox that nothing was sent to", yield* store.inbox("run", {}), [])
      const sent = requests.map((request, index) => ({
        ...command(`command ${index}/é`, request),
        ...(index % 2 === 0 ? { actor: "somebody" } : undefined)
      }))
      for (const one of sent) yield* store.send(one)
      const received = yield* inbox(store, "run")
      yield* same(
        "what arrived",
        received.map((one) => one.command),
        sent
      )
    })
  ),
  check(
    "inbox",
    "a command whose id is there already is not put there again",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      yield* begin(store, "run")
      yield* begin(store, "other")
      for (const id of ["a", "b", "a", "c", "b", "a"]) yield* store.send(command(id))
      yield* store.send(command("a", { type: "cancel", reason: "same id, other request" }))
      yield* same("what arrived", idsOf(yield* inbox(store, "run")), ["a", "b", "c"])
      yield* Effect.all(
        Array.from({ length: 10 }, () => store.send(command("d"))),
        { concurrency: "unbounded" }
      )
      yield* same("what arrived, after one was sent ten times at once", idsOf(yield* inbox(store, "run")), [
        "a",
        "b",
        "c",
        "d"
      ])
      yield* store.send(command("a", { type: "resume" }, "other"))
      yield* same("the same id in the inbox of another run", idsOf(yield* inbox(store, "other")), ["a"])
    })
  ),
  check(
    "inbox",
    "a cursor covers what was dealt with, and only that",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      yield* begin(store, "run")
      for (let i = 0; i < 10; i++) yield* store.send(command(`${i}`))
      const all = yield* inbox(store, "run")
      for (let i = 0; i <= 10; i++) {
        const cursor = cursorAfter(all.slice(0, i))
        yield* same(`after ${i} of them`, yield* inbox(store, "run", cursor), all.slice(i))
      }
      const beyond = { ...cursorAfter(all), "a source that is not": 7 }
      yield* same("when all are dealt with", yield* store.inbox("run", beyond), [])
      yield* store.send(command("new"))
      yield* same("what comes later", idsOf(yield* inbox(store, "run", beyond)), ["new"])
      yield* store.send(command("3"))
      yield* same(
        "what was dealt with is not put there again",
        idsOf(yield* inbox(store, "run", cursorAfter(all))),
        ["new"]
      )
    })
  ),
  check(
    "inbox",
    "a run that does not exist has none",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const error = yield* refused("sending to it", "RunNotFound", store.send(command("a")))
      yield* same("the run it names", error.run, "run")
      yield* refused("its inbox", "RunNotFound", store.inbox("run", {}))
      yield* begin(store, "run")
      yield* same("the inbox once the run exists", yield* store.inbox("run", {}), [])
      yield* store.send(command("a"))
      yield* same("the same command once the run exists", idsOf(yield* inbox(store, "run")), ["a"])
    })
  ),
  check(
    "inbox",
    "anyone may send, whoever holds the run, and also when it has ended",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const run = yield* begin(store, "run")
      yield* store.send(command("held"))
      yield* run.append(Journal.failed("Boom", "it broke"))
      yield* run.sync
      yield* store.release(run.lease)
      yield* store.send(command("ended", { type: "retry" }))
      yield* store.acquire("run", "worker")
      yield* store.send(command("held again"))
      yield* same("what arrived", idsOf(yield* inbox(store, "run")), ["held", "ended", "held again"])
      yield* shows(store, run.journal)
    })
  ),
  check(
    "inbox",
    "many that send at once all arrive, each once",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      yield* begin(store, "run")
      const ids = Array.from({ length: 60 }, (_, index) => `command-${String(index).padStart(2, "0")}`)
      yield* Effect.forEach([...ids, ...ids], (id) => store.send(command(id)), {
        concurrency: "unbounded",
        discard: true
      })
      yield* same("what arrived", idsOf(yield* inbox(store, "run")).sort(), ids)
    })
  ),
  check(
    "inbox",
    "what was sent survives a power cut, at its position",
    ["crash"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      yield* begin(store, "run")
      for (const [index, request] of requests.entries()) yield* store.send(command(`${index}`, request))
      const before = yield* inbox(store, "run")
      const again = yield* restart(trial)
      yield* same("the inbox after a power cut", yield* inbox(again, "run"), before)
      yield* acquireFree(trial, again, "run")
      yield* again.send(command("2"))
      yield* again.send(command("later"))
      yield* same("what is sent later", idsOf(yield* inbox(again, "run", cursorAfter(before))), ["later"])
      const third = yield* restart(trial)
      yield* same("after another power cut", idsOf(yield* inbox(third, "run", cursorAfter(before))), [
        "later"
      ])
    })
  ),
  check(
    "inbox",
    "who goes on from its cursor after each power cut deals with each command once, in order",
    ["crash"],
    Effect.fnUntraced(function* (trial) {
      let store = yield* trial.open
      yield* begin(store, "run")
      const dealtWith: Array<string> = []
      const cursor: { [source: string]: number } = {}
      let sent = 0
      for (let round = 0; round < 8; round++) {
        for (let i = 0; i <= round % 3; i++) {
          yield* store.send(command(`${sent}`))
          // Whoever does not get the answer sends it again.
          if (i % 2 === 0) yield* store.send(command(`${sent}`))
          sent += 1
        }
        const received = yield* inbox(store, "run", { ...cursor })
        // The power goes after any number of them.
        for (const { command: one, position, source } of received.slice(0, 1 + (round % 2))) {
          dealtWith.push(one.id)
          cursor[source] = Math.max(cursor[source] ?? 0, position)
        }
        store = yield* restart(trial)
        if (round % 4 === 3) yield* store.send(command(`${sent - 1}`))
      }
      for (const { command: one } of yield* inbox(store, "run", { ...cursor })) dealtWith.push(one.id)
      yield* same(
        "what was dealt with",
        dealtWith,
        Array.from({ length: sent }, (_, index) => `${index}`)
      )
    })
  ),
  check(
    "inbox",
    "what is sent by several instances all arrives, and none of it twice",
    ["several"],
    Effect.fnUntraced(function* (trial) {
      const instances = yield* Effect.all([trial.open, trial.open, trial.open])
      const run = yield* begin(instances[0], "run")
      for (const store of instances) yield* trial.eventually(shows(store, run.journal))
      yield* Effect.forEach(
        instances,
        (store, index) =>
          Effect.forEach([0, 1, 2, 3, 4], (i) => store.send(command(`${index}-${i}`)), { discard: true }),
        { concurrency: "unbounded", discard: true }
      )
      const expected = [0, 1, 2].flatMap((index) => [0, 1, 2, 3, 4].map((i) => `${index}-${i}`))
      for (const store of instances) {
        const received = yield* trial.eventually(
          Effect.gen(function* () {
            const all = yield* inbox(store, "run")
            yield* same("what arrived", idsOf(all).sort(), expected)
            return all
          })
        )
        // What one instance sent, one after another, stays in that order.
        for (const index of [0, 1, 2]) {
          const order = idsOf(received).filter((id) => id.startsWith(`${index}-`))
          const sources = new Set(
            received.filter(({ command: { id } }) => id.startsWith(`${index}-`)).map(({ source }) => source)
          )
          if (sources.size === 1) yield* same("the order of what one instance sent", order, order.toSorted())
        }
        const cursor = cursorAfter(received)
        for (const other of instances) {
          yield* trial.eventually(
            Effect.flatMap(other.inbox("run", cursor), (rest) =>
              rest.length === 0
                ? Effect.void
                : violated(`one instance's cursor does not cover at another: ${JSON.stringify(rest)}`)
            )
          )
        }
      }
      // By now every instance knows all of them.
      for (const store of instances) yield* store.send(command("0-0"))
      yield* instances[2].send(command("last"))
      for (const store of instances) {
        yield* trial.eventually(
          Effect.flatMap(inbox(store, "run"), (all) =>
            same("what is there", idsOf(all).sort(), [...expected, "last"])
          )
        )
      }
    })
  )
]
