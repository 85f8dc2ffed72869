import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as ChildProcess from "node:child_process"
import { fileURLToPath } from "node:url"
import { vi } from "vitest"
import * as Journal from "@waymark/core/Journal"
import { Store } from "@waymark/core/Store"
import * as FsStore from "../src/FsStore.ts"
import { temporaryDirectory } from "./places.ts"
import type { Instance } from "./scenario.ts"
import { created, extend, hashOf, noted } from "./scenario.ts"

vi.setConfig({ testTimeout: 300_000 })

const script = fileURLToPath(new URL("child.ts", import.meta.url))

/** A child process and the lines it has said so far; killed with the scope. */
const spawn = (directory: string, run: string, what = "write") =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = ChildProcess.spawn(
        process.execPath,
        ["--conditions=@waymark/source", script, directory, run, what],
        {
          stdio: ["ignore", "pipe", "inherit"]
        }
      )
      const lines: Array<string> = []
      let rest = ""
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        const parts = (rest + text).split("\n")
        rest = parts.pop()!
        lines.push(...parts)
      })
      const ended = new Promise<void>((resolve) => child.once("close", () => resolve()))
      return { child, lines, ended }
    }),
    ({ child, ended }) =>
      Effect.promise(() => {
        child.kill("SIGKILL")
        return ended
      })
  )

type Child = Effect.Success<ReturnType<typeof spawn>>

const said = (child: Child, wanted: (line: string) => boolean): Effect.Effect<string> =>
  Effect.suspend(() => {
    const line = child.lines.find(wanted)
    return line === undefined
      ? Effect.flatMap(Effect.sleep(5), () => said(child, wanted))
      : Effect.succeed(line)
  })

const syncedUpTo = (child: Child): number =>
  child.lines.reduce((last, line) => (line.startsWith("synced ") ? Number(line.slice(7)) : last), -1)

const verified = Effect.fnUntraced(function* (store: Instance, run: string) {
  const entries = yield* store.read(run, { limit: 1_000_000 })
  let head: Journal.Head | undefined
  for (const entry of entries) {
    const next = Journal.follow(hashOf, head, entry)
    if (Result.isFailure(next)) return yield* next.failure
    head = next.success
  }
  return head!
})

const withStore = <A, E>(directory: string, use: (store: Instance) => Effect.Effect<A, E>) =>
  Effect.flatMap(Store, use).pipe(Effect.provide(Layer.fresh(FsStore.layer({ directory, leaseTtl: 600 }))))

describe("processes", () => {
  it.live("one that does nothing but wait for another one's run is kept running by that", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* withStore(directory, (store) =>
        Effect.gen(function* () {
          const begun = extend({ run: "run", epoch: 0, entries: [] }, [created])
          const lease = yield* store.create(begun.batch, { holder: "test" })
          const child = yield* spawn(directory, "run", "wait")
          yield* said(child, (line) => line.startsWith("ready"))
          yield* Effect.sleep(700)
          yield* store.append(lease, 0, extend(begun.log, [noted("one")]).batch)
          yield* store.sync(lease)
          yield* said(child, (line) => line === "changed")
          yield* Effect.promise(() => child.ended)
        }).pipe(Effect.scoped)
      )
    }).pipe(Effect.scoped)
  )

  it.live("killed at any moment, nothing that was told is lost, and the next one goes on", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      let told = -1
      for (let round = 0; round < 8; round++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const child = yield* spawn(directory, "run")
            // However fast this machine is, each gets a bit further than the one before.
            const enough = round === 0 ? -1 : Math.max(told, 0) + round * 4
            yield* said(child, (line) => line.startsWith(round === 0 ? "ready" : "synced"))
            while (syncedUpTo(child) < enough) yield* Effect.sleep(1)
            child.child.kill("SIGKILL")
            yield* Effect.promise(() => child.ended)
            told = Math.max(told, syncedUpTo(child))
          })
        )
        const head = yield* withStore(directory, (store) => verified(store, "run"))
        assert.isAtLeast(head.seq, told)
      }
      assert.isAbove(told, 20)
      yield* withStore(directory, (store) =>
        Effect.gen(function* () {
          const { head, lease, previous } = yield* store.acquire("run", "test")
          assert.strictEqual(previous, "crash")
          assert.strictEqual(lease.epoch, 8)
          assert.deepStrictEqual({ ...(yield* verified(store, "run")) }, { ...head })
        })
      )
    }).pipe(Effect.scoped)
  )

  it.live("frozen past its lease, taken over, and thawed, an owner is told that it has lost the run", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const child = yield* spawn(directory, "run")
      yield* said(child, (line) => line.startsWith("synced"))
      child.child.kill("SIGSTOP")
      yield* withStore(directory, (store) =>
        Effect.gen(function* () {
          const { head, lease, previous } = yield* Effect.retry(
            store.acquire("run", "test"),
            Schedule.upTo(Schedule.spaced(50), { duration: 30_000 })
          )
          assert.strictEqual(previous, "crash")
          assert.isAtLeast(head.seq, syncedUpTo(child))
          const entries = yield* store.read("run", { limit: 1_000_000 })
          const claimed = extend({ run: "run", epoch: lease.epoch, entries }, [
            { kind: "claimed", owner: lease.owner, cause: previous, previous: { epoch: 0, ...head } },
            noted("taken over")
          ])
          yield* store.append(lease, head.seq, claimed.batch)
          yield* store.sync(lease)
          const before = child.lines.length
          child.child.kill("SIGCONT")
          assert.strictEqual(yield* said(child, (line) => line.startsWith("failed")), "failed LeaseLost")
          // Nothing was confirmed after it was thawed.
          assert.isFalse(
            child.lines
              .slice(before)
              .some((line) => line.startsWith("synced") && Number(line.slice(7)) > head.seq)
          )
          assert.deepStrictEqual(
            { ...(yield* verified(store, "run")) },
            { seq: head.seq + 2, hash: claimed.batch.head }
          )
        })
      )
    }).pipe(Effect.scoped)
  )
})
