// Puts the licence beside each published package, which npm then packs with it.
import { copyFileSync, globSync } from "node:fs"
import { dirname, join, resolve } from "node:path"

const root = resolve(import.meta.dirname, "..")
for (const manifest of globSync("packages/*/package.json", { cwd: root })) {
  copyFileSync(join(root, "LICENSE"), join(root, dirname(manifest), "LICENSE"))
}
