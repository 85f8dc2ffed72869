/**
 * A store between which and its users faults stand.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Journal from "@waymark/core/Journal"
import type { Entry } from "@waymark/core/Journal"
import type { Command } from "@waymark/core/Command"
import { StoreError } from "@waymark/core/Store"
import type { Batch, Store, StoreErrorReason } from "@waymark/core/Store"
import type { Code } from "../powerLoss/errno.ts"
import type { Kind } from "./fault.ts"
import type { Injector, Observer, Request } from "./injector.ts"

type Instance = Store["Service"]

const reasonOf = (code: Code): StoreErrorReason => {
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
    case "EFBIG":
      return { _tag: "NoSpace" }
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return { _tag: "Denied" }
    default:
      return { _tag: "Io", code }
  }
}

const sizeOf = ({ entries }: Batch): number => entries.reduce((sum, { line }) => sum + line.length + 1, 0)

/** Bytes with one bit that is not what it was. */
export const flip = (bytes: Uint8Array, bit: number): Uint8Array => {
  const altered = bytes.slice()
  if (altered.length === 0) return altered
  const at = bit % (altered.length * 8)
  altered[at >> 3]! ^= 1 << (at & 7)
  return altered
}

/** Entries one of which is not what was written, if it still is one: a store says that it is damaged if it is none. */
const flipEntry = (
  operation: string,
  entries: ReadonlyArray<Entry>,
  bit: number
): Effect.Effect<ReadonlyArray<Entry>, StoreError> => {
  const { length } = entries
  if (length === 0) return Effect.succeed(entries)
  const index = bit % length
  const { event, line } = entries[index]!
  const text = new TextDecoder().decode(flip(new TextEncoder().encode(line), Math.floor(bit / length)))
  const parsed = Journal.parse(text)
  if (Result.isSuccess(parsed)) return Effect.succeed(entries.with(index, parsed.success))
  return Effect.fail(
    new StoreError({
      operation,
      reason: { _tag: "Corrupt", run: event.run, seq: event.seq, detail: parsed.failure.detail }
    })
  )
}

/** An operation of the port that changes something. */
export type Change =
  | {
      readonly name: "create"
      readonly run: string
      readonly batch: Batch
      readonly held: boolean
      readonly ahead: boolean
    }
  | { readonly name: "append"; readonly run: string; readonly batch: Batch }
  | { readonly name: "sync" | "acquire" | "release" | "delete"; readonly run: string }
  | { readonly name: "send"; readonly run: string; readonly command: Command }
  | { readonly name: "setMeta"; readonly key: string }
  | { readonly name: "putArtifact"; readonly bytes: Uint8Array }

const subjectOf = (change: Change): string =>
  "run" in change ? change.run : change.name === "setMeta" ? change.key : ""

export interface Options {
  /** Is told of the operations that change something. */
  readonly observe?: ((change: Change) => Observer) | undefined
  /** Whether what only reads may have faults, too; it may unless said otherwise. */
  readonly reads?: boolean | undefined
}

export const wrap = (inner: Instance, injector: Injector, options: Options = {}): Instance => {
  const answers = new Map<string, unknown>()

  const mutating = <A, E>(
    change: Change,
    kind: Kind,
    perform: Effect.Effect<A, E>,
    more: Partial<Request<A, E | StoreError>> = {}
  ): Effect.Effect<A, E | StoreError> =>
    Effect.suspend(() =>
      injector.perform<A, E | StoreError>({
        service: "store",
        name: change.name,
        kind,
        subject: subjectOf(change),
        perform,
        again: perform,
        fail: (code) => Effect.fail(new StoreError({ operation: change.name, reason: reasonOf(code) })),
        observer: options.observe?.(change),
        ...more
      })
    )

  /** A write that is cut off is not there, unless nothing of it was missing: a store takes all or nothing. */
  const torn = (size: number, perform: Effect.Effect<unknown, any>) => ({
    torn: (bytes: number) => (bytes < size ? Effect.void : perform)
  })

  const reading = <A, E>(
    name: string,
    subject: string,
    query: unknown,
    perform: Effect.Effect<A, E>,
    flipped?: (answer: A, bit: number) => Effect.Effect<A, StoreError>
  ): Effect.Effect<A, E | StoreError> => {
    const key = JSON.stringify([name, subject, query])
    const fresh = Effect.tap(perform, (answer) => Effect.sync(() => answers.set(key, answer)))
    return injector.perform<A, E | StoreError>({
      service: "store",
      name,
      kind: "read",
      subject,
      perform: fresh,
      fail: (code) => Effect.fail(new StoreError({ operation: name, reason: reasonOf(code) })),
      stale: () => (answers.has(key) ? Effect.succeed(answers.get(key) as A) : undefined),
      ...(flipped === undefined
        ? undefined
        : { flipped: (bit: number) => Effect.flatMap(perform, (answer) => flipped(answer, bit)) })
    })
  }

  const changing = {
    create: (batch, createOptions) => {
      const perform = inner.create(batch, createOptions)
      const { run } = batch.entries[0].event
      const held = createOptions?.holder !== undefined
      const ahead = createOptions?.ahead === true
      return mutating(
        { name: "create", run, batch, held, ahead },
        "write",
        perform,
        torn(sizeOf(batch), perform)
      )
    },
    append: (lease, expected, batch) => {
      const perform = inner.append(lease, expected, batch)
      return mutating(
        { name: "append", run: lease.run, batch },
        "write",
        perform,
        torn(sizeOf(batch), perform)
      )
    },
    sync: (lease, syncOptions) =>
      mutating({ name: "sync", run: lease.run }, "sync", inner.sync(lease, syncOptions), {
        lost: Effect.void,
        // After a sync that failed the lease is void. Whether what was appended is durable nobody can tell.
        fail: (code) =>
          Effect.andThen(
            Effect.ignore(inner.release(lease)),
            Effect.fail(new StoreError({ operation: "sync", reason: reasonOf(code) }))
          )
      }),
    acquire: (run, holder) => mutating({ name: "acquire", run }, "change", inner.acquire(run, holder)),
    release: (lease) => mutating({ name: "release", run: lease.run }, "change", inner.release(lease)),
    send: (command) => {
      const perform = inner.send(command)
      const size = JSON.stringify(command).length
      return mutating({ name: "send", run: command.run, command }, "write", perform, torn(size, perform))
    },
    delete: (run) => mutating({ name: "delete", run }, "change", inner.delete(run)),
    setMeta: (key, value) => {
      const perform = inner.setMeta(key, value)
      return mutating({ name: "setMeta", key }, "write", perform, torn(value.length, perform))
    },
    putArtifact: (bytes) => {
      const perform = inner.putArtifact(bytes)
      return mutating({ name: "putArtifact", bytes }, "write", perform, torn(bytes.length, perform))
    }
  } satisfies Partial<Instance>
  if (options.reads === false) return { ...inner, ...changing }

  return {
    ...inner,
    ...changing,
    get: (run) => reading("get", run, null, inner.get(run)),
    read: (run, readOptions) =>
      reading("read", run, readOptions, inner.read(run, readOptions), (entries, bit) =>
        flipEntry("read", entries, bit)
      ),
    list: (query) => reading("list", "", query, inner.list(query)),
    feed: (feedOptions) =>
      reading("feed", "", feedOptions, inner.feed(feedOptions), (feed, bit) =>
        Effect.map(flipEntry("feed", feed.entries, bit), (entries) => ({ ...feed, entries }))
      ),
    changes: Stream.filterEffect(inner.changes, () =>
      injector.isDead() ? Effect.interruptible(Effect.never) : Effect.succeed(true)
    ),
    changed: (run, seq) =>
      Effect.flatMap(Effect.exit(inner.changed(run, seq)), (exit) =>
        injector.isDead() ? Effect.interruptible(Effect.never) : exit
      ),
    inbox: (run, cursor) => reading("inbox", run, cursor, inner.inbox(run, cursor)),
    getMeta: (key) => reading("getMeta", key, null, inner.getMeta(key)),
    getArtifact: (hash) =>
      reading("getArtifact", hash, null, inner.getArtifact(hash), (bytes, bit) =>
        Effect.succeed(bytes === undefined ? undefined : flip(bytes, bit))
      )
  }
}
