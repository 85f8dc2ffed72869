/**
 * Who may create, or take, a run: of several processes that want to, one.
 *
 * All append lines to one file and read it back. The system appends each write as a whole, so everyone sees the lines in
 * one order, and the first that claims something has it. Nothing of this needs to survive a crash of the machine (then all
 * claimants are dead, and the segments say what came of it), so nothing is synced, and a claim costs next to nothing.
 *
 * Lines are JSON arrays: `["+", series, run, incarnation, epoch]` claims a run at an epoch, 0 to create it (a fork adds the
 * run and incarnation that it is forked from); `["-", series, run, incarnation, epoch]` gives that up; `["x", series, run,
 * incarnation]` wants to delete it and `["-x", …]` does not any more. `["!"]` ends the file: the next one goes on.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import * as Scope from "effect/Scope"
import type { StoreError } from "@waymark/core/Store"
import { coalesce } from "@waymark/store-kit/Coalesce"
import type { Within } from "@waymark/store-kit/Coalesce"
import type { Disk } from "@waymark/store-kit/Disk"
import { failure, fromPlatform } from "@waymark/store-kit/Failures"
import { decodeText } from "@waymark/store-kit/Text"

export interface RunKey {
  readonly run: string
  readonly incarnation: number
}

export interface Claim extends RunKey {
  readonly epoch: number
}

/**
 * - `holder`: the series whose claim came first
 * - `refused`: the run that it would be a fork of is being deleted
 * - `renewed`: earlier lines may have been missed: look again at what is stored before relying on it
 */
export interface Outcome {
  readonly holder: string | undefined
  readonly refused: boolean
  readonly renewed: boolean
}

export interface Claims {
  readonly claim: (series: string, claim: Claim, origin?: RunKey) => Effect.Effect<Outcome, StoreError>
  /** Gives up the claim of a series, or takes it from one that has ended. */
  readonly withdraw: (series: string, claim: Claim) => Effect.Effect<void, StoreError>
  /** From now on no fork of the run can be created; these are just being created. */
  readonly announceDeletion: (
    series: string,
    key: RunKey
  ) => Effect.Effect<ReadonlyArray<{ readonly series: string; readonly fork: RunKey }>, StoreError>
  readonly withdrawDeletion: (series: string, key: RunKey) => Effect.Effect<void, StoreError>
}

export interface Options {
  readonly disk: Disk
  readonly scope: Scope.Scope
  readonly temporary: () => string
  readonly untilClosed: Within<StoreError>
  /** Looks at what is stored. */
  readonly survey: Effect.Effect<void, StoreError>
  /**
   * Whether a claim needs no keeping, as far as is known from a look after it was read: because what is stored shows what
   * came of it, or because its series has ended.
   */
  readonly isSettled: (series: string, claim: Claim) => boolean
  /** When a file is ended and the next one begun, in bytes. */
  readonly limit?: number
}

interface State {
  readonly generation: number
  readonly file: FileSystem.File
  readonly path: string
  readonly scope: Scope.Closeable
  read: number
  /** At how many bytes it is ended; more if it began with much. */
  limit: number
  ended: boolean
  /** By key: who holds it. */
  readonly holders: Map<
    string,
    { readonly series: string; readonly claim: Claim; readonly origin: RunKey | undefined }
  >
  readonly deletions: Map<string, { readonly series: string; readonly key: RunKey }>
}

type Line = readonly [string, ...ReadonlyArray<unknown>]

const keyOf = ({ epoch, incarnation, run }: Claim): string => `${incarnation}.${epoch}.${run}`
const runKeyOf = ({ incarnation, run }: RunKey): string => `${incarnation}.${run}`

const apply = (state: State, line: Line): void => {
  const [what, series, run, incarnation, epoch, originRun, originIncarnation] = line
  if (what === "!") {
    state.ended = true
    return
  }
  if (typeof series !== "string" || typeof run !== "string" || typeof incarnation !== "number") return
  const runKey = { run, incarnation }
  if (what === "x") {
    if (!state.deletions.has(runKeyOf(runKey))) state.deletions.set(runKeyOf(runKey), { series, key: runKey })
    return
  }
  if (what === "-x") {
    if (state.deletions.get(runKeyOf(runKey))?.series === series) state.deletions.delete(runKeyOf(runKey))
    return
  }
  if (typeof epoch !== "number") return
  const claim = { ...runKey, epoch }
  const key = keyOf(claim)
  if (what === "-") {
    if (state.holders.get(key)?.series === series) state.holders.delete(key)
    return
  }
  if (what !== "+" || state.holders.has(key)) return
  const origin =
    typeof originRun === "string" && typeof originIncarnation === "number"
      ? { run: originRun, incarnation: originIncarnation }
      : undefined
  if (origin !== undefined && state.deletions.has(runKeyOf(origin))) return
  state.holders.set(key, { series, claim, origin })
}

const parse = (text: string): Line | undefined => {
  let line: unknown
  try {
    line = JSON.parse(text)
  } catch {
    // Half a line, from a write that failed; whoever wrote it knows that it did.
    return undefined
  }
  return Array.isArray(line) && typeof line[0] === "string" ? (line as unknown as Line) : undefined
}

const chunk = 16 * 1024

export const make = (options: Options): Claims => {
  const { disk } = options
  const limit = options.limit ?? 256 * 1024
  let state: State | undefined
  let outbox: Array<Line> = []
  let renewals = 0
  let scratch = Buffer.allocUnsafe(chunk)

  const generations = Effect.map(disk.list("claims"), (names) =>
    names.flatMap((name) => {
      const found = /^(\d+)\.log$/.exec(name)
      return found === null ? [] : [Number(found[1])]
    })
  )

  const open = Effect.fnUntraced(function* (atLeast: number) {
    let generation = Math.max(atLeast, ...(yield* generations))
    while (true) {
      const path = disk.path("claims", `${generation}.log`)
      const scope = yield* Scope.fork(options.scope)
      const file = yield* Scope.provide(disk.open(path, "a+"), scope)
      // It may have been removed, and made again by this, because the next one is there.
      const newest = Math.max(...(yield* generations))
      if (newest <= generation) {
        renewals += 1
        state = {
          generation,
          file,
          path,
          scope,
          read: 0,
          limit: 0,
          ended: false,
          holders: new Map(),
          deletions: new Map()
        }
        return state
      }
      yield* Scope.close(scope, Exit.void)
      generation = newest
    }
  })

  /** Reads what was appended, by anyone. */
  const readOn = Effect.fnUntraced(function* (current: State) {
    let size = chunk
    while (!current.ended) {
      if (scratch.length < size) scratch = Buffer.allocUnsafe(size)
      const bytes = yield* disk.readAt(current.file, current.path, current.read, size, scratch)
      const end = bytes.lastIndexOf(0x0a)
      if (end < 0) {
        if (bytes.length < size) return
        size *= 4
        continue
      }
      for (let start = 0, stop = 0; start < end; start = stop + 1) {
        stop = bytes.indexOf(0x0a, start)
        const line = stop === start ? undefined : parse(bytes.toString("utf8", start, stop))
        if (line === undefined) continue
        // Half a line may end in half a character, and is none; a whole one was altered since.
        if (decodeText(bytes, start, stop) === undefined) {
          return yield* failure({
            _tag: "Corrupt",
            path: current.path,
            offset: current.read + start,
            detail: "this claim is not UTF-8"
          })
        }
        apply(current, line)
        if (current.ended) return
      }
      current.read += end + 1
      if (bytes.length < size) return
    }
  })

  const append = Effect.fnUntraced(function* (current: State, lines: ReadonlyArray<Line>) {
    // A line end comes first, in case somebody's write stopped in the middle of a line.
    const bytes = Buffer.from(`\n${lines.map((line) => JSON.stringify(line)).join("\n")}\n`)
    const written = yield* Effect.mapError(current.file.write(bytes), fromPlatform(current.path))
    if (written < bytes.length) return yield* failure({ _tag: "NoSpace", path: current.path })
  })

  /** Goes on with the next file, which begins with what is not settled yet. */
  const moveOn = Effect.fnUntraced(function* (current: State) {
    // Whoever claims has a lease before that: a series that is not known after this look is gone.
    yield* options.survey
    const carried: Array<Line> = []
    for (const { claim, origin, series } of current.holders.values()) {
      if (options.isSettled(series, claim)) continue
      carried.push([
        "+",
        series,
        claim.run,
        claim.incarnation,
        claim.epoch,
        ...(origin === undefined ? [] : [origin.run, origin.incarnation])
      ])
    }
    for (const { key, series } of current.deletions.values()) {
      if (!options.isSettled(series, { ...key, epoch: -1 }))
        carried.push(["x", series, key.run, key.incarnation])
    }
    const text = carried.map((line) => `${JSON.stringify(line)}\n`).join("")
    yield* disk.createExclusively(
      disk.path("claims", `${current.generation + 1}.log`),
      Buffer.from(text),
      options.temporary()
    )
    yield* Effect.ignore(disk.remove(current.path))
    yield* Scope.close(current.scope, Exit.void)
    return yield* open(current.generation + 1)
  })

  /** Takes in what was appended; it is known then how much a file began with. */
  const takeIn = Effect.fnUntraced(function* (current: State) {
    yield* readOn(current)
    if (current.limit === 0) current.limit = Math.max(limit, current.read * 2)
  })

  /**
   * Appends what is in the outbox and takes in everything up to there.
   *
   * A long file is ended before anything is appended, never afterwards, and once at most: what was read back before an end
   * stands, however long it is, and need not be appended again. So one who has to append again lost to another who did not,
   * and who goes on; among themselves they cannot end file after file.
   */
  const exchange: Effect.Effect<State, StoreError> = Effect.uninterruptible(
    Effect.gen(function* () {
      const lines = outbox
      outbox = []
      let current = state ?? (yield* open(1))
      yield* takeIn(current)
      if (!current.ended && current.read >= current.limit) {
        yield* append(current, [["!"]])
        yield* readOn(current)
      }
      while (true) {
        if (!current.ended) {
          if (lines.length > 0) yield* append(current, lines)
          yield* readOn(current)
          if (!current.ended) return current
        }
        // What this instance appended may lie behind the end; appended again, it changes nothing if it does not.
        current = yield* moveOn(current)
        yield* takeIn(current)
      }
    })
  )
  // Many runs begin in one turn of the event loop; one write and one read do for all of them.
  const endOfTurn = Effect.callback<void>((resume) => {
    queueMicrotask(() => resume(Effect.void))
  })
  const exchanged = coalesce(exchange, { gather: endOfTurn, within: options.untilClosed })

  const submit = (line: Line): Effect.Effect<State, StoreError> =>
    Effect.suspend(() => {
      outbox.push(line)
      return exchanged
    })

  return {
    claim: (series, claim, origin) =>
      Effect.suspend(() => {
        const before = renewals
        const { epoch, incarnation, run } = claim
        const more = origin === undefined ? [] : [origin.run, origin.incarnation]
        return Effect.map(submit(["+", series, run, incarnation, epoch, ...more]), (current): Outcome => {
          const holder = current.holders.get(keyOf(claim))?.series
          const refused =
            holder === undefined && origin !== undefined && current.deletions.has(runKeyOf(origin))
          return { holder, refused, renewed: renewals !== before }
        })
      }),
    withdraw: (series, { epoch, incarnation, run }) =>
      Effect.asVoid(submit(["-", series, run, incarnation, epoch])),
    announceDeletion: (series, key) =>
      Effect.map(submit(["x", series, key.run, key.incarnation]), (current) => {
        const forks: Array<{ series: string; fork: RunKey }> = []
        for (const held of current.holders.values()) {
          if (held.origin !== undefined && runKeyOf(held.origin) === runKeyOf(key)) {
            forks.push({ series: held.series, fork: held.claim })
          }
        }
        return forks
      }),
    withdrawDeletion: (series, key) => Effect.asVoid(submit(["-x", series, key.run, key.incarnation]))
  }
}
