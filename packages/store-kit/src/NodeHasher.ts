/**
 * Core's `Hasher` by `node:crypto`.
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import * as Crypto from "node:crypto"
import { Hasher } from "@waymark/core/Hasher"

/**
 * The same digests as core's own, faster.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never> = Layer.succeed(Hasher)({
  hash: (text) => Crypto.hash("sha256", text, "hex"),
  hashBytes: (bytes) => Crypto.hash("sha256", bytes, "hex")
})
