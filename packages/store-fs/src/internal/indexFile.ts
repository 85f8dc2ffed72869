/**
 * The index file: everything that is known from the segments up to a position in each, so that opening a store reads only
 * what came after. It holds nothing that the segments do not, and whatever is wrong with it, it is ignored then.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { RunInfo } from "@waymark/core/RunInfo"
import type { StoreError } from "@waymark/core/Store"
import { addCommand, fileName } from "./catalog.ts"
import type { Catalog } from "./catalog.ts"
import type { Disk } from "@waymark/store-kit/Disk"
import { unlessCorrupt } from "@waymark/store-kit/Failures"
import { formatVersion } from "./format.ts"
import type { InboxItem, Run, Segment, Series } from "./model.ts"

const Numbers = Schema.Array(Schema.Finite)

const SeriesRow = Schema.Struct({
  id: Schema.String,
  at: Schema.Tuple([Schema.Int, Schema.Int]),
  ended: Schema.optionalKey(Schema.Literals(["closed", "crashed"])),
  incarnations: Schema.optionalKey(Schema.Array(Schema.Tuple([Schema.String, Schema.Int]))),
  /** Number and garbage of each segment, in turn. */
  segments: Numbers
})

/**
 * A run. Segments are named by their place in the list of all segments of all series in the file; series by theirs.
 * `points` holds segment, seq and offset in turn; `places` segment and bytes; `inbox` rows for the commands.
 */
const RunRow = Schema.Struct({
  info: RunInfo,
  hash: Schema.String,
  incarnation: Schema.Int,
  epoch: Schema.Int,
  owner: Schema.Int,
  crashed: Schema.Boolean,
  last: Schema.Tuple([Schema.Int, Schema.Int]),
  points: Numbers,
  places: Numbers,
  switches: Schema.optionalKey(Numbers),
  inbox: Schema.optionalKey(
    Schema.Array(
      Schema.Tuple([
        Schema.String,
        Schema.Int,
        Schema.String,
        Schema.Int,
        Schema.Int,
        Schema.Int,
        Schema.String
      ])
    )
  ),
  damage: Schema.optionalKey(
    Schema.Struct({ path: Schema.String, offset: Schema.Int, seq: Schema.Int, detail: Schema.String })
  )
})
type RunRow = typeof RunRow.Type

const TombstoneRow = Schema.Tuple([Schema.String, Schema.Int])

/** The first line: the SHA-256 is over everything behind it. */
const Seal = Schema.Struct({ index: Schema.Literal(formatVersion), sha256: Schema.String })

/** The second line. The rows of the runs follow, one in each. */
const Head = Schema.Struct({
  series: Schema.Array(SeriesRow),
  tombstones: Schema.Array(TombstoneRow)
})

const decodeSeal = Schema.decodeUnknownExit(Schema.fromJsonString(Seal))
const decodeHead = Schema.decodeUnknownExit(Schema.fromJsonString(Head))

/** How many rows are turned into text at a time, so that nobody waits for long. */
const rowsAtOnce = 256

interface Snapshot {
  readonly series: ReadonlyArray<typeof SeriesRow.Type>
  readonly tombstones: ReadonlyArray<typeof TombstoneRow.Type>
  readonly rows: ReadonlyArray<() => RunRow>
}

/** What the catalog holds at this moment. Only what may change under it is copied. */
const takeSnapshot = (catalog: Catalog): Snapshot | undefined => {
  const places = new Map<Segment, number>()
  const numbers = new Map<Series, number>()
  const series: Array<typeof SeriesRow.Type> = []
  for (const each of catalog.series.values()) {
    if (each.at.segment === 0 || each.segments.size === 0) continue
    // Damage is found again by reading again; it must not be forgotten.
    if (each.damage.length > 0) return undefined
    numbers.set(each, series.length)
    const segments: Array<number> = []
    for (const segment of each.segments.values()) {
      places.set(segment, places.size)
      segments.push(segment.number, segment.garbage)
    }
    series.push({
      id: each.id,
      at: [each.at.segment, each.at.offset],
      segments,
      ...(each.ended === undefined ? undefined : { ended: each.ended }),
      ...(each.incarnations.size === 0 ? undefined : { incarnations: [...each.incarnations] })
    })
  }
  const rows: Array<() => RunRow> = []
  for (const run of catalog.runs.values()) {
    // Of some runs only the inbox is known as yet, or entries that others must come before: another time, then.
    if (run.parked !== undefined || (run.info === undefined && run.inbox.length > 0)) return undefined
    const row = rowOf(catalog, run, places, numbers)
    if (row !== undefined) rows.push(row)
  }
  return { series, tombstones: [...catalog.tombstones], rows }
}

const rowOf = (
  catalog: Catalog,
  run: Run,
  places: ReadonlyMap<Segment, number>,
  numbers: ReadonlyMap<Series, number>
): (() => RunRow) | undefined => {
  const { crashed, damage, epoch, incarnation, info, lastOffset, lastSegment, owner } = run
  if (info === undefined || lastSegment === undefined) return undefined
  const hash = catalog.hashOf(run)
  const points = run.pointSeqs.length
  const inbox = run.inbox.length
  const bytes = run.places.map((place) => place.bytes)
  const placeOf = (segment: Segment): number => places.get(segment) ?? -1
  return () => ({
    info,
    hash,
    incarnation,
    epoch,
    owner: owner === undefined ? -1 : (numbers.get(owner) ?? -1),
    crashed,
    last: [placeOf(lastSegment), lastOffset],
    points: Array.from({ length: points }).flatMap((_, i) => [
      placeOf(run.pointSegments[i]!),
      run.pointSeqs[i]!,
      run.pointOffsets[i]!
    ]),
    places: bytes.flatMap((size, i) => [placeOf(run.places[i]!.segment), size]),
    ...(run.switches === undefined
      ? undefined
      : { switches: run.switches.flatMap((each) => [each.seq, placeOf(each.segment), each.offset]) }),
    ...(inbox === 0
      ? undefined
      : {
          inbox: run.inbox
            .slice(0, inbox)
            .map(
              (item) =>
                [
                  item.source,
                  item.position,
                  item.id,
                  placeOf(item.segment),
                  item.offset,
                  item.length,
                  item.sum
                ] as const
            )
        }),
    ...(damage === undefined ? undefined : { damage })
  })
}

/** Writes the index as the catalog is now. */
export const write = (
  disk: Disk,
  catalog: Catalog,
  hash: (text: string) => string,
  temporary: () => string
): Effect.Effect<number, StoreError> =>
  Effect.gen(function* () {
    const snapshot = takeSnapshot(catalog)
    if (snapshot === undefined) return 0
    catalog.unindexed = 0
    catalog.indexedSeries = snapshot.series.length
    const head: typeof Head.Type = { series: snapshot.series, tombstones: snapshot.tombstones }
    const lines = [JSON.stringify(head)]
    for (let i = 0; i < snapshot.rows.length; i++) {
      lines.push(JSON.stringify(snapshot.rows[i]!()))
      if (i % rowsAtOnce === rowsAtOnce - 1) yield* Effect.yieldNow
    }
    const body = lines.join("\n")
    const seal: typeof Seal.Type = { index: formatVersion, sha256: hash(body) }
    const text = `${JSON.stringify(seal)}\n${body}`
    yield* disk.replace(disk.path("index.json"), Buffer.from(text), temporary())
    return text.length
  })

const fill = (catalog: Catalog, head: typeof Head.Type, rows: ReadonlyArray<RunRow>): boolean => {
  // Those that are not there were compacted away: then no run has anything in them, or else this index is not for here.
  const segments: Array<Segment | undefined> = []
  const series: Array<Series> = []
  for (const row of head.series) {
    const known = catalog.seriesOf(row.id)
    series.push(known)
    for (let i = 0; i < row.segments.length; i += 2) {
      const segment = known.segments.get(row.segments[i]!)
      if (segment !== undefined) segment.garbage = row.segments[i + 1]!
      segments.push(segment)
    }
    known.at = { segment: row.at[0], offset: row.at[1] }
    if (row.ended !== undefined) catalog.endSeries(known, row.ended)
    for (const [run, incarnation] of row.incarnations ?? []) known.incarnations.set(run, incarnation)
  }
  catalog.indexedSeries = series.length
  for (const [id, incarnation] of head.tombstones) catalog.tombstones.set(id, incarnation)
  for (const row of rows) {
    const run = catalog.expect(row.info.run)
    run.info = row.info
    run.last = row.info.seq
    run.hash = row.hash
    run.incarnation = row.incarnation
    run.epoch = row.epoch
    run.owner = series[row.owner]
    run.crashed = row.crashed
    run.lastSegment = segments[row.last[0]]
    run.lastOffset = row.last[1]
    if (run.lastSegment === undefined) return false
    run.damage = row.damage
    for (let i = 0; i < row.points.length; i += 3) {
      const segment = segments[row.points[i]!]
      if (segment === undefined) return false
      run.pointSegments.push(segment)
      run.pointSeqs.push(row.points[i + 1]!)
      run.pointOffsets.push(row.points[i + 2]!)
    }
    for (let i = 0; i < row.places.length; i += 2) {
      const segment = segments[row.places[i]!]
      if (segment !== undefined) run.places.push({ segment, bytes: row.places[i + 1]! })
    }
    const switches = row.switches ?? []
    for (let i = 0; i < switches.length; i += 3) {
      const segment = segments[switches[i + 1]!]
      if (segment === undefined) return false
      run.switches ??= []
      run.switches.push({ seq: switches[i]!, segment, offset: switches[i + 2]! })
    }
    for (const [source, position, id, at, offset, length, sum] of row.inbox ?? []) {
      const segment = segments[at]
      if (segment === undefined) return false
      const item: InboxItem = { source, position, id, segment, offset, length, sum, command: undefined }
      addCommand(run, item)
    }
    const origin = row.info.forkOf?.run
    if (origin !== undefined) {
      const known = catalog.forks.get(origin)
      if (known === undefined) catalog.forks.set(origin, new Set([run.id]))
      else known.add(run.id)
    }
    catalog.index.set(row.info)
  }
  return true
}

/**
 * Fills an empty catalog from the index; the segments that are there have been listed. How long the index is, or
 * `undefined` if there is none that can be used; then the catalog is not to be used either.
 */
export const load = (
  disk: Disk,
  catalog: Catalog,
  hash: (text: string) => string
): Effect.Effect<number | undefined, StoreError> =>
  Effect.gen(function* () {
    const text = yield* unlessCorrupt(disk.readText(disk.path("index.json")))
    if (text === undefined) return undefined
    const cut = text.indexOf("\n")
    const seal = decodeSeal(text.slice(0, Math.max(cut, 0)))
    const body = text.slice(cut + 1)
    // The checksum makes sure that these are the rows that were written: they need no checking one by one.
    if (Exit.isFailure(seal) || hash(body) !== seal.value.sha256) return undefined
    const [first, ...lines] = body.split("\n")
    const decoded = decodeHead(first)
    if (Exit.isFailure(decoded)) return undefined
    const head = decoded.value
    const rows = lines.map((line) => JSON.parse(line) as RunRow)
    for (const row of head.series) {
      const segment = catalog.series.get(row.id)?.segments.get(row.at[0])
      // A series that is gone completely was compacted away; one that is shorter than the index says was damaged.
      if (segment === undefined || segment.generation > 0 || row.ended !== undefined) continue
      const size = yield* disk.size(disk.path("segments", fileName(segment)))
      if (size !== undefined && size < row.at[1]) return undefined
    }
    return fill(catalog, head, rows) ? text.length : undefined
  })
