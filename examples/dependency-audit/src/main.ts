/**
 * The demonstration: an audit is started in one process, which is killed half way, and finished by another.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Runs } from "@waymark/core"
import { FsStore } from "@waymark/store-fs"
import { Console, DateTime, Effect, FileSystem, Layer, Option, Path, Predicate, Schema, Stream } from "effect"
import { Argument, Command } from "effect/cli"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { Audit, type LockfileUnreadable } from "./audit.ts"
import { timeline } from "./timeline.ts"
import { account } from "./witness.ts"

/** What must never happen. */
class CallsRepeated extends Schema.TaggedError<CallsRepeated>()("CallsRepeated", { calls: Schema.Int }) {
  override get message(): string {
    return `${this.calls} completed calls were executed again`
  }
}

class Unfinished extends Schema.TaggedError<Unfinished>()("Unfinished", {
  run: Schema.String,
  status: Schema.String
}) {
  override get message(): string {
    return `the process ended, and run ${this.run} is ${this.status}; what it printed says why`
  }
}

/** A file that is no lockfile is the user's mistake: a sentence says so, and no stack. */
const tellingUnreadable = <A, E, R>(effect: Effect.Effect<A, E | LockfileUnreadable, R>) =>
  Effect.catchIf(
    effect,
    (error): error is LockfileUnreadable => Predicate.isTagged(error, "LockfileUnreadable"),
    ({ message }) =>
      Effect.andThen(
        Console.error(message),
        Effect.sync(() => {
          process.exitCode = 1
        })
      )
  )

const demo = Command.make(
  "demo",
  { lockfile: Argument.String("lockfile").pipe(Argument.optional) },
  Effect.fn(function* ({ lockfile }) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
    const here = path.dirname(yield* path.fromFileUrl(new URL(import.meta.url)))
    // npm runs this in the example's own folder; what the user names is relative to where the user is.
    const cwd = process.env["INIT_CWD"] ?? process.cwd()
    const target = Option.match(lockfile, {
      onNone: () => path.resolve(here, "../../../package-lock.json"),
      onSome: (given) => path.resolve(cwd, given)
    })

    const directory = path.resolve(here, "../.waymark")
    const run = `audit-${DateTime.formatIso(yield* DateTime.now).replaceAll(/[:.]/g, "-")}`
    const output = path.join(directory, "demo", run)
    yield* fs.makeDirectory(output, { recursive: true })
    const report = path.join(output, "report.md")
    const witness = path.join(output, "witness.jsonl")
    const shown = (file: string) => path.relative(cwd, file)

    /** Runs a worker to its end; the answer is how it ended. */
    const worker = Effect.fnUntraced(function* (flags: ReadonlyArray<string>) {
      const handle = yield* spawner.spawn(
        ChildProcess.make(
          process.execPath,
          [
            "--conditions=@waymark/source",
            path.join(here, "worker.ts"),
            run,
            target,
            "--directory",
            directory,
            "--report",
            report,
            "--witness",
            witness,
            ...flags
          ],
          { stdout: "inherit", stderr: "inherit" }
        )
      )
      const pid = handle.pid
      const exit = yield* Effect.result(handle.exitCode)
      return { pid, exit }
    }, Effect.scoped)

    // What cannot be read has no packages here; the audit says why.
    const text = yield* Effect.orElseSucceed(fs.readFileString(target), () => "")
    const packages = text.split('"node_modules/').length - 1
    yield* Console.log(`auditing ${shown(target)}`)
    const first = yield* worker(["--kill-at", String(Math.max(2, Math.round(packages / 2)))])
    // A process that ended by itself was not killed: the audit has failed, or was over before.
    const wasKilled = first.exit._tag === "Failure"
    if (wasKilled) {
      yield* Console.log(
        `\nprocess ${first.pid} killed itself with SIGKILL, in the middle of a call; starting another one`
      )
      const { exit } = yield* worker([])
      if (exit._tag === "Failure") return yield* exit.failure
    }

    const { events, result } = yield* Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const handle = Runs.ref(Audit, run)
      const { status } = yield* runs.get(handle)
      // Nobody is left who would go on with it.
      if (status !== "completed" && status !== "failed") return yield* new Unfinished({ run, status })
      return { events: yield* Stream.runCollect(runs.events(handle)), result: yield* runs.await(handle) }
    }).pipe(Effect.provide(Layer.provide(Runs.layer, FsStore.layer({ directory, readOnly: true }))))

    yield* Console.log("\ntimeline, from the journal")
    for (const line of timeline(events)) yield* Console.log(`  ${line}`)

    const { completedAgain, executed, inDoubtAgain } = yield* account(witness)
    yield* Console.log("\nwhat was executed, from the file that the tools themselves wrote")
    for (const { calls, process: pid } of executed) yield* Console.log(`  process ${pid}: ${calls} calls`)
    yield* Console.log(`  completed calls executed again: ${completedAgain}`)
    yield* Console.log(`  calls in doubt at the kill and executed again with the same key: ${inDoubtAgain}`)

    yield* Console.log(`\n${result.verdict}: ${result.packages} packages, ${result.findings} findings`)
    yield* Console.log(`  report   ${shown(report)}`)
    yield* Console.log(`  witness  ${shown(witness)}`)
    yield* Console.log(
      `  journal  ${shown(path.join(directory, "segments"))}  (JSON Lines: try jq, grep, tail)`
    )
    if (completedAgain > 0) return yield* new CallsRepeated({ calls: completedAgain })
  }, tellingUnreadable)
)

Command.run(demo, { version: "0.0.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
