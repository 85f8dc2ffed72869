/**
 * Writes what all runs of this instance appended: one write, one sync and one look at the lease for as many as there are.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import * as Scope from "effect/Scope"
import type { Batch, StoreError } from "@waymark/core/Store"
import type { Catalog } from "./catalog.ts"
import { fileName } from "./catalog.ts"
import type { Disk } from "@waymark/store-kit/Disk"
import { failure, fromPlatform } from "@waymark/store-kit/Failures"
import { formatControl, formatVersion } from "./format.ts"
import type { SegmentHeader } from "./format.ts"
import { makeSegment } from "./model.ts"
import type { Position, Run, Segment } from "./model.ts"
import type { Ownership } from "./ownership.ts"
import * as SegmentFile from "./segmentFile.ts"
import * as Sums from "./sums.ts"
import type { ProcessIdentity } from "@waymark/store-kit/ProcessIdentity"
import type { Wakeups } from "@waymark/store-kit/Wakeups"

/** Lines that stand or fall together. */
export interface Unit {
  /** The run whose entries these are. */
  readonly run: Run | undefined
  readonly batch: Batch | undefined
  /** Control lines before and after the entries. */
  readonly before: ReadonlyArray<string>
  readonly after: ReadonlyArray<string>
  /** What the control lines are about, if somebody would miss them. */
  readonly tag?: string
  /**
   * Told when it is durable, after its entries were taken in; `offset` and `length` are of its last line. Others may not
   * have been told yet, so whoever waits for it is to be woken later.
   */
  readonly done: ((segment: Segment, offset: number, length: number) => void) | undefined
  /** Told when it will not be; `"lost"` if that is because the lease is gone. */
  readonly failed: ((why: StoreError | "lost") => void) | undefined
}

export interface Pump {
  /** To be written now: somebody waits for it. */
  readonly enqueue: (unit: Unit) => void
  /** To be written with whatever is written next, after a moment at the latest, or when somebody is in a hurry. */
  readonly enqueueSoon: (unit: Unit) => void
  /** Somebody waits for what was enqueued. */
  readonly hurry: () => void
  /** Lines that go along with the next unit; they alone cause no write. */
  readonly enqueueLazily: (line: string) => void
  /** Whether so much is unsynced that those who append have to wait. */
  readonly isFull: () => boolean
  readonly awaitRoom: Effect.Effect<void>
  /** How far this instance's series is durable. */
  readonly position: () => Position
  /** Looks at the lease though there may be nothing to write: it was seen to be gone. */
  readonly giveUp: () => void
  /** Runs until it is interrupted. */
  readonly run: Effect.Effect<never>
  /**
   * Writes what was enqueued, and says behind it that the series is closed, if there is one: nobody reads on from there, so
   * whatever is enqueued from now on is refused.
   */
  readonly close: Effect.Effect<void>
}

export interface Options {
  readonly disk: Disk
  readonly catalog: Catalog
  readonly identity: ProcessIdentity["Service"]
  readonly ownership: Ownership
  /** In bytes. */
  readonly segmentSize: number
  /** In characters. */
  readonly maxUnsynced: number
  readonly scope: Scope.Scope
  readonly wakeups: Wakeups
  /** Called when writing failed or the lease is gone, before anybody is told. */
  readonly onFailure: (why: StoreError | "lost") => void
  readonly onSettled: () => void
}

/** The segment that is written. */
interface Active {
  readonly segment: Segment
  readonly path: string
  readonly file: FileSystem.File
  readonly scope: Scope.Closeable
  /** Everything before this is durable. */
  end: number
  /** Where the last `synced` line stands. */
  noted: number
}

/** After so many bytes a line says that everything before it is synced. */
const noteInterval = 16 * 1024

/**
 * What nobody waits for is written after so many milliseconds, or when there are so many characters of it. A sync costs the
 * disk the same for one line as for hundreds, and what it costs, those who do wait for something wait longer.
 */
const patience = 4
const enough = 64 * 1024

/** Collects lines as bytes. */
const makeEncoder = () => {
  let buffer = Buffer.allocUnsafe(256 * 1024)
  let size = 0
  const grow = (needed: number): void => {
    const grown = Buffer.allocUnsafe(Math.max(needed, buffer.length * 2))
    buffer.copy(grown, 0, 0, size)
    buffer = grown
  }
  return {
    reset: () => {
      // One huge value does not keep its memory.
      if (buffer.length > 8 * 1024 * 1024) buffer = Buffer.allocUnsafe(256 * 1024)
      size = 0
    },
    /** Leaves room for something that is known later; gives where. */
    reserve: (length: number): number => {
      const at = size
      if (size + length > buffer.length) grow(size + length)
      size += length
      return at
    },
    /** Fills such a room. */
    fill: (at: number, text: string): void => {
      buffer.write(text, at, "latin1")
    },
    /** What was written from a place on. */
    since: (at: number): Buffer => buffer.subarray(at, size),
    line: (text: string): void => {
      const needed = size + text.length * 3 + 1
      if (needed > buffer.length) grow(needed)
      size += buffer.write(text, size, "utf8")
      buffer[size++] = 0x0a
    },
    get size() {
      return size
    },
    bytes: () => buffer.subarray(0, size)
  }
}

/** What to tell those who wait. Whatever went wrong, somebody has to be told, and the pump goes on. */
const errorIn = (cause: Cause.Cause<StoreError>): StoreError => {
  const error = Cause.findErrorOption(cause)
  if (error._tag === "Some") return error.value
  return Cause.hasInterruptsOnly(cause)
    ? failure({ _tag: "Closed", detail: "this store was closed" })
    : failure({ _tag: "Io", code: "unexpected" }, Cause.squash(cause))
}

const noLines: ReadonlyArray<string> = []

const emptySums = formatControl({ $: "sums", of: "" })

/** A unit of journal entries alone. */
export const entries = (run: Run, batch: Batch): Unit => ({
  run,
  batch,
  before: noLines,
  after: noLines,
  done: undefined,
  failed: undefined
})

const linesOf = (unit: Unit): number =>
  unit.before.length + (unit.batch?.entries.length ?? 0) + unit.after.length

const sizeOf = (unit: Unit): number => {
  let size = 0
  if (unit.batch !== undefined) for (const { line } of unit.batch.entries) size += line.length
  for (const line of unit.before) size += line.length
  for (const line of unit.after) size += line.length
  return size
}

export const make = (options: Options): Pump => {
  const { catalog, disk, identity, ownership, wakeups } = options
  const encoder = makeEncoder()
  let queue: Array<Unit> = []
  let lazy: Array<string> = []
  let unsynced = 0
  let wake: (() => void) | undefined
  const waitingForRoom: Array<() => void> = []
  let active: Active | undefined
  /** The last segment that counts, of the series that is written, and how far. */
  let last: { readonly series: string; readonly segment: number; readonly end: number } | undefined
  let attempts = 0
  let suspicious = false
  /** Whether somebody waits for something in the queue. */
  let hurried = false
  let waiting = false
  let writing = false
  let closed = false

  const refuse = (unit: Unit): void => {
    unit.failed?.(failure({ _tag: "Closed", detail: "this store was closed" }))
    wakeups.flush()
  }

  const hurry = (): void => {
    hurried = true
    wake?.()
  }

  const enqueueSoon = (unit: Unit): void => {
    if (closed) return refuse(unit)
    queue.push(unit)
    unsynced += sizeOf(unit)
    if (unsynced >= enough) return hurry()
    if (hurried || waiting) return
    waiting = true
    wakeups.fork(
      Effect.andThen(
        identity.pause(patience, "busy"),
        Effect.sync(() => {
          waiting = false
          if (queue.length > 0) hurry()
        })
      )
    )
  }

  const enqueue = (unit: Unit): void => {
    if (closed) return refuse(unit)
    queue.push(unit)
    unsynced += sizeOf(unit)
    hurry()
  }

  const makeRoom = (): void => {
    if (unsynced >= options.maxUnsynced) return
    for (const resume of waitingForRoom.splice(0)) resume()
  }

  const fail = (units: ReadonlyArray<Unit>, why: StoreError | "lost"): void => {
    const all = [...units, ...queue]
    queue = []
    unsynced = 0
    hurried = false
    options.onFailure(why)
    for (const unit of all) unit.failed?.(why)
    wakeups.flush()
    makeRoom()
  }

  /** The segment that is written, if the next lines go there, too. */
  const goOn = (): Active | undefined =>
    active !== undefined && active.segment.series === ownership.current() && active.end < options.segmentSize
      ? active
      : undefined

  /** Begins a segment; its header goes out with the first lines. */
  const begin = Effect.fnUntraced(function* () {
    const series = yield* ownership.ensure
    if (active !== undefined) {
      yield* Scope.close(active.scope, Exit.void)
      active = undefined
    }
    if (last?.series !== series.id) {
      last = undefined
      attempts = 0
    }
    const segment = makeSegment(series, ++attempts, 0)
    const path = disk.path("segments", fileName(segment))
    const scope = yield* Scope.fork(options.scope)
    const file = yield* disk.open(path, "ax").pipe(
      Scope.provide(scope),
      Effect.onError(() => Scope.close(scope, Exit.void))
    )
    active = { segment, path, file, scope, end: 0, noted: 0 }
    return active
  })

  /** Closes a segment in which something failed. What it holds beyond its end is nothing, whatever becomes of it. */
  const abandon = (target: Active): Effect.Effect<void> => {
    active = undefined
    const tidy =
      target.end === 0
        ? disk.remove(target.path)
        : Effect.mapError(target.file.truncate(target.end), fromPlatform(target.path))
    return Effect.andThen(
      // Only to free the space: the next segment says that these bytes do not count.
      Effect.catch(tidy, (error) =>
        Effect.logDebug("a segment could not be cut", { path: target.path, error: error.message })
      ),
      Scope.close(target.scope, Exit.void)
    )
  }

  /** Writes the lines of the units behind one another; afterwards `offsets` holds where each line begins, and the end. */
  const encode = (target: Active, units: ReadonlyArray<Unit>, offsets: Array<number>): Uint8Array => {
    encoder.reset()
    let sums = ""
    const line = (text: string, tag = Sums.noTag): void => {
      const at = encoder.size
      encoder.line(text)
      sums += Sums.sumOf(encoder.since(at).subarray(0, -1)) + tag
    }
    const note = (text: string, tag: string | undefined): void => {
      offsets.push(target.end + encoder.size)
      line(text, tag)
    }
    if (target.end === 0) {
      const header: SegmentHeader = {
        $: "segment",
        format: formatVersion,
        series: target.segment.series.id,
        segment: target.segment.number,
        ...(last === undefined ? undefined : { closes: { segment: last.segment, end: last.end } })
      }
      encoder.line(SegmentFile.formatHeader(header))
    } else if (target.end - target.noted >= noteInterval) {
      encoder.line(formatControl({ $: "synced", to: target.end }))
    }
    // The checksums stand before the lines, so that these can be checked as they come.
    let count = lazy.length
    for (const unit of units) {
      const lines = linesOf(unit)
      count += lines > 1 ? lines + 1 : lines
    }
    const place = encoder.reserve(emptySums.length + Sums.lengthOf(count) + 1)
    for (const text of lazy) line(text)
    for (const unit of units) {
      const lines = linesOf(unit)
      if (lines > 1) line(formatControl({ $: "batch", lines }))
      for (const line of unit.before) note(line, unit.tag)
      if (unit.batch !== undefined && unit.run !== undefined) {
        const tag = Sums.tagOf("entry", unit.run.id, unit.run.incarnation)
        for (const { line } of unit.batch.entries) note(line, tag)
      }
      for (const line of unit.after) note(line, unit.tag)
      // Where the next line begins, which may be that of a batch.
      offsets.push(target.end + encoder.size)
    }
    encoder.fill(place, `${formatControl({ $: "sums", of: Sums.pack(sums) })}\n`)
    return encoder.bytes()
  }

  /** Takes in what has become durable, and tells those who wait for it. */
  const settle = (target: Active, units: ReadonlyArray<Unit>, offsets: ReadonlyArray<number>): void => {
    const { segment } = target
    let at = 0
    for (const unit of units) {
      const { batch, run } = unit
      at += unit.before.length
      if (batch !== undefined && run !== undefined) {
        for (const entry of batch.entries) {
          catalog.takeOwn(run, segment, offsets[at]!, offsets[at + 1]! - offsets[at]!, entry)
          at += 1
        }
        run.hash = batch.head
        run.lastLine = ""
      }
      at += unit.after.length
      unit.done?.(segment, offsets[at - 1]!, offsets[at]! - offsets[at - 1]!)
      at += 1
    }
    for (const { run } of units) {
      if (run?.waiters === undefined) continue
      const waiting = run.waiters
      run.waiters = undefined
      for (const waiter of waiting) {
        if (waiter.seq <= run.last) wakeups.later(() => waiter.done(undefined))
        else (run.waiters ??= []).push(waiter)
      }
    }
  }

  const lose = Effect.fnUntraced(function* (units: ReadonlyArray<Unit>) {
    if (active !== undefined) yield* Scope.close(active.scope, Exit.void)
    active = undefined
    ownership.relinquish()
    fail(units, "lost")
  })

  /** Makes bytes durable, and then looks whether they were written in time. */
  const write = (target: Active, bytes: Uint8Array): Effect.Effect<boolean, StoreError> => {
    const synced = Effect.mapError(
      Effect.andThen(target.file.writeAll(bytes), target.file.sync),
      fromPlatform(target.path)
    )
    return Effect.andThen(
      target.end === 0 ? Effect.andThen(synced, disk.syncDirectory(disk.path("segments"))) : synced,
      ownership.isHeld
    )
  }

  const writeGroup: Effect.Effect<void> = Effect.gen(function* () {
    if (suspicious) {
      suspicious = false
      // If that cannot be told, the next group will meet the same error.
      const held = yield* Effect.orElseSucceed(ownership.isHeld, () => true)
      if (!held && ownership.current() !== undefined) return yield* lose([])
    }
    if (queue.length === 0) return
    const units = queue
    const size = unsynced
    queue = []
    hurried = false
    let target = goOn()
    if (target === undefined) {
      const begun = yield* Effect.exit(begin())
      if (Exit.isFailure(begun)) return fail(units, errorIn(begun.cause))
      target = begun.value
    }
    const offsets: Array<number> = []
    const withLazy = lazy.length
    const bytes = encode(target, units, offsets)
    const outcome = yield* Effect.exit(write(target, bytes))
    if (Exit.isFailure(outcome)) {
      yield* abandon(target)
      return fail(units, errorIn(outcome.cause))
    }
    if (!outcome.value) return yield* lose(units)
    const { segment } = target
    if (target.end === 0) segment.series.segments.set(segment.number, segment)
    if (target.end === 0 || target.end - target.noted >= noteInterval) target.noted = target.end
    if (withLazy > 0) lazy = lazy.slice(withLazy)
    target.end += bytes.length
    last = { series: segment.series.id, segment: segment.number, end: target.end }
    segment.series.at = { segment: segment.number, offset: target.end }
    unsynced -= size
    settle(target, units, offsets)
    ownership.mark({ segment: segment.number, offset: target.end })
    catalog.notify()
    wakeups.flush()
    makeRoom()
    options.onSettled()
  })

  const group = Effect.suspend(() => {
    writing = true
    return Effect.map(writeGroup, () => {
      writing = false
    })
  })

  const awaitWork = Effect.callback<void>((resume) => {
    if (hurried || suspicious) return resume(Effect.void)
    wake = () => {
      wake = undefined
      // Whatever else is about to be enqueued in this turn of the event loop goes along.
      resume(Effect.yieldNow)
    }
  })

  return {
    enqueue,
    enqueueSoon,
    hurry: () => {
      if (queue.length > 0) hurry()
    },
    enqueueLazily: (line) => {
      lazy.push(line)
    },
    giveUp: () => {
      suspicious = true
      wake?.()
    },
    isFull: () => unsynced >= options.maxUnsynced,
    awaitRoom: Effect.callback<void>((resume) => {
      const done = () => resume(Effect.void)
      if (unsynced < options.maxUnsynced) return done()
      waitingForRoom.push(done)
      if (queue.length > 0) hurry()
      return Effect.sync(() => {
        const at = waitingForRoom.indexOf(done)
        if (at >= 0) waitingForRoom.splice(at, 1)
      })
    }),
    position: () =>
      last === undefined ? { segment: 0, offset: 0 } : { segment: last.segment, offset: last.end },
    run: Effect.forever(Effect.andThen(awaitWork, group)),
    close: Effect.callback<void>((resume) => {
      const end = () => resume(Effect.void)
      if (!writing && queue.length === 0 && ownership.current() === undefined) end()
      else {
        enqueue({
          run: undefined,
          batch: undefined,
          before: [formatControl({ $: "closed" })],
          after: [],
          done: () => wakeups.later(end),
          // Whoever waited for something was told; the runs count as lost.
          failed: () => wakeups.later(end)
        })
      }
      closed = true
    })
  }
}
