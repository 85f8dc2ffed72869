/**
 * The digest that chains a journal.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import { sha256Hex, sha256HexOfBytes } from "./internal/sha256.ts"

/**
 * A synchronous SHA-256.
 *
 * The default is a pure TypeScript implementation, so that core runs anywhere; the layers of the Node
 * packages replace it with `node:crypto`, which gives the same digests faster.
 *
 * @category services
 * @since 0.1.0
 */
export interface Hasher {
  /**
   * The SHA-256 of the UTF-8 bytes of `text`, as 64 lower-case hexadecimal digits.
   */
  readonly hash: (text: string) => string
  /**
   * The SHA-256 of `bytes`, in the same form.
   */
  readonly hashBytes: (bytes: Uint8Array) => string
}

/**
 * The {@link Hasher} in use, pure TypeScript unless a layer replaces it.
 *
 * @category services
 * @since 0.1.0
 */
export const Hasher: Context.Reference<Hasher> = Context.Reference<Hasher>("@waymark/core/Hasher", {
  defaultValue: () => ({ hash: sha256Hex, hashBytes: sha256HexOfBytes })
})
