/**
 * What lies in a store's directory (format 1).
 *
 * ```
 * format.json                    {"store":"waymark","format":1}
 * segments/<series>-<n>.jsonl    everything that happened: the truth
 * segments/<series>-<n>.<g>.jsonl  the same after its g-th compaction
 * leases/<series>.json           who writes that series (removed when it is closed in good order)
 * leases/<series>.mark           its heartbeat, and how far it is synced; overwritten in place
 * claims/<series>.json           the series was taken over: a hard link of its lease
 * claims/<series>.seal           where the series ends since it was taken over
 * claims/<n>.log                 who claims which run: lines that are appended and read back
 * index.json                     a cache; may be deleted at any time
 * meta/<hash>.json  artifacts/<aa>/<hash>  tmp/
 * ```
 *
 * A *series* is what one store instance wrote: segments 1, 2, 3 and so on. Only the newest is appended to. A segment is
 * lines of JSON. A line is either an entry of some run's journal, byte for byte what its hash is over, or a control line,
 * an object whose first key is `$`:
 *
 * - `segment`: the first line. `closes` says which segment came before and up to which byte that one counts; what lies
 *   beyond was never acknowledged (a write or a sync failed there) and is nothing.
 * - `batch`: the next `lines` lines stand or fall together. A single line needs none.
 * - `sums`: first a CRC-32 of all that follows in it; then of each of the next lines two times eight hexadecimal digits: its
 *   CRC-32, and its *tag*, the CRC-32 of what it is about: "entry", "command" or "deleted", the incarnation and the id of the
 *   run; zeros if nobody would miss it. A line with another checksum is damage, or, after the last mark, a torn tail like
 *   anything else that cannot be read; the tag says then who has to be told.
 * - `synced`: everything up to byte `to` of this segment was synced before this line was written. What cannot be read
 *   before such a mark is damage; after the last one it is a torn tail, the trace of a crash, and is nothing.
 * - `opened`, `released`: the series' owner took or let go of a run, at an epoch. `seq` is the last entry of the run when it
 *   was taken: who knows fewer entries has not read everything that came before.
 * - `born`: the next entry is the first of a run whose id was used by a deleted one. Runs of one id are told apart by
 *   `incarnation`, which is 1 unless said otherwise.
 * - `command`: a command in the inbox of a run. The series is its source.
 * - `deleted`: a run was deleted up to and with this incarnation.
 * - `closed`: the series ended in good order, and all its runs with it are let go of.
 * - `kept`: the second line of a compacted segment: which ranges of the original bytes follow, and the `sums` of their lines.
 *   Positions (in the index,
 *   in `closes`, in feed cursors) always are those of the original, so compaction moves nothing.
 *
 * Who may read how far in a series:
 *
 * - closed, or taken over (`.seal`): to its end, for good;
 * - its process is known to be dead: to the last whole batch, after syncing the files;
 * - else: up to its mark, which is written after a sync.
 */
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { Command } from "@waymark/core/Command"
import { Identity } from "@waymark/store-kit/ProcessIdentity"

/** The format that this version writes, and the newest that it reads. */
export const formatVersion = 1

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

const control = <const Kind extends string, const Fields extends Schema.Struct.Fields>(
  kind: Kind,
  fields: Fields
) => Schema.Struct({ $: Schema.Literal(kind), ...fields })

const incarnation = { incarnation: Schema.optionalKey(Count) }

export const SegmentHeader = control("segment", {
  format: Count,
  series: Schema.String,
  segment: Count,
  closes: Schema.optionalKey(Schema.Struct({ segment: Count, end: Count }))
})
export type SegmentHeader = typeof SegmentHeader.Type

const Control = Schema.Union([
  SegmentHeader,
  control("batch", { lines: Count }),
  control("sums", { of: Schema.String }),
  control("synced", { to: Count }),
  control("opened", { run: Schema.String, epoch: Count, ...incarnation, seq: Schema.optionalKey(Count) }),
  control("released", {
    run: Schema.String,
    epoch: Count,
    ...incarnation,
    lost: Schema.optionalKey(Schema.Literal(true))
  }),
  control("born", { run: Schema.String, ...incarnation }),
  control("command", { position: Count, command: Command, ...incarnation }),
  control("deleted", { run: Schema.String, incarnation: Count }),
  control("closed", {}),
  control("kept", {
    ranges: Schema.Array(Schema.Tuple([Count, Count])),
    sums: Schema.optionalKey(Schema.String)
  })
])
export type Control = typeof Control.Type

const decodeControl = Schema.decodeUnknownExit(Control)

/** A control line, or `undefined` if it is none that this version knows. */
export const parseControl = (line: string | undefined): Control | undefined => {
  if (line === undefined) return undefined
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (isFrequent(value)) return value
  const exit = decodeControl(value)
  return Exit.isSuccess(exit) ? exit.value : undefined
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0

/** Whether a value is a control line of a kind of which there are many: a shorter way to the same answer. */
const isFrequent = (value: any): value is Control => {
  switch (value?.$) {
    case "batch":
      return isCount(value.lines)
    case "sums":
      return typeof value.of === "string"
    case "synced":
      return isCount(value.to)
    case "released":
      return (
        typeof value.run === "string" &&
        isCount(value.epoch) &&
        (value.incarnation === undefined || isCount(value.incarnation)) &&
        (value.lost === undefined || value.lost === true)
      )
    default:
      return false
  }
}

/** The text of a control line, without a line end. The key `$` comes first. */
export const formatControl = (line: Control): string => JSON.stringify(line)

/** Adds the incarnation of a run to a control line if it is not the usual one. */
export const withIncarnation = (value: number): { incarnation?: number } =>
  value === 1 ? {} : { incarnation: value }

/** The format of a segment, from the start of its first line, even if a newer version wrote the rest of it. */
export const formatOf = (header: string): number | undefined => {
  const found = /^\{"\$":"segment","format":(\d+)[,}]/.exec(header)
  return found === null ? undefined : Number(found[1])
}

/** `$` as the second byte after `{"`: how a control line is told from an entry. */
export const isControl = (bytes: Uint8Array, start: number): boolean =>
  bytes[start] === 0x7b && bytes[start + 1] === 0x22 && bytes[start + 2] === 0x24 && bytes[start + 3] === 0x22

// -------------------------------------------------------------------------------------------------------------------
// small files
// -------------------------------------------------------------------------------------------------------------------

/** `format.json`. */
export const FormatFile = Schema.Struct({ store: Schema.Literal("waymark"), format: Count })

/** `leases/<series>.json`. `ttl` is in milliseconds. */
export const LeaseFile = Schema.Struct({
  format: Count,
  series: Schema.String,
  owner: Schema.String,
  ttl: Schema.Finite,
  process: Identity
})
export type LeaseFile = typeof LeaseFile.Type

/**
 * `leases/<series>.mark`: how often the owner's heart beat, and where the synced part of its newest segment ends. It is
 * overwritten in place while others read it, so everything is said twice; a reader that sees two different halves
 * reads again.
 */
const Half = Schema.Tuple([Count, Count, Count])
const MarkFile = Schema.Struct({ mark: Half, again: Half })

export interface Mark {
  readonly beat: number
  readonly segment: number
  readonly end: number
}

/** Every mark has the same length, so that one overwrites the other completely. */
const markLength = 160

export const formatMark = ({ beat, end, segment }: Mark): string => {
  const half = [beat, segment, end]
  return `${JSON.stringify({ mark: half, again: half }).padEnd(markLength - 1)}\n`
}

const decodeMark = Schema.decodeUnknownExit(Schema.fromJsonString(MarkFile))

export const parseMark = (text: string): Mark | undefined => {
  const exit = decodeMark(text)
  if (Exit.isFailure(exit)) return undefined
  const { again, mark } = exit.value
  if (mark.some((value, i) => value !== again[i])) return undefined
  return { beat: mark[0], segment: mark[1], end: mark[2] }
}

/** `claims/<series>.seal`: the last segment of a series that was taken over, and how many of its bytes count. */
export const SealFile = Schema.Struct({ segment: Count, end: Count })
export type SealFile = typeof SealFile.Type

/** Reads a small JSON file; `undefined` if it is not what it should be. */
export const parseFile = <A>(schema: Schema.ConstraintDecoder<A>, text: string): A | undefined => {
  const exit = Schema.decodeUnknownExit(Schema.fromJsonString(schema as Schema.Codec<A, unknown>))(text)
  return Exit.isSuccess(exit) ? exit.value : undefined
}

// -------------------------------------------------------------------------------------------------------------------
// names
// -------------------------------------------------------------------------------------------------------------------

/** The name of the owner in the name of a series: an owner whose series was taken over goes on with another one. */
export const ownerOf = (series: string): string => {
  const dot = series.indexOf(".")
  return dot < 0 ? series : series.slice(0, dot)
}

export const seriesName = (owner: string, count: number): string =>
  count === 0 ? owner : `${owner}.${count}`

export interface SegmentName {
  readonly series: string
  readonly number: number
  readonly generation: number
}

export const segmentName = ({ generation, number, series }: SegmentName): string =>
  `${series}-${String(number).padStart(4, "0")}${generation === 0 ? "" : `.${generation}`}.jsonl`

export const parseSegmentName = (name: string): SegmentName | undefined => {
  const found = /^([0-9a-z.]+)-(\d{4,})(?:\.(\d+))?\.jsonl$/.exec(name)
  return found === null
    ? undefined
    : {
        series: found[1]!,
        number: Number(found[2]),
        generation: found[3] === undefined ? 0 : Number(found[3])
      }
}

/** The name of a temporary file tells whose it is and how old. */
export const temporaryName = (owner: string, count: number): string =>
  `${owner}-${Date.now().toString(36)}-${count}`

export const parseTemporaryName = (name: string): { readonly owner: string; readonly time: number } => {
  const [owner, time] = name.split("-")
  return { owner: owner!, time: Number.parseInt(time ?? "0", 36) }
}
