/**
 * Creating runs: of all that want one id, one gets it.
 */
import * as Effect from "effect/Effect"
import { RunExists } from "@waymark/core/Store"
import type { Batch, Lease, StoreError } from "@waymark/core/Store"
import { failure } from "@waymark/store-kit/Failures"
import type { Wakeups } from "@waymark/store-kit/Wakeups"
import type { Leases } from "./leases.ts"
import { step } from "./operation.ts"
import type { RunRow } from "./query.ts"
import type { Writer } from "./writer.ts"

export interface Creation {
  /** With `ahead` it does not wait until the run of a holder is durable. */
  readonly create: (
    batch: Batch,
    holder: string | undefined,
    ahead: boolean
  ) => Effect.Effect<Lease, RunExists | StoreError>
  /** A run that is just being created as a fork of this one. */
  readonly forkOf: (origin: string) => string | undefined
}

export interface Options {
  readonly owner: string
  readonly leases: Leases
  readonly wakeups: Wakeups
  readonly writer: Writer
  readonly find: (run: string) => RunRow | undefined
}

export const make = ({ find, leases, owner, wakeups, writer }: Options): Creation => {
  /** Runs that are being created, with what they are forked from. */
  const creating = new Map<string, string | undefined>()

  /** What waits for runs that are created ahead of the disk. */
  const awaiting = new Map<string, Array<() => void>>()
  const awaitCreation = (run: string): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      if (!creating.has(run)) return resume(Effect.void)
      awaiting.set(run, [...(awaiting.get(run) ?? []), () => resume(Effect.void)])
      writer.hurry()
    })

  type Created = Effect.Effect<Lease | undefined, RunExists | StoreError>

  /** `undefined` if a run of this id is just being created. */
  const createOnce = (batch: Batch, holder: string | undefined, ahead: boolean): Created => {
    const { entries, head } = batch
    const { event } = entries[0]
    const { run } = event
    if (find(run) !== undefined) return Effect.fail(new RunExists({ run }))
    if (creating.has(run)) return Effect.succeed(undefined)
    creating.set(run, event.kind === "forked" ? event.from.run : undefined)
    const { epoch, seq: last } = entries[entries.length - 1]!.event
    const held = holder === undefined ? undefined : leases.hold(run, epoch, last, -1)
    const lease = held ?? { run, owner, epoch }
    const body = { $: "created", run, head, entries: entries.length } as const
    const steps = [step(held === undefined ? body : { ...body, owner }, entries)]
    const settle = (): void => {
      creating.delete(run)
      for (const resume of awaiting.get(run) ?? []) wakeups.later(resume)
      awaiting.delete(run)
    }
    const done = (): void => {
      settle()
      if (held !== undefined) leases.confirm(held, last)
    }
    if (ahead) {
      writer.enqueueSoon({ steps, done, failed: settle })
      return Effect.succeed(lease)
    }
    return Effect.callback((resume) => {
      writer.enqueue({
        steps,
        done: () => {
          done()
          wakeups.later(() => resume(Effect.succeed(lease)))
        },
        failed: (why) => {
          settle()
          wakeups.later(() => resume(Effect.fail(why)))
        }
      })
    })
  }

  const create = (
    batch: Batch,
    holder: string | undefined,
    ahead: boolean
  ): Effect.Effect<Lease, RunExists | StoreError> => {
    const { run } = batch.entries[0].event
    if (run === "" || run.includes("\0") || /\p{Surrogate}/u.test(run)) {
      return failure({ _tag: "Invalid", detail: `${JSON.stringify(run)} cannot be the id of a run` })
    }
    const once = leases.exclusively(
      run,
      Effect.suspend(() => createOnce(batch, holder, ahead))
    )
    return Effect.flatMap(Effect.uninterruptible(once), (lease) =>
      lease === undefined
        ? Effect.andThen(
            awaitCreation(run),
            Effect.suspend(() => create(batch, holder, ahead))
          )
        : Effect.succeed(lease)
    )
  }

  return { create, forkOf: (origin) => [...creating].find(([, from]) => from === origin)?.[0] }
}
