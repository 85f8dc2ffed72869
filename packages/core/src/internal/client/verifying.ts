/**
 * Verifying a run: apart from the client itself, since few programs do it.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Journal from "../../Journal.ts"
import { InvalidCheckpoint } from "../../RunError.ts"
import type { ReadError, RunLike, Runs } from "../../Runs.ts"
import { page } from "../engine/pages.ts"
import type { Journals } from "../engine/reader.ts"
import { checkPosition, idOf, Service } from "./client.ts"

/**
 * From where to verify a run, and what is known of its head from elsewhere.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifyOptions {
  readonly from?: number | undefined
  readonly expect?: Journal.Head | undefined
}

const verifyChain = /* @__PURE__ */ Effect.fnUntraced(function* (
  { hash, store }: Journals,
  run: string,
  options: VerifyOptions
): Effect.fn.Return<Journal.Verified, Journal.ChainBroken | ReadError | InvalidCheckpoint> {
  const from = options.from ?? 0
  const stored = yield* store.get(run)
  const { expect } = options
  const broken = (seq: number, detail: string) => new Journal.ChainBroken({ run, seq, detail })
  yield* checkPosition(run, from)
  if (from > stored.head.seq) {
    return yield* new InvalidCheckpoint({
      run,
      seq: from,
      detail: `the journal ends at seq ${stored.head.seq}`
    })
  }
  if (expect !== undefined && expect.seq < from - 1) {
    return yield* new InvalidCheckpoint({
      run,
      seq: from,
      detail: `what is known of seq ${expect.seq} cannot be checked from here`
    })
  }
  if (expect !== undefined && expect.seq > stored.head.seq) {
    return yield* broken(
      stored.head.seq,
      `it ends here, before seq ${expect.seq}, which is known to have been written`
    )
  }
  let head: Journal.Head | undefined
  let anchor: string | undefined
  for (let next = from; next <= stored.head.seq;) {
    const entries = yield* store.read(run, { from: next, to: stored.head.seq, ...page })
    if (entries.length === 0) return yield* broken(next, "the entry is missing")
    for (const entry of entries) {
      const parsed = Journal.parse(entry.line)
      if (Result.isFailure(parsed)) return yield* broken(next, parsed.failure.detail)
      if (parsed.success.event.run !== run) return yield* broken(next, "the entry belongs to another run")
      let origin: string | undefined
      if (anchor === undefined) {
        const first = parsed.success.event
        anchor = first.prev
        if (first.kind === "forked") {
          const [source] = yield* store.read(first.from.run, { from: first.from.seq, limit: 1 })
          if (source !== undefined) anchor = hash(source.line)
        } else if (first.kind === "created") anchor = Journal.genesis
        origin = anchor
        if (expect !== undefined && expect.seq === from - 1 && expect.hash !== anchor) {
          return yield* broken(
            from,
            `it names ${anchor} as the hash before it, not ${expect.hash} as is known`
          )
        }
        head = from === 0 ? undefined : { seq: from - 1, hash: anchor }
      }
      const followed: Result.Result<Journal.Head, Journal.ChainBroken> = Journal.follow(
        hash,
        head,
        entry,
        origin
      )
      if (Result.isFailure(followed)) return yield* followed.failure
      head = followed.success
      if (expect !== undefined && expect.seq === head.seq && expect.hash !== head.hash) {
        return yield* broken(head.seq, `its hash is ${head.hash}, not ${expect.hash} as is known`)
      }
      next = head.seq + 1
    }
  }
  if (head!.hash !== stored.head.hash) {
    return yield* broken(head!.seq, `its hash is ${head!.hash}, not ${stored.head.hash} as the index says`)
  }
  return { run, from, to: head!.seq, anchor: anchor!, head: head!.hash }
})

/**
 * Checks the chain of hashes of a run from its first entry (or from `from`) to its last, and says what was
 * verified. Whether the end is missing can be told only with the hash of the head from elsewhere: `expect`.
 *
 * @category checking
 * @since 0.1.0
 */
export const verify = (
  run: RunLike,
  options: VerifyOptions = {}
): Effect.Effect<Journal.Verified, Journal.ChainBroken | ReadError | InvalidCheckpoint, Runs> =>
  Service.use(({ client }) => verifyChain(client, idOf(run), options))
