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
  const folder = yield* fs.makeTempDirectoryScoped({ prefix: "waymark-draining-" })
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
  const read = <A, E>(effect: Effect.Effect<A, E, Runs.Runs>) =>
    Effect.provide(
      effect,
      Layer.fresh(Layer.provide(Runs.layer, FsStore.layer({ directory, readOnly: true })))
    )
  return {
    lines,
    leases: fs.readDirectory(path.join(directory, "leases")),
    start: spawner.spawn(
      ChildProcess.make(
        process.execPath,
        ["--conditions=@waymark/source", script, directory, "run", witness],
        { stdout: "inherit", stderr: "inherit" }
      )
    ),
    begun: (pid: number, count: number) =>
      Effect.gen(function* () {
        const isIt = (line: { readonly pid: number; readonly what?: string | undefined }) =>
          line.pid === pid && line.what === "begin"
        while ((yield* lines).filter(isIt).length < count) yield* Effect.sleep("10 millis")
      }),
    row: read(Effect.flatMap(Runs.Runs, (runs) => runs.get("run"))),
    unowned: read(Effect.flatMap(Runs.Runs, (runs) => runs.list({ unowned: true }))),
    journal: read(
      Effect.gen(function* () {
        const runs = yield* Runs.Runs
        yield* Runs.verify("run")
        return yield* Stream.runCollect(runs.events("run"))
      })
    )
  }
})

describe("a process that is asked to stop", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it.live(
      `${signal} drains: the run is let go of in good order, and the next process goes on with it`,
      () =>
        Effect.gen(function* () {
          const { begun, journal, leases, lines, row, start, unowned } = yield* scene
          const first = yield* start
          yield* begun(first.pid, 5)
          process.kill(first.pid, signal)
          // What a process exits with that was interrupted; one that died of the signal has no exit code of its own.
          assert.strictEqual(yield* first.exitCode, 130)

          const stopped = yield* row
          assert.strictEqual(stopped.status, "running", "a drain is not a failure, nor an end")
          assert.isBelow(stopped.steps, 25)
          assert.deepStrictEqual(
            (yield* unowned).runs.map(({ run }) => run),
            ["run"]
          )
          assert.deepStrictEqual(
            yield* leases,
            [],
            "its lease is gone, and nobody has to wait until it runs out"
          )

          const second = yield* start
          assert.strictEqual(yield* second.exitCode, 0)
          const all = yield* lines
          assert.deepStrictEqual(
            all.filter(({ what }) => what === "sum").map(({ n, pid }) => ({ n, pid })),
            [{ n: 300, pid: second.pid }]
          )

          const events = yield* journal
          const claimed = events.filter((event) => event.kind === "claimed")
          assert.deepStrictEqual(
            claimed.map(({ cause }) => cause),
            ["handover"]
          )
          const [{ seq }] = claimed as [(typeof claimed)[number]]
          assert.strictEqual(seq, stopped.seq + 1, "it goes on where the first one stopped")

          // Each call came to an end once, and was recorded once.
          const ended = all.filter(({ what }) => what === "end").map(({ n }) => n)
          const count = Array.from({ length: 25 }, (_, n) => n)
          assert.deepStrictEqual(ended, count)
          const completed = events.filter(({ kind }) => kind === "callCompleted")
          assert.strictEqual(completed.length, 25)
          assert.isFalse(events.some(({ kind }) => kind === "callFailed"))
          // What the second one began again is what the first one had begun and was interrupted in, and nothing else.
          const begins = (pid: number) =>
            all.filter((line) => line.pid === pid && line.what === "begin").map(({ n }) => n)
          const done = all.filter((line) => line.pid === first.pid && line.what === "end").length
          assert.deepStrictEqual(begins(second.pid), count.slice(done))
        }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
      { timeout: 300_000 }
    )
  }
})
