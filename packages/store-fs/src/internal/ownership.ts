/**
 * The lease under which an instance writes its series, and taking over the series of others.
 *
 * Whoever takes a series over first claims it (a hard link of its lease, then the lease goes), *then* looks how far it
 * was written, syncs that, and seals it there. Its owner writes, syncs, and *then* looks whether its lease is still there,
 * before it tells anyone. So either the owner sees that it was taken over, or what it wrote lies before the seal. The
 * first seal counts, whoever makes it; so a taker that dies half way holds nobody up.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { StoreError } from "@waymark/core/Store"
import type { ProcessIdentity } from "@waymark/store-kit/ProcessIdentity"
import type { Catalog } from "./catalog.ts"
import { coalesce } from "@waymark/store-kit/Coalesce"
import type { Within } from "@waymark/store-kit/Coalesce"
import type { Disk } from "@waymark/store-kit/Disk"
import { failure, fromPlatform } from "@waymark/store-kit/Failures"
import { formatMark, formatVersion, parseFile, SealFile, seriesName, temporaryName } from "./format.ts"
import type { LeaseFile, Mark } from "./format.ts"
import type { Position, Series } from "./model.ts"
import type { Observer } from "./observer.ts"
import type { Wakeups } from "@waymark/store-kit/Wakeups"

export interface Ownership {
  /** The series that this instance writes, with a lease on disk; a new one if the last one was taken over. */
  readonly ensure: Effect.Effect<Series, StoreError>
  readonly current: () => Series | undefined
  /** Whether the lease is still there. To be asked after a sync. */
  readonly isHeld: Effect.Effect<boolean, StoreError>
  /**
   * Whether the lease of this instance's series was seen so lately that its heartbeat cannot have stood still for its time
   * since, whatever happened to this process.
   */
  readonly isRecent: (series: Series) => boolean
  /** Lets others know how far the series is synced, soon. */
  readonly mark: (position: Position) => void
  /** Gives the series up: it was taken over. */
  readonly relinquish: () => void
  /** Ends the series of an owner that does not hold its runs any more, for good. */
  readonly takeOver: (series: Series) => Effect.Effect<void, StoreError>
  /** Removes the lease of this instance. */
  readonly close: Effect.Effect<void>
  /** A name for a temporary file that nobody else uses. */
  readonly temporary: () => string
}

export interface Options {
  readonly disk: Disk
  readonly catalog: Catalog
  readonly observer: Observer
  readonly identity: ProcessIdentity["Service"]
  readonly owner: string
  readonly readOnly: boolean
  /** Milliseconds. */
  readonly ttl: number
  readonly heartbeat: number
  readonly scope: Scope.Scope
  readonly untilClosed: Within<StoreError>
  readonly wakeups: Wakeups
}

/** Marks are written at most so often, in milliseconds. */
const markInterval = 20

const bytesOf = (value: unknown): Uint8Array => Buffer.from(`${JSON.stringify(value)}\n`)

interface Held {
  readonly series: Series
  readonly path: string
  readonly markPath: string
  readonly file: FileSystem.File
  readonly scope: Scope.Closeable
  mark: Mark
  dirty: boolean
  wake: (() => void) | undefined
}

export const make = (options: Options): Ownership => {
  const { catalog, disk, identity, observer } = options
  let held: Held | undefined
  let count = 0
  let temporaries = 0
  let closed = false

  const temporary = (): string => temporaryName(options.owner, ++temporaries)

  const signal = (lease: Held): void => {
    lease.dirty = true
    lease.wake?.()
  }

  /** Writes the mark whenever something changed, and the heartbeat at its interval, until the scope is closed. */
  const keepMarked = (lease: Held): Effect.Effect<void> => {
    let reported = false
    const write = Effect.suspend(() => {
      lease.dirty = false
      return Effect.andThen(
        lease.file.seek(BigInt(0), "start"),
        lease.file.writeAll(Buffer.from(formatMark(lease.mark)))
      )
    }).pipe(
      Effect.catch((error) => {
        // Others will take the series over, and the next sync will show it: no more can be done here than to say so.
        if (reported) return Effect.void
        reported = true
        return Effect.logWarning("the heartbeat of a store cannot be written", {
          path: lease.markPath,
          error: error.message
        })
      })
    )
    const awaitSignal = Effect.callback<void>((resume) => {
      if (lease.dirty) return resume(Effect.void)
      lease.wake = () => {
        lease.wake = undefined
        resume(Effect.void)
      }
    })
    return Effect.forever(
      Effect.andThen(awaitSignal, Effect.andThen(write, identity.pause(markInterval, "idle")))
    )
  }

  const beat = (lease: Held): Effect.Effect<void> =>
    Effect.forever(
      Effect.andThen(
        identity.pause(options.heartbeat, "idle"),
        Effect.sync(() => {
          lease.mark = { ...lease.mark, beat: lease.mark.beat + 1 }
          signal(lease)
        })
      )
    )

  const acquire: Effect.Effect<Series, StoreError> = Effect.gen(function* () {
    if (held !== undefined) return held.series
    if (closed) return yield* failure({ _tag: "Closed", detail: "this store was closed" })
    if (options.readOnly)
      return yield* failure({
        _tag: "Invalid",
        path: disk.root,
        detail: "this store was opened to read only"
      })
    // Another process may have made these and died before it could make them durable.
    yield* disk.syncDirectory(disk.parent)
    yield* disk.syncDirectory(disk.root)
    let id: string
    let path: string
    do {
      id = seriesName(options.owner, count++)
      path = disk.path("leases", `${id}.json`)
      const lease: LeaseFile = {
        format: formatVersion,
        series: id,
        owner: options.owner,
        ttl: options.ttl,
        process: identity.self
      }
      if (yield* disk.createExclusively(path, bytesOf(lease), temporary())) break
    } while (true)
    const markPath = disk.path("leases", `${id}.mark`)
    const scope = yield* Scope.fork(options.scope)
    const mark: Mark = { beat: 1, segment: 0, end: 0 }
    const file = yield* disk.open(markPath, "w").pipe(
      Effect.tap((opened) =>
        Effect.mapError(opened.writeAll(Buffer.from(formatMark(mark))), fromPlatform(markPath))
      ),
      Scope.provide(scope),
      Effect.onError(() => Scope.close(scope, Exit.void))
    )
    const series = catalog.seriesOf(id)
    series.own = true
    const lease: Held = { series, path, markPath, file, scope, mark, dirty: false, wake: undefined }
    held = lease
    yield* Effect.forkIn(keepMarked(lease), scope)
    yield* Effect.forkIn(beat(lease), scope)
    return series
  })

  const acquired = coalesce(Effect.uninterruptible(acquire), { within: options.untilClosed })
  const ensure = Effect.suspend(() => (held === undefined ? acquired : Effect.succeed(held.series)))

  const relinquish = (): void => {
    if (held === undefined) return
    const lease = held
    held = undefined
    lease.series.own = false
    lease.series.claimed = true
    options.wakeups.fork(Scope.close(lease.scope, Exit.void))
  }

  const seal = Effect.fnUntraced(function* (series: Series) {
    const leasePath = disk.path("leases", `${series.id}.json`)
    const claimPath = disk.path("claims", `${series.id}.json`)
    const sealPath = disk.path("claims", `${series.id}.seal`)
    yield* disk.link(leasePath, claimPath).pipe(
      Effect.catch((error) =>
        // No lease: somebody else is taking it over, or it was lost with the power, or the series was closed just now.
        Effect.flatMap(disk.exists(leasePath), (there) =>
          there ? Effect.fail(error) : Effect.succeed(false)
        )
      )
    )
    yield* disk.remove(leasePath)
    yield* disk.syncDirectory(disk.path("claims"))
    yield* disk.syncDirectory(disk.path("leases"))
    yield* observer.listSegments
    const written = yield* observer.sizeOf(series)
    yield* observer.syncSeries(series)
    const end = yield* observer.measure(series, written)
    const ours: SealFile = { segment: end.segment, end: end.offset }
    if (!(yield* disk.createExclusively(sealPath, bytesOf(ours), temporary()))) {
      const text = yield* disk.readText(sealPath)
      const theirs = text === undefined ? undefined : parseFile(SealFile, text)
      if (theirs === undefined) {
        return yield* failure({ _tag: "Corrupt", path: sealPath, detail: "a seal cannot be read" })
      }
      return theirs
    }
    return ours
  })

  const takeOverOnce = (series: Series): Effect.Effect<void, StoreError> =>
    Effect.gen(function* () {
      if (series.ended !== undefined || observer.isLive(series)) return
      // Ends with the series that claims: it must be one that others can judge.
      yield* ensure
      yield* observer.exclusively(
        Effect.gen(function* () {
          if (series.ended !== undefined) return
          const { end, segment } = yield* seal(series)
          yield* observer.advance(series, { to: { segment, offset: end }, whole: true })
          if (series.ended === undefined) catalog.endSeries(series, "crashed")
          yield* disk.remove(disk.path("leases", `${series.id}.mark`))
          catalog.notify()
        })
      )
    })

  const takeOvers = new Map<Series, Effect.Effect<void, StoreError>>()

  return {
    ensure,
    current: () => held?.series,
    temporary,
    relinquish,
    isHeld: Effect.suspend(() => {
      if (held === undefined) return Effect.succeed(false)
      const { path, series } = held
      const asked = identity.monotonic()
      return Effect.flatMap(disk.exists(path), (there) => {
        if (there) {
          series.heldAt = asked
          return Effect.succeed(true)
        }
        return Effect.flatMap(disk.exists(disk.path("segments")), (there) =>
          there
            ? Effect.succeed(false)
            : Effect.fail(
                failure({
                  _tag: "Invalid",
                  path: disk.root,
                  detail: "the store's directory, or a part of it, is gone"
                })
              )
        )
      })
    }),
    // The last heartbeat is half a lease old at most, when it is time for the next one.
    isRecent: (series) => identity.monotonic() - series.heldAt < options.ttl / 4,
    mark: ({ offset, segment }) => {
      if (held === undefined) return
      held.mark = { ...held.mark, segment, end: offset }
      signal(held)
    },
    takeOver: (series) => {
      let known = takeOvers.get(series)
      if (known === undefined) {
        known = coalesce(takeOverOnce(series), { within: options.untilClosed })
        takeOvers.set(series, known)
      }
      return known
    },
    close: Effect.suspend(() => {
      closed = true
      if (held === undefined) return Effect.void
      const lease = held
      held = undefined
      return Effect.andThen(
        Scope.close(lease.scope, Exit.void),
        Effect.andThen(disk.remove(lease.path), disk.remove(lease.markPath))
      ).pipe(
        Effect.catch((error) =>
          Effect.logWarning("the lease of a store could not be removed", {
            path: lease.path,
            error: error.message
          })
        )
      )
    })
  }
}
