/**
 * A process of a swarm: it has a worker, and does what it reads on its standard input.
 *
 * A request is a line `[number, what, n]`; it is answered by a line `[number, answer]` when what was asked for is durable.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Runs, Worker } from "@waymark/core"
import { FsStore } from "@waymark/store-fs"
import { Effect, Layer, References } from "effect"
import { appendFileSync } from "node:fs"
import { createInterface } from "node:readline"
import { Carry, Errand, handlers, idOf, kindOf, payloadOf } from "./errand.ts"

export type Request = readonly [number: number, what: "start" | "signal" | "cancel" | "drain", n: number]

const [directory = "", witness = "", leaseTtl = "1000"] = process.argv.slice(2)

const carry = Carry.toLayer(({ call, n }) =>
  Effect.sync(() => {
    appendFileSync(witness, `${n} ${call} ${process.pid}\n`)
    return n + call
  })
)

const say = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`)

const carryOut = Effect.fnUntraced(function* (what: Request[1], n: number) {
  const runs = yield* Runs.Runs
  const run = Runs.ref(Errand, idOf(n))
  switch (what) {
    case "start":
      yield* runs.start(Errand, { n, kind: kindOf(n) }, { id: idOf(n) })
      return
    case "signal":
      yield* runs.signal(run, "go", payloadOf(n), { commandId: `go-${n}` })
      return
    case "cancel":
      yield* runs.cancel(run, "it takes too long", { commandId: `cancel-${n}`, until: "accepted" })
  }
})

const serve = Effect.gen(function* () {
  const fork = Effect.runForkWith(yield* Effect.context<Runs.Runs>())
  say([0, "ready"])
  yield* Effect.callback<void>((resume) => {
    const lines = createInterface({ input: process.stdin })
    lines.on("line", (line) => {
      const [number, what, n] = JSON.parse(line) as Request
      if (what === "drain") return resume(Effect.void)
      fork(
        Effect.match(carryOut(what, n), {
          onSuccess: () => say([number, "done"]),
          onFailure: (error) => say([number, `${error._tag}: ${error.message}`])
        })
      )
    })
    lines.on("close", () => resume(Effect.void))
  })
})

serve.pipe(
  Effect.provide(
    // What is said on the standard output is answers.
    Worker.layer({ flows: [Errand], sweep: "1 second", timers: "1 second" }).pipe(
      Layer.provide(handlers),
      Layer.provide(carry),
      Layer.provide(FsStore.layer({ directory, leaseTtl: Number(leaseTtl), pollInterval: 50 })),
      Layer.provideMerge(Layer.succeed(References.LogToStderr, true))
    )
  ),
  NodeRuntime.runMain
)
