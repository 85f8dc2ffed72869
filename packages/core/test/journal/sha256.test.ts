import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { sha256Hex, sha256HexOfBytes } from "../../src/internal/sha256.ts"
import { choiceOf, hostile } from "./choice.ts"

const nodes = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex")

describe("SHA-256", { concurrent: false }, () => {
  it.each([
    ["", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    ["abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
    [
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ],
    [
      "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
      "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
    ],
    ["a".repeat(1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"]
  ])("gives the digest of the standard for %#", (text, digest) => {
    assert.strictEqual(sha256Hex(text), digest)
    assert.strictEqual(sha256HexOfBytes(new TextEncoder().encode(text)), digest)
  })

  it("agrees with node:crypto at every length around the block size, of text and of bytes", () => {
    for (let length = 0; length <= 260; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 151 + length) & 255)
      const text = "é".repeat(length >> 1) + "x".repeat(length & 1)
      assert.strictEqual(sha256HexOfBytes(bytes), nodes(bytes), `${length} bytes`)
      assert.strictEqual(sha256Hex(text), nodes(text), `${length} bytes of text`)
    }
  })

  it("agrees with node:crypto on any text: lone surrogates, marks of byte order, all planes", () => {
    const { int, pick } = choiceOf(1)
    const units = [
      "\ud800",
      "\udc00",
      "\udbff",
      "\udfff",
      "\ufffd",
      "\ufeff",
      "\u0000",
      "\u007f",
      "\u0080",
      "\u07ff",
      "\u0800",
      "😀",
      "a"
    ]
    for (const text of hostile) assert.strictEqual(sha256Hex(text), nodes(text))
    for (let i = 0; i < 2_000; i++) {
      const text = Array.from({ length: int(0, 150) }, () => pick(units)).join("")
      assert.strictEqual(sha256Hex(text), nodes(text), JSON.stringify(text))
    }
  })

  it("agrees with node:crypto on megabytes, and on what comes after them", () => {
    const { int } = choiceOf(2)
    const bytes = Uint8Array.from({ length: 3_500_001 }, () => int(0, 255))
    assert.strictEqual(sha256HexOfBytes(bytes), nodes(bytes))
    assert.strictEqual(sha256HexOfBytes(bytes.subarray(1, 70)), nodes(bytes.subarray(1, 70)))
    const text = "ü€\ud800".repeat(500_000)
    assert.strictEqual(sha256Hex(text), nodes(text))
    assert.strictEqual(sha256Hex("x"), nodes("x"))
  })
})
