/**
 * What an instance knows of the directory, in memory: series, their segments, and runs.
 */
import type { Entry } from "@waymark/core/Journal"
import type { Command } from "@waymark/core/Command"
import type { RunInfo } from "@waymark/core/RunInfo"
import type { StoreError } from "@waymark/core/Store"
import type { LeaseFile, Mark } from "./format.ts"

/** Which bytes of the original a compacted segment holds, and where they lie in its file. */
export interface Kept {
  /** Starts in the original, ascending. */
  readonly starts: ReadonlyArray<number>
  readonly lengths: ReadonlyArray<number>
  /** Where each range begins in the file. */
  readonly places: ReadonlyArray<number>
  /** The checksums and tags of the lines. */
  readonly sums: string | undefined
  /** How many lines were found before a byte of the original. */
  counted: { readonly at: number; readonly passed: number } | undefined
}

export interface Segment {
  readonly series: Series
  readonly number: number
  /** How often it was compacted. */
  generation: number
  /** Loaded when a compacted segment is read. */
  kept: Kept | undefined
  /** How many bytes of it belong to nothing that is still there. */
  garbage: number
}

export interface Position {
  readonly segment: number
  readonly offset: number
}

export interface Series {
  readonly id: string
  readonly owner: string
  readonly segments: Map<number, Segment>
  /** Everything before this was taken in. Segment 0 stands for nothing yet. */
  at: Position
  /** Set when nothing can follow any more: in good order, or not. */
  ended: "closed" | "crashed" | undefined
  /** Whether this instance writes it. */
  own: boolean
  /** Incarnations of runs in this series that are not 1. */
  readonly incarnations: Map<string, number>
  /** What was seen of its owner, while it has not ended. */
  lease: LeaseFile | undefined
  mark: Mark | undefined
  /** For how long the heartbeat stood still while it was watched, and when it was looked at last (milliseconds). */
  still: number
  seenAt: number
  /** Whether its process is known to be gone. */
  dead: boolean
  /** How far what a dead process left was taken in. */
  exhausted: Position | undefined
  /** Whether its runs were reported as free because its heartbeat stands still. */
  lapsed: boolean
  /** Whether somebody took it over, or is about to. */
  claimed: boolean
  /** Bytes that were seen beyond the mark and that no mark came for. */
  stuckAt: string
  /** Lines that could not be read though they were synced. */
  readonly damage: Array<{ readonly segment: number; readonly offset: number }>
  /** If this instance writes it: when it last asked for its lease and found it (milliseconds). */
  heldAt: number
}

/** A command in the inbox of a run, and where it is stored. */
export interface InboxItem {
  readonly source: string
  readonly position: number
  readonly id: string
  readonly segment: Segment
  readonly offset: number
  readonly length: number
  /** The checksum of its line. */
  readonly sum: string
  /** Kept for the newest ones. */
  command: Command | undefined
}

export interface Damage {
  readonly path: string
  readonly offset: number
  readonly seq: number
  readonly detail: string
}

/** An entry whose predecessor, in another series, is not known yet. */
export interface Parked {
  readonly segment: Segment
  readonly offset: number
  readonly length: number
  readonly entry: Entry
}

export interface Run {
  readonly id: string
  incarnation: number
  /** Absent as long as only other things than its first entry are known; such a run is not there yet. */
  info: RunInfo | undefined
  /** The position of its last known entry; -1 if there is none. */
  last: number
  /** How far those who took it said that it went: where `last` is before that, something was not read yet. */
  reach: number
  /** The SHA-256 of the last entry; `undefined` while `lastLine` was not hashed yet. */
  hash: string | undefined
  lastLine: string
  lastSegment: Segment | undefined
  lastOffset: number
  /** The newest epoch that was opened; -1 if none. */
  epoch: number
  /** Who opened it; `undefined` if it was let go of. */
  owner: Series | undefined
  /** If it has no owner: whether the last one was lost. */
  crashed: boolean

  /**
   * Where entries lie: the one at `pointSeqs[i]` begins at `pointOffsets[i]` of `pointSegments[i]`; those up to the next
   * point begin less than a window behind it, in the same segment.
   */
  pointSeqs: Array<number>
  pointOffsets: Array<number>
  pointSegments: Array<Segment>
  /** Where a series begins to hold the journal, and where the entry before that one lies. */
  switches: Array<{ readonly seq: number; readonly segment: Segment; readonly offset: number }> | undefined
  /** How many bytes belong to it, by segment. */
  places: Array<{ readonly segment: Segment; bytes: number }>

  inbox: Array<InboxItem>
  commandIds: Map<string, InboxItem> | undefined
  parked: Map<number, Parked> | undefined
  damage: Damage | undefined
  /** The newest entries, without gaps up to the last one, if this instance wrote them lately: from `recentStart` on. */
  recent: Array<Entry>
  recentStart: number

  /** Who in this process holds it. */
  lease: { readonly epoch: number; readonly term: number; readonly holder: string } | undefined
  /** Whether this process is just taking it, letting go of it, or deleting it. */
  busy: boolean
  /** The position of the last accepted entry. */
  accepted: number
  /** The epoch that a failed write made void, and what failed. */
  voided: { readonly epoch: number; readonly error: StoreError } | undefined
  /** Those who wait for everything up to `seq` to be durable. */
  waiters: Array<Waiter> | undefined
  /** Notes for the next round of notifications. */
  touched: number
}

export interface Waiter {
  readonly seq: number
  readonly done: (error: StoreError | "lost" | undefined) => void
}

/** Bits of `Run.touched`. */
export const touchedJournal = 1
export const touchedInbox = 2
export const touchedLease = 4

export const makeSegment = (series: Series, number: number, generation: number): Segment => ({
  series,
  number,
  generation,
  kept: undefined,
  garbage: 0
})

export const makeRun = (id: string): Run => ({
  id,
  incarnation: 1,
  info: undefined,
  last: -1,
  reach: -1,
  hash: undefined,
  lastLine: "",
  lastSegment: undefined,
  lastOffset: 0,
  epoch: -1,
  owner: undefined,
  crashed: false,
  pointSeqs: [],
  pointOffsets: [],
  pointSegments: [],
  switches: undefined,
  places: [],
  inbox: [],
  commandIds: undefined,
  parked: undefined,
  damage: undefined,
  recent: [],
  recentStart: 0,
  lease: undefined,
  busy: false,
  accepted: -1,
  voided: undefined,
  waiters: undefined,
  touched: 0
})

export const isBefore = (a: Position, b: Position): boolean =>
  a.segment < b.segment || (a.segment === b.segment && a.offset < b.offset)
