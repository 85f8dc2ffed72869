/**
 * The demonstration: two purchases, whose approver does not answer. The worker is killed while they wait, comes back
 * after the reminders were due, and asks the next approver, who decides at a prompt. A second stands for a day here.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Runs } from "@waymark/core"
import { FsStore } from "@waymark/store-fs"
import { Console, DateTime, Effect, FileSystem, Layer, Path, Schema } from "effect"
import { Command } from "effect/cli"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { desk } from "./desk.ts"
import { euros } from "./handlers.ts"
import { Purchase } from "./purchase.ts"
import * as Typist from "./typist.ts"

/** What must never happen. */
class Unexpected extends Schema.TaggedError<Unexpected>()("Unexpected", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

const approvers = [
  { name: "lead", remindAfter: 1_000, reminders: 1 },
  { name: "head", remindAfter: 86_400_000, reminders: 1 }
]

const demo = Command.make(
  "demo",
  {},
  Effect.fn(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
    const here = path.dirname(yield* path.fromFileUrl(new URL(import.meta.url)))
    const directory = path.resolve(
      here,
      "../.waymark",
      DateTime.formatIso(yield* DateTime.now).replaceAll(/[:.]/g, "-")
    )
    const ledger = path.join(directory, "ledger.txt")
    yield* fs.makeDirectory(directory, { recursive: true })
    yield* fs.writeFileString(ledger, "")

    const worker = spawner.spawn(
      ChildProcess.make(
        process.execPath,
        [
          "--conditions=@waymark/source",
          path.join(here, "cli.ts"),
          "work",
          "--directory",
          directory,
          "--ledger",
          ledger
        ],
        { stdout: "ignore", stderr: "inherit" }
      )
    )
    /** Waits until a person is asked something by both runs. */
    const asked = (person: string, ids: ReadonlyArray<string>) =>
      Effect.forEach(ids, (id) =>
        Runs.awaitUntil(id, ({ waits }) => waits.some(({ name }) => name === person))
      )

    const { bought, refused } = yield* Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const first = yield* worker
      const seats = yield* runs.start(
        Purchase,
        {
          requester: "ada",
          lines: [
            { article: "desk", quantity: 1 },
            { article: "chair", quantity: 2 }
          ],
          approvers
        },
        { id: "seats" }
      )
      const lamps = yield* runs.start(
        Purchase,
        {
          requester: "ben",
          lines: [
            { article: "lamp", quantity: 40 },
            { article: "desk", quantity: 20 }
          ],
          approvers
        },
        { id: "lamps" }
      )
      yield* asked("lead", ["seats", "lamps"])
      yield* first.kill({ killSignal: "SIGKILL" }).pipe(Effect.ignore)
      yield* Console.log("the lead is asked; the worker is killed with SIGKILL, and three days go by")
      yield* Effect.sleep("3 seconds")

      yield* worker
      yield* Console.log("a new worker: what was due meanwhile happens now")
      yield* asked("head", ["seats", "lamps"])
      yield* Console.log("the lead did not answer to the reminder either; the head is asked, at a prompt\n")
      const answered = yield* desk("head")
      if (answered !== 2) return yield* new Unexpected({ detail: `${answered} of 2 questions were answered` })
      return { bought: yield* runs.await(seats), refused: yield* Effect.flip(runs.await(lamps)) }
    }).pipe(
      Effect.provide([
        Layer.provide(Runs.layer, FsStore.layer({ directory })),
        // The first prompt gets an Enter; at the second the cursor goes down first.
        Typist.layer([["return"], ["down", "return"]], (text) =>
          Effect.sync(() => process.stdout.write(text))
        )
      ]),
      Effect.scoped
    )

    yield* Console.log("\nwhat became of them")
    yield* Console.log(`  seats: ordered for ${euros(bought.cents)}, approved by ${bought.approvedBy}`)
    yield* Console.log(`  lamps: ${refused.message}`)
    yield* Console.log("\nwhat happened, from the file that the tools themselves wrote")
    const lines = (yield* fs.readFileString(ledger)).trim().split("\n")
    for (const line of lines) yield* Console.log(`  ${line}`)
    const twice = lines.filter((line, index) => lines.indexOf(line) !== index)
    if (lines.filter((line) => line.startsWith("released")).length !== 2) {
      return yield* new Unexpected({ detail: "what was reserved for the lamps was not released" })
    }
    if (twice.length > 0) return yield* new Unexpected({ detail: `happened twice: ${twice.join("; ")}` })
  })
)

Command.run(demo, { version: "0.0.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
