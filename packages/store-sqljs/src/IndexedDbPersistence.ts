/**
 * A place in a browser: an IndexedDB database of the page's origin, for pages and workers alike.
 *
 * IndexedDB says of a transaction with strict durability that it is complete only when it was flushed, and changes many values
 * in one step. So what the store calls durable is, a fold needs no second copy, and who reads in another tab
 * sees the whole of a change or nothing of it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { StoreError } from "@waymark/core/Store"
import * as IndexedDb from "./internal/indexedDb.ts"
import * as WebLock from "./internal/webLock.ts"
import { Persistence } from "./Persistence.ts"
import type { Snapshot } from "./Persistence.ts"

/**
 * - `name`: the name of the store within the origin, `waymark` by default. The IndexedDB database is called
 *   `waymark-sqljs/` and that
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly name?: string | undefined
}

/** Blocks that are one value: the fewer, the less is written; the more, the faster the store opens. */
const blocksInPiece = 4
/** Pieces that are written, or read, before anything else gets its turn. */
const piecesAtOnce = 64

interface Entry {
  readonly log: number
  readonly at: number
  readonly bytes: Uint8Array
}

/** What is known of the pieces: how long they are together, and each of them but the last. */
interface Layout {
  readonly size: number
  readonly pieceSize: number
}

const create = (database: IDBDatabase): void => {
  database.createObjectStore("pieces")
  database.createObjectStore("layout")
  database.createObjectStore("logs", { keyPath: ["log", "at"] })
}

const entriesFrom = (log: number, at: number): IDBKeyRange =>
  IDBKeyRange.bound([log, at], [log, Number.POSITIVE_INFINITY])

/** Bytes that are all of their buffer: what is stored is the buffer. */
const owned = (bytes: Uint8Array): Uint8Array =>
  bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice()

const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const result = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    result.set(part, at)
    at += part.length
  }
  return result
}

const putPieces = (storeOf: (name: string) => IDBObjectStore, snapshot: Snapshot): void => {
  const { blockSize, changed, read, size } = snapshot
  const pieceSize = blockSize * blocksInPiece
  const numbers = [...new Set(changed.map((block) => Math.floor(block / blocksInPiece)))]
  const pieces = storeOf("pieces")
  pieces.delete(IDBKeyRange.lowerBound(Math.ceil(size / pieceSize)))
  const putFrom = (from: number): void => {
    let last: IDBRequest | undefined
    for (const number of numbers.slice(from, from + piecesAtOnce)) {
      last = pieces.put(owned(read(number * blocksInPiece, blocksInPiece)), number)
    }
    if (last === undefined) storeOf("layout").put({ size, pieceSize } satisfies Layout, "layout")
    else IndexedDb.onAnswer(last, () => putFrom(from + piecesAtOnce))
  }
  putFrom(0)
}

const getPieces = (
  storeOf: (name: string) => IDBObjectStore,
  give: (bytes: Uint8Array | undefined) => void
): void => {
  IndexedDb.onAnswer(storeOf("layout").get("layout") as IDBRequest<Layout | undefined>, (layout) => {
    if (layout === undefined) return give(undefined)
    const { pieceSize, size } = layout
    const result = new Uint8Array(size)
    give(result)
    const getFrom = (from: number): void => {
      if (from * pieceSize >= size) return
      const range = IDBKeyRange.bound(from, from + piecesAtOnce, false, true)
      IndexedDb.onAnswer(storeOf("pieces").getAll(range) as IDBRequest<Array<Uint8Array>>, (pieces) => {
        pieces.forEach((piece, index) => {
          const at = (from + index) * pieceSize
          result.set(piece.subarray(0, Math.max(0, size - at)), at)
        })
        getFrom(from + piecesAtOnce)
      })
    }
    getFrom(0)
  })
}

/**
 * The service on IndexedDB.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options?: Options
): Effect.fn.Return<Persistence["Service"], StoreError, Scope.Scope> {
  const name = options?.name ?? "waymark"
  const place = `the IndexedDB database waymark-sqljs/${name}`
  const database = yield* IndexedDb.open({ name: `waymark-sqljs/${name}`, place, version: 1, create })
  const { lock, lockedBy } = WebLock.make(name, place)

  const reading = <A>(
    names: ReadonlyArray<string>,
    body: Parameters<typeof IndexedDb.transact<A>>[4]
  ): Effect.Effect<A, StoreError> => IndexedDb.transact(database, place, names, "readonly", body)
  const writing = (
    names: ReadonlyArray<string>,
    body: (storeOf: (name: string) => IDBObjectStore) => void
  ): Effect.Effect<void, StoreError> => IndexedDb.transact(database, place, names, "readwrite", body)

  /** The end of what was written last: nothing is there beyond it. */
  let written: { readonly log: number; readonly end: number } | undefined

  /** Takes away what a log holds from a byte on. */
  const cut = (logs: IDBObjectStore, log: number, at: number, next: () => void): void => {
    const before = IDBKeyRange.bound([log], [log, at], false, true)
    IndexedDb.onAnswer(logs.openCursor(before, "prev"), (cursor) => {
      const entry = cursor?.value as Entry | undefined
      if (entry !== undefined && entry.at + entry.bytes.length > at) {
        logs.put({ ...entry, bytes: entry.bytes.slice(0, at - entry.at) } satisfies Entry)
      }
      logs.delete(entriesFrom(log, at))
      next()
    })
  }

  return {
    place,
    placeOf: (log) => `${place}, redo log ${log}`,
    lock,
    lockedBy,
    readDatabase: reading<Uint8Array | undefined>(["layout", "pieces"], getPieces),
    fold: (snapshot) => writing(["layout", "pieces"], (storeOf) => putPieces(storeOf, snapshot)),

    listLogs: reading<ReadonlyArray<number>>(["logs"], (storeOf, give) => {
      const found: Array<number> = []
      give(found)
      IndexedDb.onAnswer(storeOf("logs").openKeyCursor(), (cursor) => {
        if (cursor === null) return
        const [log] = cursor.key as [number]
        found.push(log)
        cursor.continue([log, Number.POSITIVE_INFINITY])
      })
    }),

    readLog: (log, from) =>
      reading<Uint8Array | undefined>(["logs"], (storeOf, give) => {
        const logs = storeOf("logs")
        const before = IDBKeyRange.bound([log], [log, from])
        IndexedDb.onAnswer(logs.openKeyCursor(before, "prev"), (cursor) => {
          if (cursor === null) return give(undefined)
          const [, start] = cursor.key as [number, number]
          IndexedDb.onAnswer(logs.getAll(entriesFrom(log, start)) as IDBRequest<Array<Entry>>, (entries) =>
            give(concat(entries.map(({ bytes }) => bytes)).slice(from - start))
          )
        })
      }),

    writeLog: (log, at, bytes) =>
      Effect.suspend(() => {
        const known = written !== undefined && written.log === log && written.end === at
        written = undefined
        return Effect.map(
          writing(["logs"], (storeOf) => {
            const logs = storeOf("logs")
            const put = (): void => {
              // A log is there that holds nothing.
              if (bytes.length > 0 || at === 0) logs.put({ log, at, bytes: owned(bytes) } satisfies Entry)
            }
            if (known) put()
            else cut(logs, log, at, put)
          }),
          () => {
            written = { log, end: at + bytes.length }
          }
        )
      }),

    removeLog: (log) => writing(["logs"], (storeOf) => void storeOf("logs").delete(entriesFrom(log, 0))),

    pause: (millis) =>
      Effect.callback<void>((resume) => {
        const timer = setTimeout(() => resume(Effect.void), millis)
        return Effect.sync(() => clearTimeout(timer))
      }),

    unique: () =>
      Array.from(crypto.getRandomValues(new Uint8Array(5)), (byte) =>
        byte.toString(16).padStart(2, "0")
      ).join("")
  }
})

/**
 * The service on IndexedDB.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Persistence, StoreError> =>
  Layer.effect(
    Persistence,
    Effect.map(make(options), (made) => Persistence.of(made))
  )
