/**
 * One process that works on the audit. With `--kill-at`, it kills itself inside the call of that number.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Runs, Worker } from "@waymark/core"
import { FsStore } from "@waymark/store-fs"
import { Effect, Layer } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Audit } from "./audit.ts"
import { AuditHandlers } from "./handlers.ts"
import { followProgress } from "./progress.ts"
import { AuditTools, Interference } from "./tools.ts"
import { Witness } from "./witness.ts"

/**
 * Every call takes at least `slow` milliseconds. From call number `killAt` on none is finished any more, and a moment
 * later, in the middle of these calls, the process kills itself.
 */
const interference = (slow: number, killAt: number): Layer.Layer<Interference> =>
  Layer.sync(Interference, () => {
    let calls = 0
    return Interference.of({
      during: () =>
        Effect.suspend(() => {
          calls += 1
          if (calls < killAt) return slow === 0 ? Effect.void : Effect.sleep(slow)
          if (calls > killAt) return Effect.never
          return Effect.andThen(
            Effect.sleep("100 millis"),
            Effect.sync(() => {
              process.kill(process.pid, "SIGKILL")
            })
          )
        })
    })
  })

const work = Command.make(
  "worker",
  {
    run: Argument.String("run"),
    lockfile: Argument.String("lockfile"),
    directory: Flag.String("directory"),
    report: Flag.String("report"),
    witness: Flag.String("witness"),
    slow: Flag.Int("slow").pipe(Flag.withDefault(0)),
    killAt: Flag.Int("kill-at").pipe(Flag.withDefault(Number.MAX_SAFE_INTEGER))
  },
  ({ directory, killAt, lockfile, report, run, slow, witness }) =>
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      // The first process starts the run; the second joins it.
      const started = yield* runs.start(Audit, { lockfile, report }, { id: run })
      yield* followProgress(started)
      yield* runs.await(started).pipe(
        // Whoever started this process finds it in the journal, and tells it once.
        Effect.catchTag("LockfileUnreadable", () =>
          Effect.sync(() => {
            process.exitCode = 1
          })
        )
      )
    }).pipe(
      Effect.provide(
        Worker.layer({ flows: [Audit] }).pipe(
          Layer.provide(AuditHandlers),
          Layer.provide(AuditTools),
          Layer.provide([Witness.layer(witness), interference(slow, killAt)]),
          Layer.provide(FsStore.layer({ directory }))
        )
      )
    )
)

Command.run(work, { version: "0.0.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
