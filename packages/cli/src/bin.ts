#!/usr/bin/env node
import { createRequire } from "node:module"

// Before anything is loaded that an older Node does not know: its error would not say what to do.
const { engines } = createRequire(import.meta.url)("../package.json") as { engines: { node: string } }
const least = engines.node.replace(/^>=/, "")
const parts = (version: string): ReadonlyArray<number> => version.split(".").map(Number)
const [major = 0, minor = 0] = parts(process.versions.node)
const [leastMajor = 0, leastMinor = 0] = parts(least)
if (major < leastMajor || (major === leastMajor && minor < leastMinor)) {
  process.stderr.write(
    `error: waymark needs Node ${least} or later, and this is Node ${process.versions.node} (${process.execPath})\n`
  )
  process.exit(2)
}

const { main } = await import("./internal/main.ts")
main(process.argv.slice(2))
