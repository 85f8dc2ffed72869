import { readFileSync } from "node:fs"

const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string
  readonly peerDependencies: { readonly [name: string]: string }
}

/** The version of this package. */
export const version: string = manifest.version

/** The versions of what it works with. */
export const peers: { readonly [name: string]: string } = manifest.peerDependencies
