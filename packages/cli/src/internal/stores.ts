/**
 * The stores that the command can open by itself. Their packages are loaded when one is opened.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Store, StoreError } from "@waymark/core/Store"
import type * as FsStore from "@waymark/store-fs/FsStore"
import type * as NodeSqljsStore from "@waymark/store-sqljs/NodeSqljsStore"

/** A store as it is opened to write, and as it is opened to look at runs while others write. */
export interface Opening {
  readonly write: Layer.Layer<Store, StoreError>
  readonly read: Layer.Layer<Store, StoreError>
}

const opening = (make: (readOnly: boolean) => Promise<Layer.Layer<Store, StoreError>>): Opening => ({
  write: Layer.unwrap(Effect.promise(() => make(false))),
  read: Layer.unwrap(Effect.promise(() => make(true)))
})

export const directory = (options: FsStore.Options): Opening =>
  opening(async (readOnly) => {
    const { layer } = await import("@waymark/store-fs/FsStore")
    return layer({ ...options, readOnly: readOnly || options.readOnly })
  })

export const sqlite = (options: NodeSqljsStore.Options): Opening =>
  opening(async (readOnly) => {
    const { layer } = await import("@waymark/store-sqljs/NodeSqljsStore")
    return layer({ ...options, readOnly: readOnly || options.readOnly })
  })
