import * as Effect from "effect/Effect"
import * as Journal from "../../JournalBuilder.ts"
import type { JournalBuilder } from "../../JournalBuilder.ts"
import type { Check } from "../../StoreHarness.ts"
import { acquireFree, claim, restart, shows } from "./observation.ts"
import type { Instance } from "./trial.ts"
import { check, holds, same } from "./trial.ts"

/** A journal of three epochs, of which one wrote nothing, which names commands of an inbox: 1, 2 and 4. */
const written = Effect.fnUntraced(function* (run: string) {
  const journal = yield* Journal.make(run)
  const handled = (position: number): Journal.Step => ({
    kind: "annotated",
    note: `command ${position}`,
    command: { id: `old-${position}`, source: "", position }
  })
  journal.batch(Journal.created(), Journal.visited(), handled(1))
  const takeOver = (epoch: number): void => {
    const lease = { run, owner: `owner-${epoch}`, epoch }
    journal.claim({ lease, previous: "crash", info: journal.info, head: journal.head })
  }
  takeOver(1)
  journal.batch(handled(2), handled(4))
  takeOver(3)
  journal.batch(Journal.visited())
  return journal
})

const create = (store: Instance, { entries, head }: JournalBuilder) =>
  store.create({ entries: [entries[0]!, ...entries.slice(1)], head: head.hash })

const command = (run: string, id: string) => ({ id, run, time: 1, request: { type: "resume" } }) as const

const commanded = (store: Instance) =>
  Effect.map(store.list({ commanded: true }), ({ runs }) => runs.map(({ run }) => run))

export const elsewhereChecks: ReadonlyArray<Check> = [
  check(
    "elsewhere",
    "a journal that was written elsewhere is created at once, and goes on under the epoch after its last",
    ["crash"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const journal = yield* written("run")
      const lease = yield* create(store, journal)
      yield* same("the epoch of the run", lease.epoch, 3)
      yield* shows(store, journal)
      yield* same("its owner", (yield* store.get("run")).owner, undefined)
      const again = yield* restart(trial)
      yield* same("its owner when the store was opened again", (yield* again.get("run")).owner, undefined)
      const acquired = yield* acquireFree(trial, again, "run")
      yield* same("the epoch after it", acquired.lease.epoch, 4)
      yield* same("how it was let go of", acquired.previous, "handover")
      const run = yield* claim(again, acquired, journal)
      yield* run.append(Journal.visited())
      yield* run.sync
      yield* shows(again, journal)
    })
  ),
  check(
    "elsewhere",
    "commands get positions that a journal from elsewhere does not name",
    ["crash"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const journal = yield* written("run")
      yield* create(store, journal)
      yield* same("the runs with commands", yield* commanded(store), [])
      yield* store.send(command("run", "first"))
      yield* store.send(command("run", "second"))
      for (const open of [Effect.succeed(store), restart(trial)]) {
        const instance = yield* open
        const received = yield* instance.inbox("run", { "": 2 })
        yield* same(
          "the commands",
          received.map((each) => each.command.id),
          ["first", "second"]
        )
        for (const { position, source } of received) {
          yield* holds(
            `position ${position} of source ${JSON.stringify(source)} is one that the journal does not name`,
            source !== "" || position > 4
          )
        }
        yield* same("the runs with commands", yield* commanded(instance), ["run"])
      }
      const again = yield* restart(trial)
      const acquired = yield* acquireFree(trial, again, "run")
      const run = yield* claim(again, acquired, journal)
      for (const { command, position, source } of yield* again.inbox("run", { "": 2 })) {
        yield* run.append({
          kind: "annotated",
          note: "dealt with",
          command: { id: command.id, source, position }
        })
      }
      yield* run.sync
      yield* same("the runs with commands", yield* commanded(again), [])
    })
  )
]
