/** Where in the source something was defined. Lines and columns count from 1. */
export interface Site {
  readonly file: string
  readonly line: number
  readonly column: number
}

// "at f (file:///a/b.ts:1:2)", "at file:///a/b.ts:1:2" (V8); "f@file:///a/b.ts:1:2" (SpiderMonkey, JavaScriptCore).
// A location begins like a URL or an absolute path; both may hold spaces and parentheses.
const frame =
  /(?:^|[(@]|\bat (?:async )?)((?:[a-z][a-z0-9+.-]+:\/\/|\/|[A-Za-z]:[\\/]).*?):(\d+):(\d+)\)?\s*$/

const pathOf = (location: string): string => {
  if (!location.startsWith("file://")) return location
  const path = location.slice("file://".length)
  let decoded = path
  try {
    decoded = decodeURIComponent(path)
  } catch {
    // A path with a bare "%" is not an encoded one.
  }
  return /^\/[A-Za-z]:\//.test(decoded) ? decoded.slice(1) : decoded
}

/** The first place that a stack names, after `skip` others. */
export const parseSite = (stack: string | undefined, skip = 0): Site | undefined => {
  let passed = 0
  for (const line of (stack ?? "").split("\n")) {
    const match = frame.exec(line)
    if (match === null) continue
    if (passed === skip) return { file: pathOf(match[1]!), line: Number(match[2]), column: Number(match[3]) }
    passed += 1
  }
  return undefined
}

/**
 * Captures the place that called `below`, the function that calls this.
 *
 * Only the raw stack is taken here: formatting it (source maps included) is left to the first who asks.
 */
export const captureSite = (below: (...args: never) => unknown): (() => Site | undefined) => {
  const holder: { stack?: string } = {}
  const cut = typeof Error.captureStackTrace === "function"
  if (cut) {
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 1
    Error.captureStackTrace(holder, below)
    Error.stackTraceLimit = limit
  } else {
    const { stack } = new Error()
    if (stack !== undefined) holder.stack = stack
  }
  let site: Site | undefined
  let parsed = false
  return () => {
    if (!parsed) {
      parsed = true
      // Where the stack could not be cut, this function and `below` stand first.
      site = parseSite(holder.stack, cut ? 0 : 2)
    }
    return site
  }
}

interface Defined {
  readonly site: () => Site | undefined
}

const placeOf = ({ site }: Defined): string => {
  const at = site()
  return at === undefined ? "a place that is not known" : `${at.file}:${at.line}:${at.column}`
}

/** Says that one name is that of two definitions, and where these are. */
export const twoOf = (what: "flow" | "tool", name: string, one: Defined, other: Defined): string =>
  one === other
    ? `${what} ${JSON.stringify(name)} is given twice (defined at ${placeOf(one)}); give it once`
    : `two ${what}s are called ${JSON.stringify(name)}: one is defined at ${placeOf(one)}, one at ${placeOf(other)}; give them different names, or use one of them everywhere`
