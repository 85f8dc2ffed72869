import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { RpcSerialization } from "effect/rpc"
import { layerSerialization } from "../src/WorkerProtocol.ts"

it.effect("messages are read however they are cut into pieces", () =>
  Effect.gen(function* () {
    const serialization = yield* RpcSerialization.RpcSerialization
    const messages = [{ text: "😀é\u0000\n" }, { text: "" }, { text: "x".repeat(300) }, { n: 1 }]
    const bytes = new TextEncoder().encode(messages.map((message) => `${JSON.stringify(message)}\n`).join(""))
    // Also within a character, and with the ends of several messages in one piece.
    for (const size of [1, 2, 3, 7, 64, 256, bytes.length]) {
      const { decode } = serialization.makeUnsafe()
      const read: Array<unknown> = []
      for (let at = 0; at < bytes.length; at += size) read.push(...decode(bytes.subarray(at, at + size)))
      assert.deepStrictEqual(read, messages, `pieces of ${size}`)
    }
  }).pipe(Effect.provide(layerSerialization))
)
