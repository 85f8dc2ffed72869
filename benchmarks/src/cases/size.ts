/**
 * What a step costs in a database of 10 MB and in one of 500 MB, while the log is folded in.
 */
import { readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { Store } from "@waymark/core/Store"
import * as NodeSqljsStore from "@waymark/store-sqljs/NodeSqljsStore"
import * as Journal from "@waymark/testing/JournalBuilder"
import * as Effect from "effect/Effect"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { text } from "../flows.ts"
import type { Case, Setting } from "../harness/case.ts"
import { median, percentile } from "../harness/measurement.ts"
import type { Measurement } from "../harness/measurement.ts"
import { appendAndSync } from "../harness/raw.ts"
import { formatNumber } from "../harness/table.ts"

const megabyte = 1024 * 1024
const eventSize = 1000
/** How long the log may become: what stands in the options as their default. */
const foldBytes = 16 * megabyte

const open = (file: string) =>
  ManagedRuntime.make(NodeSqljsStore.layer({ file, maxBytes: 2048 * megabyte, foldBytes }))

/** Runs of events of 1 kB, until the file is so large. */
const fill = async (file: string, bytes: number): Promise<void> => {
  const runs = Math.ceil(bytes / (100 * (eventSize + 400)))
  const store = open(file)
  await store.runPromise(
    Store.use((store) =>
      Effect.forEach(
        Array.from({ length: runs }, (_, index) => index),
        Effect.fnUntraced(function* (index) {
          const journal = yield* Journal.make(`run-${index}`, { time: 1_700_000_000_000 + index })
          const batch = journal.batch(
            Journal.created({ input: { index, text: text(100, index) } }),
            ...Array.from({ length: 98 }, (_, at) => Journal.annotated(text(eventSize, index * 100 + at))),
            Journal.completed()
          )
          yield* store.release(yield* store.create(batch, { holder: "filling" }))
        }),
        { concurrency: 64, discard: true }
      )
    )
  )
  await store.dispose()
}

/** What this process has handed to the system to write, in bytes; `undefined` where the system does not tell. */
const written = (): number | undefined => {
  try {
    const found = /^wchar: (\d+)$/m.exec(readFileSync("/proc/self/io", "utf8"))
    return found === null ? undefined : Number(found[1])
  } catch {
    return undefined
  }
}

interface Steps {
  /** Each in milliseconds, from the append until it is durable. */
  readonly samples: ReadonlyArray<number>
  readonly pause: number
  /** Bytes written for each byte of an event. */
  readonly amplification: number | undefined
  readonly folds: number
  readonly closed: number
}

/** One run, one step after the other, until the log was folded in so often. */
const measureSteps = async (file: string, folds: number): Promise<Steps> => {
  const store = open(file)
  await store.runPromise(Effect.void)
  const samples: Array<number> = []
  const histogram = monitorEventLoopDelay({ resolution: 1 })
  let changed = statSync(file).mtimeMs
  let seen = 0
  let eventBytes = 0
  const before = written()
  histogram.enable()
  await store.runPromise(
    Store.use((store) =>
      Effect.gen(function* () {
        const journal = yield* Journal.make("measured", { time: 1_800_000_000_000 })
        const lease = yield* store.create(journal.batch(Journal.created()), { holder: "measuring" })
        for (let step = 0; seen < folds; step++) {
          const seq = journal.seq
          const batch = journal.batch(Journal.annotated(text(eventSize, step)))
          eventBytes += batch.entries[0].line.length
          const start = performance.now()
          yield* store.append(lease, seq, batch)
          yield* store.sync(lease)
          samples.push(performance.now() - start)
          if (step % 64 !== 0) continue
          const { mtimeMs } = statSync(file)
          // One that is under way goes on changing it for a moment.
          if (mtimeMs > changed + 1000) seen += 1
          changed = mtimeMs
        }
      })
    )
  )
  histogram.disable()
  const after = written()
  const start = performance.now()
  await store.dispose()
  return {
    samples,
    pause: Math.max(0, histogram.max / 1e6 - 1),
    amplification: before === undefined || after === undefined ? undefined : (after - before) / eventBytes,
    folds: seen,
    closed: performance.now() - start
  }
}

const measure = async ({ directory, quick }: Setting): Promise<ReadonlyArray<Measurement>> => {
  const sizes = quick ? [10, 50] : [10, 500]
  const found: Array<readonly [size: number, steps: Steps, opened: number]> = []
  for (const size of sizes) {
    const file = join(directory, `${size}.sqlite`)
    await fill(file, size * megabyte)
    const start = performance.now()
    const store = open(file)
    await store.runPromise(Effect.void)
    const opened = performance.now() - start
    await store.dispose()
    found.push([size, await measureSteps(file, quick ? 1 : 3), opened])
  }
  const raw: Array<number> = []
  for (let i = 0; i < 2000; i++) raw.push(await appendAndSync(directory, { bytes: 1500, writes: 1 }))
  const first = found[0]!
  return found.flatMap(([size, steps, opened]): ReadonlyArray<Measurement> => {
    const place = `store-sqljs, ${size} MB`
    const beside = (value: (steps: Steps) => number) =>
      size === first[0] ? [] : [{ name: `${first[0]} MB`, samples: [value(first[1])] }]
    const line = (title: string, value: (steps: Steps) => number, note?: string): Measurement => ({
      title: `${title}, ${place}`,
      unit: "ms",
      samples: [value(steps)],
      baselines: beside(value),
      ...(note === undefined ? undefined : { note })
    })
    return [
      line(
        "a step of 1 kB until it is durable, p50",
        ({ samples }) => median(samples),
        `${steps.samples.length.toLocaleString("en")} steps with ${steps.folds} folds; the raw disk ${formatNumber(median(raw))} ms; opening the store took ${formatNumber(opened)} ms, closing it ${formatNumber(steps.closed)} ms`
      ),
      line(
        "the same, p99",
        ({ samples }) => percentile(samples, 0.99),
        `the raw disk ${formatNumber(percentile(raw, 0.99))} ms`
      ),
      line(
        "the same, the longest",
        ({ samples }) => Math.max(...samples),
        `the raw disk ${formatNumber(Math.max(...raw))} ms`
      ),
      line("the same, longest pause of the process", ({ pause }) => pause),
      ...(steps.amplification === undefined
        ? []
        : [
            {
              title: `the same, bytes written for each byte of an event, ${place}`,
              unit: "bytes",
              samples: [steps.amplification],
              baselines: beside(({ amplification }) => amplification ?? Number.NaN)
            }
          ])
    ]
  })
}

export const cases: ReadonlyArray<Case> = [{ name: "size-sqljs", measure }]
