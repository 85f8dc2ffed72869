/**
 * Commands for runs: each instance keeps those it sends in its own series.
 */
import * as Effect from "effect/Effect"
import type { Command } from "@waymark/core/Command"
import * as RunInfo from "@waymark/core/RunInfo"
import type { InboxCursor, Received } from "@waymark/core/Store"
import { StoreError } from "@waymark/core/Store"
import { fileName } from "./catalog.ts"
import type { Catalog } from "./catalog.ts"
import type { Disk } from "@waymark/store-kit/Disk"
import { failure, unlessCorrupt } from "@waymark/store-kit/Failures"
import { formatControl, parseControl, withIncarnation } from "./format.ts"
import type { InboxItem, Run } from "./model.ts"
import type { Ownership } from "./ownership.ts"
import type { Pump } from "./pump.ts"
import type { Wakeups } from "@waymark/store-kit/Wakeups"
import * as SegmentFile from "./segmentFile.ts"
import * as Sums from "./sums.ts"

export interface Inboxes {
  readonly send: (run: Run, command: Command) => Effect.Effect<void, StoreError>
  readonly read: (run: Run, cursor: InboxCursor) => Effect.Effect<ReadonlyArray<Received>, StoreError>
  /** The commands that are what was sent, and whether there were others. */
  readonly salvage: (
    run: Run,
    cursor: InboxCursor
  ) => Effect.Effect<{ readonly found: ReadonlyArray<Received>; readonly lost: boolean }, StoreError>
  readonly isCommanded: (info: RunInfo.RunInfo) => boolean
}

export interface Options {
  readonly catalog: Catalog
  readonly disk: Disk
  readonly ownership: Ownership
  readonly pump: Pump
  readonly wakeups: Wakeups
}

interface Sending {
  readonly done: Array<(error: StoreError | undefined) => void>
}

const lostLease = (): StoreError =>
  new StoreError({
    operation: "send",
    reason: {
      _tag: "Busy",
      detail:
        "this process was taken for dead and its part of the store was taken over; whether it came in is not known"
    }
  })

export const make = ({ catalog, disk, ownership, pump, wakeups }: Options): Inboxes => {
  /** Commands that are being written, by run and id, and the next position for each run that has any. */
  const sending = new Map<string, Sending>()
  const positions = new Map<
    string,
    { series: string; incarnation: number; position: number; pending: number }
  >()

  const nextPosition = (run: Run, series: string): number => {
    const known = positions.get(run.id)
    if (known !== undefined && known.series === series && known.incarnation === run.incarnation) {
      known.pending += 1
      return ++known.position
    }
    let position = 1
    for (const item of run.inbox) if (item.source === series) position = Math.max(position, item.position + 1)
    positions.set(run.id, { series, incarnation: run.incarnation, position, pending: 1 })
    return position
  }

  const settled = (run: Run): void => {
    const known = positions.get(run.id)
    if (known !== undefined && --known.pending === 0) positions.delete(run.id)
  }

  const load = (run: Run, item: InboxItem): Effect.Effect<Received, StoreError> => {
    const { command, position, source } = item
    if (command !== undefined) return Effect.succeed({ source, position, command })
    return Effect.flatMap(SegmentFile.readOneLine(disk, item.segment, item.offset, item.length), (line) => {
      const control = line !== undefined && Sums.sumOf(line) === item.sum ? parseControl(line) : undefined
      return control?.$ === "command"
        ? Effect.succeed({ source, position, command: control.command })
        : failure({
            _tag: "Corrupt",
            path: disk.path("segments", fileName(item.segment)),
            offset: item.offset,
            run: run.id,
            detail: `command ${JSON.stringify(item.id)} is not what was written`
          })
    })
  }

  /**
   * Whether a command is one that was sent twice, by two processes at once, and counts as its other copy: the one that a
   * journal names, or else the first that was seen.
   */
  const isCopy = (run: Run, item: InboxItem, isDone: (item: InboxItem) => boolean): boolean => {
    const first = run.commandIds?.get(item.id)
    if (first === undefined || run.commandIds!.size === run.inbox.length) return false
    return (
      first !== item || run.inbox.some((other) => other.id === item.id && other !== item && isDone(other))
    )
  }

  /** The commands beyond a cursor, each once. */
  const wanted = (run: Run, cursor: InboxCursor): ReadonlyArray<InboxItem> => {
    const isDone = (item: InboxItem): boolean =>
      item.position <= (cursor[item.source] ?? 0) ||
      (run.info !== undefined && RunInfo.isHandled(run.info, item.source, item.position))
    return run.inbox.filter(
      (item) => item.position > (cursor[item.source] ?? 0) && !isCopy(run, item, isDone)
    )
  }

  return {
    send: (run, command) =>
      Effect.flatMap(ownership.ensure, (series) =>
        Effect.callback<void, StoreError>((resume) => {
          const done = (error: StoreError | undefined) =>
            resume(error === undefined ? Effect.void : Effect.fail(error))
          if (run.commandIds?.has(command.id) === true) return done(undefined)
          const key = `${command.run}\n${command.id}`
          const under = sending.get(key)
          if (under !== undefined) {
            under.done.push(done)
            return
          }
          const waiting: Sending = { done: [done] }
          sending.set(key, waiting)
          const settle = (error: StoreError | undefined): void => {
            sending.delete(key)
            settled(run)
            for (const each of waiting.done) wakeups.later(() => each(error))
          }
          const { incarnation } = run
          const position = nextPosition(run, series.id)
          const line = formatControl({ $: "command", position, command, ...withIncarnation(incarnation) })
          pump.enqueue({
            run: undefined,
            batch: undefined,
            tag: Sums.tagOf("command", run.id, incarnation),
            before: [line],
            after: [],
            done: (segment, offset, length) => {
              catalog.takeCommand(segment, offset, length, command, position, incarnation, Sums.sumOf(line))
              settle(undefined)
            },
            failed: (why) => settle(why === "lost" ? lostLease() : why)
          })
        })
      ),

    read: (run, cursor) =>
      Effect.suspend(() => {
        const doubt = catalog.doubts.commandOf(run)
        return doubt === undefined
          ? Effect.forEach(wanted(run, cursor), (item) => load(run, item))
          : failure({
              _tag: "Corrupt",
              run: run.id,
              ...doubt,
              detail: "a command in its inbox is not what was written"
            })
      }),

    salvage: (run, cursor) =>
      Effect.gen(function* () {
        const found: Array<Received> = []
        let lost = catalog.doubts.commandOf(run) !== undefined
        for (const item of wanted(run, cursor)) {
          const received = yield* unlessCorrupt(load(run, item))
          if (received === undefined) lost = true
          else found.push(received)
        }
        return { found, lost }
      }),

    isCommanded: (info) => {
      const run = catalog.runs.get(info.run)
      if (run === undefined) return false
      const isDone = (item: InboxItem): boolean => RunInfo.isHandled(info, item.source, item.position)
      return run.inbox.some((item) => !isDone(item) && !isCopy(run, item, isDone))
    }
  }
}
