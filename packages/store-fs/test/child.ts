/**
 * A process that writes to a store until it is killed, and says on its output what it was told. Run by processes.test.ts.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Store } from "@waymark/core/Store"
import * as FsStore from "../src/FsStore.ts"
import type { Log } from "./scenario.ts"
import { created, extend, hashOf, lastOf, noted } from "./scenario.ts"

const say = (...words: ReadonlyArray<string | number>): void => {
  process.stdout.write(`${words.join(" ")}\n`)
}

const [directory = "", run = "", what = ""] = process.argv.slice(2)

const write = Effect.gen(function* () {
  const store = yield* Store
  const known = yield* Effect.result(store.acquire(run, "child"))
  let log: Log
  let lease
  if (Result.isSuccess(known)) {
    const { head, previous } = known.success
    lease = known.success.lease
    const entries = yield* store.read(run, { limit: 1_000_000 })
    const before = {
      epoch: entries[head.seq]!.event.epoch,
      seq: head.seq,
      hash: hashOf(entries[head.seq]!.line)
    }
    const claimed = extend({ run, epoch: lease.epoch, entries }, [
      { kind: "claimed", owner: lease.owner, cause: previous, previous: before }
    ])
    log = claimed.log
    yield* store.append(lease, head.seq, claimed.batch)
  } else {
    const begun = extend({ run, epoch: 0, entries: [] }, [created])
    log = begun.log
    lease = yield* store.create(begun.batch, { holder: "child" })
  }
  say("ready", process.pid)
  for (let i = 0; ; i++) {
    const size = 1 + (i % 3)
    const next = extend(
      log,
      Array.from({ length: size }, (_, k) => noted(`${i}.${k}`))
    )
    yield* store.append(lease, lastOf(log), next.batch)
    log = next.log
    if (i % 4 === 0) {
      yield* store.sync(lease)
      say("synced", lastOf(log))
      yield* Effect.sleep(1)
    }
  }
})

/** Waits until another process has written to the run. */
const wait = Effect.gen(function* () {
  const store = yield* Store
  const { head } = yield* store.get(run)
  say("ready")
  yield* store.changed(run, head.seq)
  say("changed")
})

const program = Effect.gen(function* () {
  return yield* what === "wait" ? wait : write
}).pipe(
  Effect.catch((error) => Effect.sync(() => say("failed", error._tag))),
  Effect.provide(FsStore.layer({ directory, leaseTtl: 600 }))
)

await Effect.runPromise(program)
