import { assert, describe, it } from "@effect/vitest"
import { Hasher } from "@waymark/core/Hasher"
import type { Head } from "@waymark/core/Journal"
import { follow, parse } from "@waymark/core/Journal"
import * as RunInfo from "@waymark/core/RunInfo"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Journal from "../src/JournalBuilder.ts"

/** Every entry decodes to itself and follows the one before it. */
const verify = Effect.fnUntraced(function* (journal: Journal.JournalBuilder, origin?: string) {
  const { hash } = yield* Hasher
  let head: Head | undefined
  let info: RunInfo.RunInfo | undefined
  for (const entry of journal.entries) {
    assert.deepStrictEqual(Result.getOrThrow(parse(entry.line)), entry)
    head = Result.getOrThrow(follow(hash, head, entry, origin))
    info = RunInfo.apply(info, entry.event)
  }
  assert.deepStrictEqual(journal.head, head)
  assert.deepStrictEqual(journal.info, info)
})

describe("JournalBuilder", () => {
  it.effect("builds journals that decode, chain, and carry the row that follows from them", () =>
    Effect.gen(function* () {
      const journal = yield* Journal.make("run", { time: 5 })
      assert.strictEqual(journal.seq, -1)
      const first = journal.batch(Journal.created({ tags: ["t"] }), Journal.visited({ n: { add: 1 } }))
      assert.strictEqual(first.head, journal.head.hash)
      journal.batch(Journal.waitOpened("w", 99))
      journal.batch(Journal.waitEnded("w", { a: 1 }), Journal.paused, Journal.visited())
      journal.batch(Journal.failed("Boom", "it broke"))
      journal.batch(Journal.annotated("why?"))
      yield* verify(journal)
      assert.deepStrictEqual(
        journal.entries.map(({ event }) => [event.seq, event.time, event.kind]),
        [
          [0, 5, "created"],
          [1, 6, "visited"],
          [2, 7, "waitOpened"],
          [3, 8, "waitEnded"],
          [4, 9, "paused"],
          [5, 10, "visited"],
          [6, 11, "failed"],
          [7, 12, "annotated"]
        ]
      )
      assert.deepStrictEqual(
        journal.entries.flatMap(({ event }) => (event.kind === "visited" ? [event.visit] : [])),
        [1, 2]
      )
    })
  )

  it.effect("goes back to where a lease was given and opens its epoch there", () =>
    Effect.gen(function* () {
      const journal = yield* Journal.make("run")
      journal.batch(Journal.created())
      const at = journal.head
      journal.batch(Journal.visited(), Journal.visited())
      const batch = journal.claim({
        lease: { run: "run", owner: "o", epoch: 4 },
        previous: "crash",
        info: journal.infoAt(0),
        head: at
      })
      assert.strictEqual(batch.entries.length, 1)
      assert.strictEqual(journal.seq, 1)
      assert.strictEqual(journal.epoch, 4)
      const { event } = batch.entries[0]
      assert.isTrue(event.kind === "claimed" && event.cause === "crash" && event.epoch === 4)
      journal.batch(Journal.completed())
      yield* verify(journal)
      assert.throws(
        () =>
          journal.claim({
            lease: { run: "run", owner: "o", epoch: 5 },
            previous: "crash",
            info: journal.info,
            head: { seq: 1, hash: "another" }
          }),
        /which this journal does not hold/
      )
    })
  )

  it.effect("begins a fork with the hash of the entry it is forked from", () =>
    Effect.gen(function* () {
      const journal = yield* Journal.make("run")
      journal.batch(Journal.created({ flow: "f" }), Journal.visited(), Journal.completed())
      const fork = journal.fork("fork", 1, { fields: { tags: ["t"] } })
      fork.journal.batch(Journal.cancelled("enough"))
      yield* verify(fork.journal, journal.headAt(1).hash)
      assert.deepStrictEqual(fork.journal.info.forkOf, { run: "run", seq: 1 })
      assert.throws(() => journal.fork("other", 9), /no entry at seq 9/)
    })
  )
})
