import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as NodeFs from "node:fs"
import { vi } from "vitest"
import type { StoreError } from "@waymark/core/Store"
import * as NodeFiles from "@waymark/store-kit/NodeFiles"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import { temporaryDirectory } from "./places.ts"
import { check, extend, makeUser, noted, nothingTold, open } from "./scenario.ts"

vi.setConfig({ testTimeout: 300_000 })

const options = { segmentSize: 64 * 1024 * 1024 }

/** What is the least there is to tell from damage: every sort of character, and the one that stands for damage. */
const words = "naïve 日本 🙂 \ufffd"

/** Enough that the segment says of its first lines that they were synced. */
const rounds = 100

/** A store that was left, with an index or without, and its only segment. */
const left = (indexed: boolean, more = false) =>
  Effect.gen(function* () {
    const directory = yield* temporaryDirectory
    const machine = makeMachine()
    const told = nothingTold()
    const { maintenance, store, vanish } = yield* open(NodeFiles.layer, machine, { directory, ...options })
    const user = makeUser(store, told)
    const one = yield* user.create("one", "holder")
    const two = yield* user.create("two", "holder")
    for (let i = 0; i < rounds; i++) {
      yield* user.append(one, noted(`${words} ${i}`))
      yield* user.append(two, noted(`${words} ${i}`), noted(`${words} ${i} too`))
    }
    yield* user.sync(one)
    yield* user.sync(two)
    yield* user.send("two", "command-日本")
    // So much that a mark follows: what lies before it was synced.
    for (let i = 0; more && i < 2; i++) {
      yield* user.append(one, noted("more".repeat(5000)))
      yield* user.sync(one)
    }
    if (indexed) yield* maintenance.writeIndex
    vanish()
    const segment = `${directory}/segments/${NodeFs.readdirSync(`${directory}/segments`)[0]}`
    const reopen = Effect.map(
      open(NodeFiles.layer, machine, { directory, ...options }),
      (opened) => opened.store
    )
    return { directory, machine, told, segment, reopen }
  })

/** Puts a byte that no UTF-8 has in the place of one of `find`, behind `after`; where the line begins. */
const damage = (path: string, after: string, find: string): number => {
  const content = NodeFs.readFileSync(path)
  const line = content.indexOf(after)
  const at = content.indexOf(find, line)
  assert.isAtLeast(line, 0)
  assert.isAtLeast(at, line)
  content[at] = 0xff
  NodeFs.writeFileSync(path, content)
  return line
}

const corruptionOf = (effect: Effect.Effect<unknown, unknown>) =>
  Effect.map(Effect.flip(effect), (error) => {
    const { reason } = error as StoreError
    return reason._tag === "Corrupt" ? reason : assert.fail(`${reason?._tag} instead of Corrupt`)
  })

describe("text", () => {
  for (const indexed of [false, true]) {
    const when = indexed ? "since the index was written" : "before the store was opened"

    it.live(`what was written comes back, whatever characters it has, if nothing happened ${when}`, () =>
      Effect.gen(function* () {
        const { reopen, told } = yield* left(indexed)
        const store = yield* reopen
        yield* check(store, told)
        const entries = yield* store.read("one")
        assert.include(entries[5]!.line, words)
        assert.lengthOf((yield* store.feed()).entries, 3 * rounds + 4)
      }).pipe(Effect.scoped)
    )

    it.live(`an entry in which bytes ceased to be UTF-8 ${when} is damaged, with its file and place`, () =>
      Effect.gen(function* () {
        const { reopen, segment, told } = yield* left(indexed)
        const at = damage(segment, `{"run":"two","seq":7,`, "日")
        const store = yield* reopen
        const reason = yield* corruptionOf(store.read("two"))
        assert.deepInclude(reason, { path: segment, offset: at, run: "two", seq: 7 })
        assert.lengthOf(yield* store.read("two", { from: 8 }), 2 * rounds + 2 - 8)
        // A damaged line is never given out, nor is anything that was made of it; and it is not left out silently.
        const { cursor, entries } = yield* store.feed()
        assert.isAbove(entries.length, 0)
        for (const { line } of entries) assert.notInclude(line, "naïve \ufffd")
        assert.deepInclude(yield* corruptionOf(store.feed({ cursor })), {
          path: segment,
          offset: at,
          run: "two"
        })
        yield* check(store, { ...told, journals: new Map([["one", told.journals.get("one")!]]) })
      }).pipe(Effect.scoped)
    )

    it.live(`a command in which bytes ceased to be UTF-8 ${when} is damaged`, () =>
      Effect.gen(function* () {
        const { reopen, segment } = yield* left(indexed, true)
        const at = damage(segment, `{"$":"command"`, "日")
        const store = yield* reopen
        const reason = yield* corruptionOf(store.inbox("two", {}))
        assert.include(reason, { path: segment, offset: at, run: "two" })
        assert.lengthOf(yield* store.inbox("one", {}), 0)
        yield* store.read("two")
      }).pipe(Effect.scoped)
    )
  }

  it.live("an entry and a command that are another text since the index was written are damaged", () =>
    Effect.gen(function* () {
      const { reopen, segment } = yield* left(true, true)
      const alter = (after: string, wanted: string, text: string): number => {
        const content = NodeFs.readFileSync(segment, "latin1")
        const line = content.indexOf(after)
        const at = content.indexOf(wanted, line)
        assert.isAtLeast(line, 0)
        NodeFs.writeFileSync(segment, content.slice(0, at) + text + content.slice(at + text.length), "latin1")
        return line
      }
      const entry = alter(`{"run":"two","seq":7,`, `"time":1`, `"time":2`)
      const command = alter(`{"$":"command"`, `"time":0`, `"time":1`)
      const store = yield* reopen
      assert.deepInclude(yield* corruptionOf(store.read("two")), { path: segment, offset: entry, seq: 7 })
      assert.deepInclude(yield* corruptionOf(store.inbox("two", {})), { path: segment, offset: command })
    }).pipe(Effect.scoped)
  )

  it.live("half a character at the end of a torn line counts for nothing", () =>
    Effect.gen(function* () {
      const { reopen, segment, told } = yield* left(false)
      const { line } = extend(told.journals.get("one")!, [noted("日")]).batch.entries[0]
      const bytes = Buffer.from(`${line}\n`)
      const end = bytes.indexOf("日") + 1
      NodeFs.appendFileSync(segment, bytes.subarray(0, end))
      NodeFs.appendFileSync(segment, `\n${line.slice(0, 40)}`)
      yield* check(yield* reopen, told)
    }).pipe(Effect.scoped)
  )

  it.live("a small file that is not UTF-8 is damaged, with its place", () =>
    Effect.gen(function* () {
      const { directory, reopen } = yield* left(false)
      const path = `${directory}/format.json`
      const content = NodeFs.readFileSync(path)
      NodeFs.writeFileSync(path, content.toString("latin1").replace("waymark", "way\xffark"), "latin1")
      const reason = yield* corruptionOf(Effect.scoped(reopen))
      assert.deepInclude(reason, { path, offset: content.indexOf("mark") })
    }).pipe(Effect.scoped)
  )

  it.live("an index that is not UTF-8 is as good as none", () =>
    Effect.gen(function* () {
      const { directory, reopen, told } = yield* left(true)
      damage(`${directory}/index.json`, `"run":"two"`, "flow")
      yield* check(yield* reopen, told)
    }).pipe(Effect.scoped)
  )

  it.live("a claim that is not UTF-8 is damaged: nobody creates what another may have claimed", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const machine = makeMachine()
      const told = nothingTold()
      const first = yield* open(NodeFiles.layer, machine, { directory, ...options })
      yield* makeUser(first.store, told).create("日本")
      const path = `${directory}/claims/1.log`
      const at = damage(path, `["+"`, "日")
      const second = yield* open(NodeFiles.layer, machine, { directory, ...options })
      const reason = yield* corruptionOf(makeUser(second.store, nothingTold()).create("another"))
      assert.deepInclude(reason, { path, offset: at })
      // Whoever has read it already is not concerned, and half a line of somebody who failed is none.
      NodeFs.appendFileSync(path, Buffer.from(`["+","x","日`).subarray(0, -1))
      yield* makeUser(first.store, told).create("third")
      yield* check(first.store, told)
    }).pipe(Effect.scoped)
  )
})
