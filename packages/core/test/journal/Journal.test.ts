import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Journal from "../../src/Journal.ts"
import { choiceOf } from "./choice.ts"
import { build, fixedNumbers, hash, numbers } from "./world.ts"
import type { Grown } from "./world.ts"

const options = { arbitrary: { runs: 30, seed: 1 }, timeout: 300_000 }

/** Reads and follows lines to their end, which is known to be `expected`; what is wrong, or `undefined`. */
const fault = (
  lines: ReadonlyArray<string>,
  origin: string | undefined,
  expected: string
): Journal.CorruptEntry | Journal.ChainBroken | "another end" | undefined => {
  let head: Journal.Head | undefined
  for (const line of lines) {
    const parsed = Journal.parse(line)
    if (Result.isFailure(parsed)) return parsed.failure
    const followed = Journal.follow(hash, head, parsed.success, origin)
    if (Result.isFailure(followed)) return followed.failure
    head = followed.success
  }
  return head?.hash === expected ? undefined : "another end"
}

const linesOf = (journal: Grown): ReadonlyArray<string> => journal.entries.map(({ line }) => line)
const originOf = (journal: Grown): string | undefined => journal.origin?.hash
const endOf = (journal: Grown): string => journal.hashes.at(-1)!

/** A text as it is read from bytes, or `undefined` if they are no UTF-8. */
const textOf = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** Where a journal is damaged, the error says so: at that entry or the one after it. */
const assertFound = (found: ReturnType<typeof fault>, at: number, last: number): void => {
  assert.isDefined(found)
  if (found === "another end") assert.strictEqual(at, last)
  else if (found?._tag === "ChainBroken") assert.oneOf(found.seq, [at, at + 1])
}

describe("a chain of entries", { concurrent: false }, () => {
  it.prop(
    "holds from the genesis or a fork's origin to the end",
    { numbers: numbers(150) },
    ({ numbers }) => {
      for (const journal of build(numbers).journals) {
        assert.isUndefined(fault(linesOf(journal), originOf(journal), endOf(journal)))
      }
    },
    options
  )

  it("breaks with every single byte of it that is changed", () => {
    const choice = choiceOf(5)
    const journal = build(fixedNumbers(11, 40), { journals: 1 }).journals[0]!
    const lines = linesOf(journal)
    const last = lines.length - 1
    const heads = lines.map((_, i): Journal.Head | undefined =>
      i === 0 ? undefined : { seq: i - 1, hash: journal.hashes[i - 1]! }
    )
    let flipped = 0
    let parsed = 0
    lines.forEach((line, at) => {
      const bytes = new TextEncoder().encode(line)
      for (let i = 0; i < bytes.length; i++) {
        const damaged = bytes.slice()
        damaged[i]! ^= choice.chance(0.5) ? 1 << choice.int(0, 7) : choice.int(1, 255)
        flipped += 1
        const text = textOf(damaged)
        if (text === undefined) continue
        const entry = Journal.parse(text)
        if (Result.isFailure(entry)) continue
        const followed = Journal.follow(hash, heads[at], entry.success)
        if (Result.isFailure(followed)) continue
        parsed += 1
        assert.notStrictEqual(followed.success.hash, journal.hashes[at])
        if (at < last)
          assert.isTrue(Result.isFailure(Journal.follow(hash, followed.success, journal.entries[at + 1]!)))
      }
    })
    assert.isAbove(flipped, 5_000)
    // Most flips are in texts that stay JSON: it is the hash that finds those.
    assert.isAbove(parsed, 500)
  })

  it.prop(
    "breaks where entries are dropped, repeated, swapped, moved, inserted or taken from another journal",
    { numbers: numbers(60), seed: Schema.Int },
    ({ numbers, seed }) => {
      const { int, pick } = choiceOf(seed)
      const { journals } = build(numbers)
      for (const journal of journals) {
        const lines = linesOf(journal)
        const last = lines.length - 1
        if (last < 2) continue
        const at = int(0, last)
        const other = pick([...Array(last + 1).keys()].filter((i) => i !== at))
        const damages: ReadonlyArray<readonly [string, number, ReadonlyArray<string>]> = [
          ["dropped", at, lines.toSpliced(at, 1)],
          ["repeated", at + 1, lines.toSpliced(at, 0, lines[at]!)],
          ["swapped", Math.min(at, other), lines.with(at, lines[other]!).with(other, lines[at]!)],
          ["moved", Math.min(at, other), lines.toSpliced(at, 1).toSpliced(other, 0, lines[at]!)],
          ["cut off at the front", 0, lines.slice(1)]
        ]
        for (const [what, where, damaged] of damages) {
          const found = fault(damaged, originOf(journal), endOf(journal))
          assert.isDefined(found, what)
          assertFound(found, where, damaged.length)
        }
        // The end that is known is what tells that the tail is missing.
        assert.strictEqual(fault(lines.slice(0, at), originOf(journal), endOf(journal)), "another end")
        for (const stranger of journals) {
          const line = stranger.entries[at]?.line
          if (stranger === journal || line === undefined) continue
          assert.isDefined(fault(lines.with(at, line), originOf(journal), endOf(journal)))
        }
      }
    },
    options
  )

  it("of a fork breaks when its origin is not what was forked", () => {
    const journals = build(fixedNumbers(4, 300), { journals: 6 }).journals
    const forks = journals.filter(({ origin }) => origin !== undefined)
    assert.isAbove(forks.length, 1)
    for (const fork of forks) {
      assert.strictEqual(
        (fault(linesOf(fork), hash("another"), endOf(fork)) as Journal.ChainBroken)._tag,
        "ChainBroken"
      )
      assert.strictEqual(
        (fault(linesOf(fork), undefined, endOf(fork)) as Journal.ChainBroken)._tag,
        "ChainBroken"
      )
    }
  })

  it("begins with nothing but a created or a forked event", () => {
    const { line } = Journal.entry(
      { run: "r", seq: 0, epoch: 0, time: 0, prev: Journal.genesis },
      { kind: "annotated", note: "first" }
    )
    const found = Journal.follow(hash, undefined, Result.getOrThrow(Journal.parse(line)))
    assert.isTrue(Result.isFailure(found))
    if (Result.isFailure(found)) assert.include(found.failure.message, "begins with")
  })

  it("breaks at an entry that says it stands elsewhere, though it names the right hash", () => {
    const { entries, hashes } = build(fixedNumbers(2, 10), { journals: 1 }).journals[0]!
    const [, second] = entries
    const head = { seq: 0, hash: hashes[0]! }
    const { kind: _, ...event } = second!.event
    const moved = Journal.entry({ ...event, seq: 5 }, { kind: "annotated", note: "moved" })
    const found = Journal.follow(hash, head, moved)
    assert.isTrue(Result.isFailure(found))
    if (Result.isFailure(found)) {
      assert.strictEqual(found.failure.seq, 1)
      assert.include(found.failure.detail, "seq 5")
    }
  })
})
