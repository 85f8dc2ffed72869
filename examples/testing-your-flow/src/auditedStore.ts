/**
 * A layer around any store: nothing is changed in it that does not stand in an audit first. A change that cannot be recorded is
 * not made. One that was recorded may still not have been made, since a process can die in between.
 */
import { Store as StorePort } from "@waymark/core"
import { Context, Effect, Layer, Schema } from "effect"

const { Store, StoreError } = StorePort

/** Who did what to which run, if it is about one; `detail` has the kinds of the events, say, and none of their values. */
export interface Change {
  readonly by: string
  readonly operation: "create" | "append" | "send" | "delete" | "setMeta" | "putArtifact"
  readonly run: string | undefined
  readonly detail: string
}

export class AuditUnavailable extends Schema.TaggedError<AuditUnavailable>()("AuditUnavailable", {
  detail: Schema.String
}) {}

export class Audit extends Context.Service<
  Audit,
  { readonly record: (change: Change) => Effect.Effect<void, AuditUnavailable> }
>()("@waymark/example-testing-your-flow/Audit") {}

/** An audit in memory, for tests: `changes` is what stands in it, and it can be made unavailable. */
export interface MemoryAudit {
  readonly changes: ReadonlyArray<Change>
  isAvailable: boolean
  readonly layer: Layer.Layer<Audit>
}

export const makeAudit = (): MemoryAudit => {
  const changes: Array<Change> = []
  const record = (change: Change): Effect.Effect<void, AuditUnavailable> =>
    Effect.suspend(() => {
      if (!audit.isAvailable)
        return Effect.fail(new AuditUnavailable({ detail: "the audit does not answer" }))
      changes.push(change)
      return Effect.void
    })
  const audit: MemoryAudit = { changes, isAvailable: true, layer: Layer.succeed(Audit, { record }) }
  return audit
}

/** The store, audited. */
export const layer = <E, R>(
  inner: Layer.Layer<StorePort.Store, E, R>
): Layer.Layer<StorePort.Store, E, R | Audit> =>
  Layer.effect(
    Store,
    Effect.gen(function* () {
      const store = yield* Store
      const audit = yield* Audit
      /** Records a change, then makes it. */
      const audited = <A, F>(
        operation: Change["operation"],
        run: string | undefined,
        detail: string,
        change: Effect.Effect<A, F>
      ): Effect.Effect<A, F | StorePort.StoreError> =>
        audit.record({ by: store.owner, operation, run, detail }).pipe(
          Effect.mapError(
            (cause) =>
              new StoreError({ operation, reason: { _tag: "Io", code: "EIO", path: "audit" }, cause })
          ),
          Effect.andThen(change)
        )
      const kinds = ({ entries }: StorePort.Batch) => entries.map(({ event }) => event.kind).join(", ")
      return Store.of({
        ...store,
        create: (batch, options) =>
          audited("create", batch.entries[0].event.run, kinds(batch), store.create(batch, options)),
        append: (lease, expected, batch) =>
          audited("append", lease.run, kinds(batch), store.append(lease, expected, batch)),
        send: (command) => audited("send", command.run, command.request.type, store.send(command)),
        delete: (run) => audited("delete", run, "", store.delete(run)),
        setMeta: (key, value) => audited("setMeta", undefined, key, store.setMeta(key, value)),
        putArtifact: (bytes) =>
          audited("putArtifact", undefined, `${bytes.length} bytes`, store.putArtifact(bytes))
      })
    })
  ).pipe(Layer.provide(inner))
