/**
 * A progress bar fed by the run's own durable events.
 */
import { Runs } from "@waymark/core"
import type { Flow } from "@waymark/core"
import { Effect, Stream, Terminal } from "effect"

const width = 40

const draw = (done: number, total: number): string => {
  const filled = total === 0 ? 0 : Math.round((done / total) * width)
  return `${"█".repeat(filled)}${"░".repeat(width - filled)} ${done}/${total}`
}

/** Shows how many of the packages are inspected until the run has ended. */
export const followProgress = <F extends Flow.Any>(run: Runs.Run<F>) =>
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const terminal = yield* Terminal.Terminal
    const inPlace = process.stdout.isTTY
    // What an earlier process did is counted, and shown as where this one begins.
    const { seq: begin } = yield* runs.get(run)
    let total = 0
    let done = 0
    let shown = -1
    const show = Effect.suspend(() => {
      const share = total === 0 ? 0 : Math.floor((done / total) * 10)
      if (!inPlace && share === shown) return Effect.void
      shown = share
      return terminal.display(inPlace ? `\r  ${draw(done, total)}` : `  ${draw(done, total)}\n`)
    })
    yield* runs.events(run).pipe(
      Stream.runForEach((event) =>
        Effect.suspend(() => {
          if (event.kind !== "visited" || event.ops === undefined) return Effect.void
          const { inspected, packages } = event.ops
          if (packages !== undefined && "append" in packages) total += packages.append.length
          if (inspected !== undefined && "add" in inspected) done += inspected.add
          return event.seq < begin ? Effect.void : show
        })
      )
    )
    if (inPlace) yield* terminal.display("\n")
  })
