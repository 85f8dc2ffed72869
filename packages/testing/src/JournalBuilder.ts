/**
 * Builds journals that are valid: entries with the right positions, times, epochs and hashes, for tests of stores and
 * of whatever reads them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { Body, Of, Ops } from "@waymark/core/Event"
import { Hasher } from "@waymark/core/Hasher"
import type { Entry, Head } from "@waymark/core/Journal"
import * as Journal from "@waymark/core/Journal"
import * as RunInfo from "@waymark/core/RunInfo"
import * as Given from "./internal/given.ts"
import type { Acquired, Batch } from "@waymark/core/Store"

/**
 * What a step may know of where it will stand: the position of its entry, its time (milliseconds), and how many visits
 * the journal has before it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Place {
  readonly seq: number
  readonly time: number
  readonly visits: number
}

/**
 * An event without its header, or a function that makes one for its place.
 *
 * @category models
 * @since 0.1.0
 */
export type Step = Body | ((place: Place) => Body)

/**
 * A journal under construction. It holds what was built, which need not be what a store accepted: after a loss,
 * {@link JournalBuilder.rewind} goes back to where the store stands.
 *
 * @category models
 * @since 0.1.0
 */
export interface JournalBuilder {
  readonly run: string
  /** The position of the last entry, -1 before the first. */
  readonly seq: number
  /** The fencing token that the next entries carry. */
  readonly epoch: number
  /** Where the journal stands. It throws before the first entry. */
  readonly head: Head
  /** The row of the run index that follows from the entries. It throws before the first entry. */
  readonly info: RunInfo.RunInfo
  readonly entries: ReadonlyArray<Entry>
  /** Where the journal stood after the entry at `seq`. */
  readonly headAt: (seq: number) => Head
  /** The row of the run index after the entry at `seq`. */
  readonly infoAt: (seq: number) => RunInfo.RunInfo
  /** Adds entries that belong together. */
  readonly batch: (...steps: readonly [Step, ...ReadonlyArray<Step>]) => Batch
  /** Goes back to where a lease was given, and adds the `claimed` event that opens its epoch. */
  readonly claim: (acquired: Acquired) => Batch
  /** Drops the entries after `seq`. */
  readonly rewind: (seq: number) => void
  /** A journal that begins with a fork of this one at `seq`. */
  readonly fork: (
    run: string,
    seq: number,
    options?: ForkOptions
  ) => { readonly journal: JournalBuilder; readonly batch: Batch }
}

/**
 * How a journal begins. `time` is that of its first entry (milliseconds since 1970, 1,000,000 unless said otherwise);
 * each entry is a millisecond after the one before it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly time?: number | undefined
}

/**
 * What a fork says beside its origin.
 *
 * @category models
 * @since 0.1.0
 */
export interface ForkOptions extends Options {
  readonly fields?: Partial<Omit<Of<"forked">, "from" | "kind">> | undefined
}

const aStep = Given.kind(
  "a step, such as JournalBuilder.visited(), an event without its header, or a function that makes one",
  (value) => Given.aFunction.fits(value) || (Given.isObject(value) && Given.aText.fits(value["kind"]))
)

const build = (
  hash: (text: string) => string,
  run: string,
  origin: string,
  options?: Options
): JournalBuilder => {
  const start = options?.time ?? 1_000_000
  const entries: Array<Entry> = []
  const hashes: Array<string> = []
  let infos: Array<RunInfo.RunInfo> = []
  let visits = 0
  let epoch = 0

  const push = (step: Step): void => {
    const seq = entries.length
    const time = start + seq
    const body = typeof step === "function" ? step({ seq, time, visits }) : step
    const entry = Journal.entry({ run, seq, epoch, time, prev: hashes[seq - 1] ?? origin }, body)
    entries.push(entry)
    hashes.push(hash(entry.line))
    infos.push(RunInfo.apply(infos[seq - 1], entry.event))
    if (entry.event.kind === "visited") visits += 1
  }

  const present = (seq: number): number => {
    if (entries[seq] === undefined) {
      throw new RangeError(`the journal of run ${JSON.stringify(run)} has no entry at seq ${seq}`)
    }
    return seq
  }
  const headAt = (seq: number): Head => ({ seq, hash: hashes[present(seq)]! })
  const infoAt = (seq: number): RunInfo.RunInfo => infos[present(seq)]!

  const rewind = (seq: number): void => {
    entries.length = Math.min(entries.length, seq + 1)
    hashes.length = entries.length
    infos = infos.slice(0, entries.length)
    visits = entries.filter(({ event }) => event.kind === "visited").length
  }

  const batch: JournalBuilder["batch"] = (...steps) => {
    const some = steps.length === 0 ? [undefined] : steps
    Given.refuse(
      `the journal of run ${JSON.stringify(run)}: batch`,
      some.flatMap((step, index) => Given.problemOf(`steps[${index}]`, step, aStep))
    )
    const from = entries.length
    for (const step of steps) push(step)
    return { entries: entries.slice(from) as [Entry, ...Array<Entry>], head: hashes[hashes.length - 1]! }
  }

  return {
    run,
    entries,
    get seq() {
      return entries.length - 1
    },
    get epoch() {
      return epoch
    },
    get head() {
      return headAt(entries.length - 1)
    },
    get info() {
      return infoAt(entries.length - 1)
    },
    headAt,
    infoAt,
    batch,
    rewind,
    claim: ({ lease, previous, head: at }) => {
      rewind(at.seq)
      if (hashes[at.seq] !== at.hash) {
        throw new RangeError(
          `the lease on run ${JSON.stringify(run)} was given at seq ${at.seq}, ${at.hash}, which this journal does not hold`
        )
      }
      const before = entries[at.seq]!.event.epoch
      epoch = lease.epoch
      return batch({
        kind: "claimed",
        owner: lease.owner,
        cause: previous,
        previous: { epoch: before, seq: at.seq, hash: at.hash }
      })
    },
    fork: (fork, seq, forkOptions) => {
      const journal = build(hash, fork, headAt(seq).hash, forkOptions)
      const { flow, version } = infoAt(seq)
      return {
        journal,
        batch: journal.batch({
          kind: "forked",
          from: { run, seq },
          flow,
          version,
          ...forkOptions?.fields
        })
      }
    }
  }
}

/**
 * An empty journal of a run.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (run: string, options: Options = {}): Effect.Effect<JournalBuilder> =>
  Effect.map(Hasher, ({ hash }) => {
    Given.refuse("JournalBuilder.make", [
      ...Given.problemOf("run", run, Given.anyText),
      ...Given.problemsOf<Options>(options, { time: Given.optional(Given.aTime) })
    ])
    return build(hash, run, Journal.genesis, options)
  })

/**
 * The first event of a run, of a flow `flow` with one node `work` unless said otherwise.
 *
 * @category steps
 * @since 0.1.0
 */
export const created = (fields?: Partial<Omit<Of<"created">, "kind">>): Step => ({
  kind: "created",
  flow: "flow",
  version: 1,
  fingerprint: "f",
  start: "work",
  input: null,
  state: {},
  durability: "pipelined",
  maxSteps: 1_000_000,
  maxRecoveries: 10,
  ...fields
})

/**
 * A visit of `work` that leads to `work` again and makes the update `ops`, if there is one.
 *
 * @category steps
 * @since 0.1.0
 */
export const visited =
  (ops?: Ops): Step =>
  ({ time, visits }) => ({
    kind: "visited",
    node: "work",
    visit: visits + 1,
    attempt: 1,
    started: time,
    ...(ops === undefined ? undefined : { ops }),
    next: { to: "work" }
  })

/**
 * The run waits for an event of this name, or for a time if `due` (milliseconds since 1970) is given.
 *
 * @category steps
 * @since 0.1.0
 */
export const waitOpened =
  (wait: string, due?: number): Step =>
  ({ visits }) => ({
    kind: "waitOpened",
    node: "work",
    visit: visits + 1,
    attempt: 1,
    wait,
    on: due === undefined ? { type: "event", name: wait } : { type: "until" },
    ...(due === undefined ? undefined : { due })
  })

/**
 * A wait ended with a value.
 *
 * @category steps
 * @since 0.1.0
 */
export const waitEnded = (wait: string, value: Schema.Json): Step => ({
  kind: "waitEnded",
  wait,
  outcome: { value }
})

/**
 * Somebody paused the run.
 *
 * @category steps
 * @since 0.1.0
 */
export const paused: Step = { kind: "paused", reason: { kind: "requested" } }

/**
 * The run ended with an output.
 *
 * @category steps
 * @since 0.1.0
 */
export const completed = (output: Schema.Json = null): Step => ({ kind: "completed", output })

/**
 * The run ended with a typed error.
 *
 * @category steps
 * @since 0.1.0
 */
export const failed = (tag: string, message: string): Step => ({
  kind: "failed",
  error: { kind: "error", tag, error: { _tag: tag }, message }
})

/**
 * The run was cancelled.
 *
 * @category steps
 * @since 0.1.0
 */
export const cancelled = (reason: string): Step => ({ kind: "cancelled", reason })

/**
 * The checkpoint `at` was given a name, and tags if there are any. It may also follow the end of a run.
 *
 * @category steps
 * @since 0.1.0
 */
export const bookmarked = (at: number, name: string, tags?: ReadonlyArray<string>): Step => ({
  kind: "bookmarked",
  at,
  name,
  ...(tags === undefined ? undefined : { tags })
})

/**
 * A note, which may also follow the end of a run.
 *
 * @category steps
 * @since 0.1.0
 */
export const annotated = (note: string): Step => ({ kind: "annotated", note })
