import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Runs } from "@waymark/core"
import { FsStore } from "@waymark/store-fs"
import { Effect, FileSystem, Layer, Path, Random, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { build } from "esbuild"
import { fileURLToPath } from "node:url"
import { Audit } from "../src/audit.ts"
import { account, readLines } from "../src/witness.ts"

const kills = 50
const seed = "fifty kills"

/** What the store has of a run while nobody works on it. */
const inspect = (directory: string, run: string) =>
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const state = yield* runs.stateAt(run)
    const events = yield* runs.events(run).pipe(
      Stream.takeWhile((event) => event.seq < state.seq),
      Stream.runCollect
    )
    const keys = new Map<string, string>()
    const completed = new Set<string>()
    for (const event of events) {
      const name = "call" in event ? `${event.visit} ${event.call}` : ""
      if (event.kind === "callStarted") keys.set(name, event.key)
      if (event.kind === "callCompleted") completed.add(keys.get(name)!)
    }
    const channels = yield* runs.state(Runs.ref(Audit, run))
    return { completed, channels, status: state.status }
  }).pipe(Effect.provide(Layer.provide(Runs.layer, FsStore.layer({ directory, readOnly: true }))))

/** The worker in one file: to load its modules one by one takes longer than the audit, and it is started fifty times. */
const bundledWorker = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "waymark-worker-" })
  const file = path.join(directory, "worker.mjs")
  yield* Effect.promise(() =>
    build({
      entryPoints: [fileURLToPath(new URL("../src/worker.ts", import.meta.url))],
      outfile: file,
      bundle: true,
      platform: "node",
      format: "esm",
      conditions: ["@waymark/source"],
      logLevel: "error"
    })
  )
  return file
})

/** A folder with its own lockfile, store, report and witness file; `start` begins to work on the audit in it. */
const workplace = Effect.fnUntraced(function* (worker: string) {
  const fs = yield* FileSystem.FileSystem
  const { dirname, join } = yield* Path.Path
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "waymark-kill-" })
  const here = dirname(yield* (yield* Path.Path).fromFileUrl(new URL(import.meta.url)))
  const lockfile = join(here, "../../../package-lock.json")
  const report = join(directory, "report.md")
  const witness = join(directory, "witness.jsonl")
  const store = join(directory, "store")
  return {
    report,
    store,
    witness,
    start: (run: string) =>
      spawner.spawn(
        ChildProcess.make(
          process.execPath,
          [
            worker,
            run,
            lockfile,
            "--directory",
            store,
            "--report",
            report,
            "--witness",
            witness,
            "--slow",
            "4"
          ],
          { stderr: "inherit" }
        )
      )
  }
})

it.live(
  "killed at fifty random moments, the audit ends as if nothing had happened and repeats no completed call",
  () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const worker = yield* bundledWorker
      const reference = yield* workplace(worker)
      const undisturbed = yield* reference.start("audit")
      yield* Stream.runDrain(undisturbed.stdout)
      assert.strictEqual(yield* undisturbed.exitCode, 0)
      const expected = yield* fs.readFileString(reference.report)
      const { channels: expectedChannels } = yield* inspect(reference.store, "audit")
      assert.isAbove(expectedChannels.packages.length, 100)

      let killed = 0
      let repeatedInDoubt = 0
      let attempts = 0

      /** One audit, from its start to its end, killed again and again. */
      const audited = Effect.gen(function* () {
        const place = yield* workplace(worker)
        const run = `audit-${++attempts}`
        let ended = false
        // What was completed before the process that works now, and how long the witness file was then.
        let before: { readonly completed: ReadonlySet<string>; readonly lines: number } = {
          completed: new Set(),
          lines: 0
        }
        while (!ended) {
          const child = yield* place.start(run)
          // The first line of its progress bar says that it is at work.
          yield* child.stdout.pipe(Stream.take(1), Stream.runDrain)
          if (killed < kills) {
            yield* Effect.sleep(yield* Random.nextIntBetween(0, 250))
            yield* child.kill({ killSignal: "SIGKILL" }).pipe(Effect.ignore)
          }
          yield* Effect.exit(child.exitCode)
          const lines = yield* readLines(place.witness)
          for (const { key, what } of lines.slice(before.lines)) {
            assert.isFalse(
              what === "begin" && before.completed.has(key),
              `completed call ${key} was executed again`
            )
          }
          const { channels, completed, status } = yield* inspect(place.store, run)
          before = { completed, lines: lines.length }
          ended = status === "completed"
          if (ended) assert.deepStrictEqual(channels, expectedChannels)
          else killed += 1
        }
        const { inDoubtAgain } = yield* account(place.witness)
        repeatedInDoubt += inDoubtAgain
        assert.strictEqual(yield* fs.readFileString(place.report), expected)
        const verified = yield* Runs.verify(run).pipe(
          Effect.provide(Layer.provide(Runs.layer, FsStore.layer({ directory: place.store, readOnly: true })))
        )
        assert.strictEqual(verified.from, 0)
      })
      // Two at a time: most of it is the start of processes.
      const lane = Effect.whileLoop({ while: () => killed < kills, body: () => audited, step: () => {} })
      yield* Effect.all([lane, lane], { concurrency: 2, discard: true })
      assert.isAbove(repeatedInDoubt, 0, "no kill hit a call that was under way")
    }).pipe(Effect.scoped, Random.withSeed(seed), Effect.provide(NodeServices.layer)),
  { timeout: 600_000 }
)
