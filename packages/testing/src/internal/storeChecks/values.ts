import * as Effect from "effect/Effect"
import { Hasher } from "@waymark/core/Hasher"
import type { Check } from "../../StoreHarness.ts"
import { restart } from "./observation.ts"
import type { Instance } from "./trial.ts"
import { check, holds, same, violated } from "./trial.ts"

/** Bytes without a pattern that an encoding could be lucky with. */
const bytes = (length: number, seed = 1): Uint8Array => {
  const out = new Uint8Array(length)
  let state = seed
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    out[i] = state >>> 24
  }
  return out
}

const keys = [
  "cursor",
  "Cursor",
  "../x",
  "a/b",
  "a.b",
  " ",
  "é",
  "e\u0301",
  "😀",
  "__proto__",
  "k".repeat(300)
]

const equalBytes = (what: string, found: Uint8Array | undefined, expected: Uint8Array) =>
  found === undefined
    ? violated(`${what}: there are none`)
    : holds(
        `${what}: ${found.length} bytes came back, and they are not the ${expected.length} that were stored`,
        found.length === expected.length && found.every((byte, index) => byte === expected[index])
      )

const put = Effect.fnUntraced(function* (store: Instance, value: Uint8Array) {
  const { hashBytes } = yield* Hasher
  const hash = yield* store.putArtifact(value)
  yield* same("putArtifact: the SHA-256", hash, hashBytes(value))
  return hash
})

export const valueChecks: ReadonlyArray<Check> = [
  check(
    "meta",
    "a value is what it was set to last, each key for itself",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      for (const key of keys) yield* same(`${key}, never set`, yield* store.getMeta(key), undefined)
      for (const key of keys) yield* store.setMeta(key, `first ${key}`)
      for (const key of keys) yield* same(key, yield* store.getMeta(key), `first ${key}`)
      const values = ["", "second", "line\nbreak \u0000 \u2028 😀", "x".repeat(1_000_000)]
      for (const value of values) {
        yield* store.setMeta("cursor", value)
        yield* same("cursor", yield* store.getMeta("cursor"), value)
      }
      yield* same("another key", yield* store.getMeta("Cursor"), "first Cursor")
    })
  ),
  check(
    "meta",
    "values survive a power cut",
    ["crash"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      for (const key of keys) yield* store.setMeta(key, "first")
      for (const key of keys) yield* store.setMeta(key, `second ${key}`)
      const again = yield* restart(trial)
      for (const key of keys) yield* same(key, yield* again.getMeta(key), `second ${key}`)
    })
  ),
  check(
    "meta",
    "other instances learn of a value",
    ["several"],
    Effect.fnUntraced(function* (trial) {
      const one = yield* trial.open
      const two = yield* trial.open
      for (const value of ["first", "second", ""]) {
        yield* one.setMeta("cursor", value)
        yield* trial.eventually(
          Effect.flatMap(two.getMeta("cursor"), (found) => same("cursor", found, value))
        )
      }
      yield* two.setMeta("cursor", "theirs")
      yield* trial.eventually(
        Effect.flatMap(one.getMeta("cursor"), (found) => same("cursor", found, "theirs"))
      )
    })
  ),
  check(
    "artifacts",
    "bytes come back under their SHA-256, whatever they are",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const values = [
        new Uint8Array(0),
        Uint8Array.from({ length: 256 }, (_, byte) => byte),
        new TextEncoder().encode("line\n\ufeffbreak\r\n"),
        bytes(70_000),
        bytes(1 << 20, 7).subarray(3, 1000)
      ]
      const hashes = yield* Effect.forEach(values, (value) => put(store, value))
      for (const [index, hash] of hashes.entries()) {
        yield* equalBytes(`getArtifact ${hash}`, yield* store.getArtifact(hash), values[index]!)
      }
      yield* same("the SHA-256 of the same bytes again", yield* store.putArtifact(values[1]!), hashes[1])
      yield* equalBytes("after storing them again", yield* store.getArtifact(hashes[1]!), values[1]!)
      yield* same(
        "a SHA-256 that nothing was stored under",
        yield* store.getArtifact("0".repeat(64)),
        undefined
      )
    })
  ),
  check(
    "artifacts",
    "what a caller does to its bytes afterwards changes nothing",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const value = bytes(1000)
      const hash = yield* put(store, value)
      const original = value.slice()
      value.fill(0)
      const found = yield* store.getArtifact(hash)
      yield* equalBytes("after the stored array was overwritten", found, original)
      found?.fill(1)
      yield* equalBytes("after the returned array was overwritten", yield* store.getArtifact(hash), original)
    })
  ),
  check(
    "artifacts",
    "a name that is no SHA-256 gives nothing",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const hash = yield* put(store, bytes(10))
      for (const name of [
        "",
        ".",
        "..",
        "../..",
        "/etc/hosts",
        `../${hash}`,
        hash.toUpperCase(),
        hash.slice(1),
        `${hash}0`,
        "é"
      ]) {
        const found = yield* Effect.catchTag(store.getArtifact(name), "StoreError", (error) =>
          error.reason._tag === "Invalid" ? Effect.succeed(undefined) : Effect.fail(error)
        )
        yield* same(`getArtifact ${JSON.stringify(name)}`, found, undefined)
      }
    })
  ),
  check(
    "artifacts",
    "they survive a power cut",
    ["crash"],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const values = [bytes(10), bytes(100_000), new Uint8Array(0)]
      const hashes = yield* Effect.forEach(values, (value) => put(store, value), { concurrency: "unbounded" })
      const again = yield* restart(trial)
      for (const [index, hash] of hashes.entries()) {
        yield* equalBytes(`getArtifact ${hash}`, yield* again.getArtifact(hash), values[index]!)
      }
      // Storing them again must not rest on what an earlier process left half done.
      yield* put(again, values[1]!)
      const third = yield* restart(trial)
      yield* equalBytes("after another power cut", yield* third.getArtifact(hashes[1]!), values[1]!)
    })
  ),
  check(
    "artifacts",
    "10 MB at once, and the same bytes by many at once",
    [],
    Effect.fnUntraced(function* (trial) {
      const store = yield* trial.open
      const large = bytes(10 * 1024 * 1024)
      const hash = yield* put(store, large)
      yield* equalBytes("10 MB", yield* store.getArtifact(hash), large)
      const value = bytes(5000, 3)
      const hashes = yield* Effect.forEach(Array.from({ length: 8 }), () => store.putArtifact(value), {
        concurrency: "unbounded"
      })
      yield* same("how many hashes the same bytes have", new Set(hashes).size, 1)
      yield* equalBytes("bytes that many stored at once", yield* store.getArtifact(hashes[0]!), value)
    })
  )
]
