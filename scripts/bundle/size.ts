/** What importing code costs on top of `effect`. */
import { gzipSync } from "node:zlib"
import { bundle } from "./bundle.ts"
import type { Options } from "./bundle.ts"

/** Sizes in bytes, minified and gzipped. */
export interface Size {
  /** The whole bundle, `effect` included. */
  readonly total: number
  /** The parts of `effect` that the code uses, bundled alone. */
  readonly effect: number
  /** What the code adds to them: the difference. */
  readonly added: number
  /** The code bundled alone, without `effect`. */
  readonly own: number
}

const gzipped = (text: string): number => gzipSync(text, { level: 9 }).length

/** For each imported module of `effect`, the members that the bundled text takes from it. */
export const effectMembersOf = (text: string): ReadonlyMap<string, ReadonlySet<string>> => {
  const members = new Map<string, Set<string>>()
  const of = (module: string) => {
    const known = members.get(module) ?? new Set()
    members.set(module, known)
    return known
  }
  for (const match of text.matchAll(/^import \* as ([\w$]+) from "(effect[^"]*)";?$/gm)) {
    const alias = match[1]!.replaceAll("$", "\\$")
    const used = of(match[2]!)
    for (const use of text.matchAll(new RegExp(`(?<![\\w$.])${alias}\\.([\\w$]+)`, "g"))) used.add(use[1]!)
  }
  for (const match of text.matchAll(/^import \{([^}]*)\} from "(effect[^"]*)";?$/gm)) {
    const used = of(match[2]!)
    for (const name of match[1]!.split(",")) {
      const imported = name.trim().split(/\s+as\s+/)[0]!
      if (imported !== "") used.add(imported)
    }
  }
  return members
}

/** A module that uses these members of `effect` and nothing else. */
const effectOnly = async (members: ReadonlyMap<string, ReadonlySet<string>>): Promise<string> => {
  const lines: Array<string> = []
  const uses: Array<string> = []
  for (const [module, names] of members) {
    const namespace: object = await import(module)
    const exported = new Set(Object.keys(namespace))
    for (const name of names) {
      // Text that only looks like a use, in a string or a comment, names no export.
      if (!exported.has(name)) continue
      const local = `e${uses.length}`
      lines.push(`import { ${name} as ${local} } from ${JSON.stringify(module)}`)
      uses.push(local)
    }
  }
  return [...lines, `globalThis.used = [${uses.join(", ")}]`].join("\n")
}

/** Measures the bundle of a module. */
export const measure = async (entry: Options["entry"]): Promise<Size> => {
  const whole = await bundle({ entry, minify: true })
  const own = await bundle({ entry, minify: true, withoutEffect: true })
  const readable = await bundle({ entry, withoutEffect: true })
  const effect = await bundle({
    entry: { text: await effectOnly(effectMembersOf(readable.text)) },
    minify: true
  })
  const total = gzipped(whole.text)
  const base = gzipped(effect.text)
  return { total, effect: base, added: total - base, own: gzipped(own.text) }
}
