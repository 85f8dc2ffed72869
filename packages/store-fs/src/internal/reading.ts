/**
 * Reads entries of a run wherever they lie, and nothing else.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Journal from "@waymark/core/Journal"
import type { Entry } from "@waymark/core/Journal"
import type { ReadOptions, StoreError } from "@waymark/core/Store"
import type { Disk } from "@waymark/store-kit/Disk"
import { pointAt, window } from "./catalog.ts"
import type { Catalog } from "./catalog.ts"
import { failure, unlessCorrupt } from "@waymark/store-kit/Failures"
import { isControl } from "./format.ts"
import type { Damage, Run, Segment } from "./model.ts"
import * as SegmentFile from "./segmentFile.ts"
import { decodeText } from "@waymark/store-kit/Text"

const corrupt = (run: string, path: string, offset: number, seq: number, detail: string): StoreError =>
  failure({ _tag: "Corrupt", path, offset, run, seq, detail })

/** The same for an entry that is not there; if that is known already, as it was noticed. */
const missing = (run: Run, path: string, offset: number, seq: number, detail: string): StoreError => {
  const { damage } = run
  return damage?.seq === seq
    ? corrupt(run.id, damage.path, damage.offset, seq, damage.detail)
    : corrupt(run.id, path, offset, seq, detail)
}

/** What stands at the beginning of the lines of a run, as this version writes them. */
const prefixOf = (run: Run): Buffer => Buffer.from(`{"run":${JSON.stringify(run.id)},"seq":`)
const anyPrefix = Buffer.from(`{"run":"`)

const startsWith = (bytes: Buffer, at: number, end: number, prefix: Buffer): boolean => {
  if (end - at <= prefix.length) return false
  for (let i = 0; i < prefix.length; i++) if (bytes[at + i] !== prefix[i]) return false
  return true
}

/** The number at a place, up to what is no digit. */
const numberAt = (bytes: Buffer, at: number): number => {
  let value = 0
  for (let i = at; bytes[i]! >= 0x30 && bytes[i]! <= 0x39; i++) value = value * 10 + bytes[i]! - 0x30
  return value
}

/** The position in the journal of `run` that a line has, or -1 if it is not one of its lines. */
const seqOf = (run: Run, prefix: Buffer, bytes: Buffer, start: number, end: number): number => {
  if (startsWith(bytes, start, end, prefix)) return numberAt(bytes, start + prefix.length)
  if (isControl(bytes, start) || startsWith(bytes, start, end, anyPrefix)) return -1
  // Another program may have written the keys in another order.
  try {
    const value = JSON.parse(bytes.toString("utf8", start, end)) as { run?: unknown; seq?: unknown }
    return value.run === run.id && typeof value.seq === "number" ? value.seq : -1
  } catch {
    return -1
  }
}

/** The entry that a line is, or what is wrong with it. */
const parse = (line: string | undefined): Result.Result<Entry, string> => {
  if (line === undefined) return Result.fail("it is not UTF-8")
  return Result.mapError(Journal.parse(line), ({ detail }) => detail)
}

/** Entries that lie close together: those from `first` to `last` begin within a window behind `offset`. */
interface Stretch {
  readonly offset: number
  readonly first: number
  readonly last: number
}

/** How much is read at once if more than one stretch is wanted: they lie behind one another. */
const ahead = 512 * 1024

/** Reads pieces of a segment that mostly lie behind one another. */
const piecewise = (reader: SegmentFile.SegmentReader, atLeast: number): SegmentFile.SegmentReader["read"] => {
  let from = 0
  let read: SegmentFile.Slice | undefined
  return (at, size) => {
    if (read !== undefined && at >= from && at + size <= read.at + read.bytes.length) {
      const skipped = Math.max(0, at - read.at)
      return Effect.succeed({ at: read.at + skipped, bytes: read.bytes.subarray(skipped) })
    }
    return Effect.map(reader.read(at, Math.max(size, atLeast)), (slice) => {
      from = at
      read = slice
      return slice
    })
  }
}

const readStretches = (
  disk: Disk,
  run: Run,
  segment: Segment,
  stretches: ReadonlyArray<Stretch>,
  into: Array<Entry>,
  places: Array<{ readonly path: string; readonly offset: number }>
): Effect.Effect<void, StoreError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const reader = yield* SegmentFile.open(disk, segment)
      const read = piecewise(reader, stretches.length > 1 ? ahead : window)
      const prefix = prefixOf(run)
      for (const { first, last, offset } of stretches) {
        let at = offset
        let size = window
        let seq = first
        while (seq <= last) {
          const slice = yield* read(at, size)
          if (slice === undefined) break
          const { bytes } = slice
          let start = 0
          for (
            let end = SegmentFile.endOfLine(bytes, 0);
            end >= 0 && seq <= last;
            end = SegmentFile.endOfLine(bytes, start)
          ) {
            const found = seqOf(run, prefix, bytes, start, end)
            const here = slice.at + start
            if (found === seq) {
              const entry = parse(decodeText(bytes, start, end))
              if (Result.isFailure(entry))
                return yield* corrupt(run.id, reader.path, here, seq, entry.failure)
              into.push(entry.success)
              places.push({ path: reader.path, offset: here })
              seq += 1
            } else if (found > seq) {
              const detail = `it is missing; seq ${found} follows`
              return yield* missing(run, reader.path, damageBefore(segment, here), seq, detail)
            }
            start = end + 1
          }
          if (start === 0) {
            if (bytes.length < size) break
            size *= 4
            at = slice.at
          } else {
            at = slice.at + start
          }
        }
        if (seq <= last) {
          return yield* missing(
            run,
            reader.path,
            damageBefore(segment, at),
            seq,
            "it is not where it was written"
          )
        }
      }
    })
  )

/** Where the damage begins that shows at `offset`. */
const damageBefore = (segment: Segment, offset: number): number => {
  let at = offset
  for (const line of segment.series.damage)
    if (line.segment === segment.number && line.offset < offset) at = line.offset
  return at
}

/** What is known to be wrong behind the last entry of a run that is there. */
export const damageOf = (catalog: Catalog, run: Run): Damage | undefined => {
  if (run.damage !== undefined) return run.damage
  const beyond = catalog.doubts.entryBeyond(run)
  if (beyond === undefined) return undefined
  return { ...beyond, seq: run.last + 1, detail: "this entry is not what was written" }
}

/** Fails if what follows the last entry that is there is known to be damaged. */
export const ensureWhole = (catalog: Catalog, run: Run): Effect.Effect<void, StoreError> => {
  const damage = damageOf(catalog, run)
  return damage !== undefined && damage.seq > run.last
    ? corrupt(run.id, damage.path, damage.offset, damage.seq, damage.detail)
    : Effect.void
}

/** Fails if a run that is there may have been deleted: what may have said so is damaged. */
export const ensureThere = (catalog: Catalog, run: Run): Effect.Effect<void, StoreError> => {
  const doubt = catalog.doubts.deletionOf(run)
  return doubt === undefined
    ? Effect.void
    : failure({
        _tag: "Corrupt",
        run: run.id,
        ...doubt,
        detail: "whether it was deleted is not known: what says so is not what was written"
      })
}

/** Fails if a run that is not there may have been: all that was there of it is damaged. */
export const ensureAbsent = (catalog: Catalog, id: string): Effect.Effect<void, StoreError> => {
  const doubt = catalog.doubts.entryOf(id, (catalog.tombstones.get(id) ?? 0) + 1)
  return doubt === undefined
    ? Effect.void
    : corrupt(id, doubt.path, doubt.offset, 0, "its entries are not what was written")
}

/** The hash that an entry names, if it can be read. */
const prevOf = (disk: Disk, run: Run, seq: number): Effect.Effect<string | undefined, StoreError> =>
  Effect.gen(function* () {
    const point = pointAt(run, seq)
    const segment = run.pointSegments[point]
    if (segment === undefined) return undefined
    const found: Array<Entry> = []
    const stretch = { offset: run.pointOffsets[point]!, first: seq, last: seq }
    yield* unlessCorrupt(readStretches(disk, run, segment, [stretch], found, []))
    return found[0]?.event.prev
  })

/**
 * Reads the entries from `first` to `last`, both included, which must be there and be what was written: each is compared with
 * the hash that the next one names, the last one of a run with the run's head.
 */
export const readEntries = (
  disk: Disk,
  catalog: Catalog,
  hash: (text: string) => string,
  run: Run,
  first: number,
  last: number
): Effect.Effect<Array<Entry>, StoreError> =>
  Effect.suspend(() => {
    const entries: Array<Entry> = []
    if (first > last) return Effect.succeed(entries)
    const { recent, recentStart } = run
    const remembered = recent[recentStart]?.event.seq ?? Number.POSITIVE_INFINITY
    // What is in memory now may be forgotten while the rest is being read.
    const tail =
      last < remembered
        ? []
        : recent.slice(recentStart + Math.max(0, first - remembered), recentStart + last + 1 - remembered)
    const fromDisk = Math.min(last, remembered - 1)
    if (first > fromDisk) return Effect.succeed(tail)
    // What follows the last one that is read from disk says what that has to be.
    const following = fromDisk < last ? undefined : recent[recentStart + last + 1 - remembered]
    const head = last === run.last ? catalog.hashOf(run) : following?.event.prev
    return Effect.gen(function* () {
      const places: Array<{ readonly path: string; readonly offset: number }> = []
      let point = pointAt(run, first)
      let seq = first
      while (seq <= fromDisk) {
        const segment = run.pointSegments[point]
        if (segment === undefined) {
          const { damage } = run
          return yield* corrupt(
            run.id,
            damage?.path ?? disk.root,
            damage?.offset ?? 0,
            seq,
            damage?.detail ?? "it is missing"
          )
        }
        const stretches: Array<Stretch> = []
        for (; run.pointSegments[point] === segment && seq <= fromDisk; point++) {
          const to = Math.min(fromDisk, (run.pointSeqs[point + 1] ?? run.last + 1) - 1)
          stretches.push({ offset: run.pointOffsets[point]!, first: seq, last: to })
          seq = to + 1
        }
        yield* readStretches(disk, run, segment, stretches, entries, places)
      }
      for (const entry of tail) entries.push(entry)
      const beyond = head ?? (tail.length === 0 ? yield* prevOf(disk, run, last + 1) : undefined)
      for (const [index, { offset, path }] of places.entries()) {
        const next = entries[index + 1]
        const named = next === undefined ? beyond : next.event.prev
        if (named !== undefined && hash(entries[index]!.line) !== named) {
          const detail = "it is not what was written: its hash is not the one that follows"
          return yield* corrupt(run.id, path, offset, first + index, detail)
        }
      }
      return entries
    })
  })

/**
 * The part of a range, from the end where reading begins, that lies on about so many bytes of its segments, others' lines
 * included. Behind the last point in a segment there may be one long line: a page has few of these.
 */
const within = (
  run: Run,
  first: number,
  last: number,
  bytes: number,
  backwards: boolean
): readonly [first: number, last: number] => {
  const { pointOffsets, pointSegments, pointSeqs } = run
  let size = 0
  let point = pointAt(run, backwards ? last : first)
  for (;;) {
    size +=
      pointSegments[point] === pointSegments[point + 1]
        ? pointOffsets[point + 1]! - pointOffsets[point]!
        : Math.max(window, bytes / 4)
    const edge = backwards ? (pointSeqs[point] ?? 0) : (pointSeqs[point + 1] ?? run.last + 1) - 1
    if (backwards ? edge <= first : edge >= last) return [first, last]
    if (size >= bytes) return backwards ? [edge, last] : [first, edge]
    point += backwards ? -1 : 1
  }
}

/** The same in the order that is asked for, up to the entry with which there are so many bytes. */
export const readPage = (
  disk: Disk,
  catalog: Catalog,
  hash: (text: string) => string,
  run: Run,
  first: number,
  last: number,
  { bytes, direction }: Pick<ReadOptions, "bytes" | "direction"> = {}
): Effect.Effect<Array<Entry>, StoreError> =>
  Effect.suspend(() => {
    const backwards = direction === "backwards"
    const [from, to] =
      bytes === undefined || first > last ? [first, last] : within(run, first, last, bytes, backwards)
    return Effect.map(readEntries(disk, catalog, hash, run, from, to), (entries) => {
      if (backwards) entries.reverse()
      let size = 0
      const enough =
        bytes === undefined ? -1 : entries.findIndex(({ line }) => (size += line.length) >= bytes)
      return enough < 0 ? entries : entries.slice(0, enough + 1)
    })
  })
