/**
 * The demonstration: an agent is killed inside a request to the model and inside a call of a tool, runs out of tokens,
 * asks before it does something dangerous, and pays for nothing twice.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Runs } from "@waymark/core"
import { FsStore } from "@waymark/store-fs"
import { Console, DateTime, Effect, FileSystem, Layer, Path, Schema } from "effect"
import { Command } from "effect/cli"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { Agent, Turn } from "./agent.ts"
import { account } from "./witness.ts"

/** What must never happen. */
class Unexpected extends Schema.TaggedError<Unexpected>()("Unexpected", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

const question = "Why was the light of Northreach dark on the night of 3 March?"

/** A person who looks after a run: gives it more tokens when it has none left, and says yes to what it asks. */
const operator = Effect.fn("operator")(function* (run: Runs.Run<typeof Agent>) {
  const runs = yield* Runs.Runs
  const person = { actor: "ada" }
  while (true) {
    const { budgets, status } = yield* Runs.awaitUntil(
      run,
      (info) => info.status === "paused" || info.status === "completed" || info.waits.length > 0
    )
    if (status === "completed") return
    if (status === "paused") {
      const { limit, spent } = budgets!["tokens"]!
      yield* Console.log(
        `  paused: ${spent} tokens are spent, of ${limit}; ada gives it 10000, and resumes it`
      )
      yield* runs.setLimits(run, { budgets: { tokens: 10_000 } }, person)
      yield* runs.resume(run, person)
      yield* Runs.awaitUntil(run, (info) => info.status !== "paused")
      continue
    }
    const { waits } = yield* runs.stateAt(run)
    for (const [wait, { on }] of waits) {
      if (on.type !== "user" || typeof on.prompt !== "string") continue
      const { prompt } = on
      yield* Console.log(`  asks: ${prompt.length > 96 ? `${prompt.slice(0, 95)}…` : prompt}`)
      yield* Console.log("  ada says: approve")
      yield* runs.answer(run, wait, "approve", { ...person, until: "applied" })
    }
  }
})

const demo = Command.make(
  "demo",
  {},
  Effect.fn(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
    const here = path.dirname(yield* path.fromFileUrl(new URL(import.meta.url)))
    const directory = path.resolve(here, "../.waymark")
    const id = `agent-${DateTime.formatIso(yield* DateTime.now).replaceAll(/[:.]/g, "-")}`
    const output = path.join(directory, "demo", id)
    const witness = path.join(output, "witness.jsonl")
    const reports = path.join(output, "reports")
    yield* fs.makeDirectory(output, { recursive: true })
    const shown = (file: string) => path.relative(process.env["INIT_CWD"] ?? process.cwd(), file)

    /** Runs a worker to its end; the answer is how it ended. */
    const worker = Effect.fnUntraced(function* (killIn: string | undefined) {
      const script = ["--conditions=@waymark/source", path.join(here, "worker.ts"), id, question]
      const folders = ["--directory", directory, "--library", path.resolve(here, "../library")]
      const files = ["--reports", reports, "--witness", witness]
      const handle = yield* spawner.spawn(
        ChildProcess.make(
          process.execPath,
          [...script, ...folders, ...files, ...(killIn === undefined ? [] : ["--kill-in", killIn])],
          {
            stdout: "inherit",
            stderr: "inherit"
          }
        )
      )
      yield* Console.log(
        `process ${handle.pid}${killIn === undefined ? "" : `, which will kill itself in ${killIn}`}`
      )
      return yield* Effect.result(handle.exitCode)
    }, Effect.scoped)

    const client = Layer.provide(Runs.layer, FsStore.layer({ directory }))

    yield* Console.log(`${question}\n`)
    yield* worker("model:2")
    yield* Console.log("  killed with SIGKILL, inside its second request to the model")
    yield* worker("read_section:2")
    yield* Console.log("  killed with SIGKILL, inside a call of a tool")
    const run = Runs.ref(Agent, id)
    const { ended, result, turns } = yield* Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const [last] = yield* Effect.all([worker(undefined), operator(run)], { concurrency: 2 })
      return {
        ended: last,
        result: yield* runs.await(run),
        turns: yield* Runs.outputs(run, Turn)
      }
    }).pipe(Effect.provide(client))

    yield* Console.log("\nwhat it did, from the outputs of the run")
    for (const { value } of turns.items) {
      const calls = value.calls.length === 0 ? "" : `  ▸ ${value.calls.join(", ")}`
      yield* Console.log(`  turn ${value.turn}, ${value.tokens} tokens: ${value.said}${calls}`)
    }

    yield* Console.log("\nwhat was executed, from the file that the model and the tools themselves wrote")
    const model = yield* account(witness, "model")
    const tools = yield* account(witness, "tool")
    yield* Console.log(
      `  requests to the model: ${model.begun}; completed ones made again: ${model.completedAgain}`
    )
    yield* Console.log(`  calls of tools: ${tools.begun}; completed ones made again: ${tools.completedAgain}`)
    yield* Console.log(
      `  under way at a kill, and made again with the same key: ${model.inDoubtAgain} of the model, ${tools.inDoubtAgain} of tools`
    )
    yield* Console.log(`\n${result.answer}`)
    for (const name of yield* fs.readDirectory(reports)) {
      yield* Console.log(`  report   ${shown(path.join(reports, name))}`)
    }
    yield* Console.log(`  witness  ${shown(witness)}`)

    if (ended._tag === "Failure") return yield* ended.failure
    if (model.completedAgain + tools.completedAgain > 0) {
      return yield* new Unexpected({ detail: "completed calls were made again" })
    }
    if (model.inDoubtAgain === 0 || tools.inDoubtAgain === 0) {
      return yield* new Unexpected({ detail: "a kill did not hit a call that was under way" })
    }
  })
)

Command.run(demo, { version: "0.0.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
