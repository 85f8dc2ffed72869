import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Runs } from "@waymark/core"
import { FsStore } from "@waymark/store-fs"
import { Effect, FileSystem, Layer, Path, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"

/** A directory, and what its processes wrote down: `pid what n`, in the order in which it happened. */
const scene = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const folder = yield* fs.makeTempDirectoryScoped({ prefix: "waymark-processes-" })
  const directory = path.join(folder, "store")
  const witness = path.join(folder, "witness")
  yield* fs.writeFileString(witness, "")
  const script = yield* path.fromFileUrl(new URL("./processes/worker.ts", import.meta.url))
  const lines = Effect.map(fs.readFileString(witness), (text) =>
    text
      .split("\n")
      .slice(0, -1)
      .map((line) => {
        const [pid, what, n] = line.split(" ")
        return { pid: Number(pid), what, n: Number(n) }
      })
  )
  type Lines = Effect.Success<typeof lines>
  return {
    lines,
    start: spawner.spawn(
      ChildProcess.make(
        process.execPath,
        ["--conditions=@waymark/source", script, directory, "run", witness],
        {
          stdout: "inherit",
          stderr: "inherit"
        }
      )
    ),
    until: (condition: (lines: Lines) => boolean) =>
      Effect.gen(function* () {
        while (!condition(yield* lines)) yield* Effect.sleep("10 millis")
      }),
    read: <A, E>(effect: Effect.Effect<A, E, Runs.Runs>) =>
      Effect.provide(effect, Layer.provide(Runs.layer, FsStore.layer({ directory, readOnly: true })))
  }
})

describe("two processes on one directory", () => {
  it.live(
    "an owner that was frozen beyond its lease finds its run taken over: it starts no tool, and what it writes is void",
    () =>
      Effect.gen(function* () {
        const { lines, read, start, until } = yield* scene
        const owner = yield* start
        yield* until((all) => all.filter(({ what }) => what === "begin").length >= 5)
        process.kill(owner.pid, "SIGSTOP")
        const taker = yield* start
        yield* until((all) => all.some(({ pid, what }) => pid === taker.pid && what === "begin"))
        const thawed = (yield* lines).length
        process.kill(owner.pid, "SIGCONT")

        assert.strictEqual(yield* taker.exitCode, 0)
        assert.strictEqual(yield* owner.exitCode, 0, "the owner that was frozen learns how the run ended")

        const late = (yield* lines)
          .slice(thawed)
          .filter(({ pid, what }) => pid === owner.pid && what === "begin")
        assert.deepStrictEqual(late, [], "the owner that was frozen started a tool")
        const sums = (yield* lines).filter(({ what }) => what === "sum").map(({ n }) => n)
        assert.deepStrictEqual(sums, [300, 300])

        const { events, verified } = yield* read(
          Effect.gen(function* () {
            const runs = yield* Runs.Runs
            return {
              events: yield* Stream.runCollect(runs.events("run")),
              verified: yield* Runs.verify("run")
            }
          })
        )
        const taken = events.findIndex(({ kind }) => kind === "claimed")
        assert.isAbove(taken, 0)
        for (const event of events.slice(taken))
          assert.strictEqual(event.epoch, 1, `seq ${event.seq} is of a void epoch`)
        assert.strictEqual(verified.to, events.length - 1)

        // The calls that were recorded as completed before the take-over were not made again by the taker.
        const completed = new Set<string>()
        for (const event of events.slice(0, taken))
          if (event.kind === "callCompleted") completed.add(event.call)
        assert.isAbove(completed.size, 0)
        for (const event of events.slice(taken)) {
          assert.isFalse("call" in event && completed.has(event.call) && event.visit <= completed.size)
        }
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    { timeout: 300_000 }
  )
})
