/**
 * The tokens of TypeScript, as far as finding definitions needs them. Nothing is executed and nothing is resolved.
 */

/** An identifier, the content of a string, or a single character. Lines count from 1, `at` is where it begins in the text. */
export interface Token {
  readonly kind: "name" | "string" | "mark"
  readonly text: string
  readonly line: number
  readonly at: number
}

const nameStart = /[\p{L}_$]/u
const namePart = /[\p{L}\p{N}_$]/u

/** After these a slash begins a regular expression, not a division. */
const beforeRegex = /[([{,;=:!&|?+\-*%<>~^]/
const wordsBeforeRegex: ReadonlySet<string> = new Set([
  "return",
  "typeof",
  "case",
  "in",
  "of",
  "yield",
  "await",
  "throw"
])

/** The tokens of a text. What is not finished ends with the text. */
export const tokensOf = (text: string): ReadonlyArray<Token> => {
  const tokens: Array<Token> = []
  let at = 0
  let line = 1

  const push = (kind: Token["kind"], content: string, on: number, begin: number): void => {
    tokens.push({ kind, text: content, line: on, at: begin })
  }
  const startsRegex = (): boolean => {
    const last = tokens[tokens.length - 1]
    if (last === undefined) return true
    if (last.kind === "name") return wordsBeforeRegex.has(last.text)
    return last.kind === "mark" && beforeRegex.test(last.text)
  }
  const skipTo = (end: string): void => {
    const found = text.indexOf(end, at)
    const stop = found === -1 ? text.length : found + end.length
    for (; at < stop; at++) if (text[at] === "\n") line++
  }
  const quoted = (quote: string): void => {
    const from = line
    const begin = at
    let content = ""
    at++
    while (at < text.length && text[at] !== quote && text[at] !== "\n") {
      if (text[at] === "\\") at++
      content += text[at] ?? ""
      at++
    }
    at++
    push("string", content, from, begin)
  }
  const regex = (): void => {
    let inClass = false
    at++
    while (at < text.length && text[at] !== "\n" && (inClass || text[at] !== "/")) {
      if (text[at] === "\\") at++
      else if (text[at] === "[") inClass = true
      else if (text[at] === "]") inClass = false
      at++
    }
    at++
  }
  /** A template; what stands in `${}` is read as code, so that definitions in it are found, too. */
  const template = (): void => {
    const from = line
    const begin = at
    let content = ""
    let plain = true
    at++
    while (at < text.length && text[at] !== "`") {
      if (text[at] === "\\") at++
      else if (text[at] === "$" && text[at + 1] === "{") {
        plain = false
        at += 2
        code("}")
        continue
      }
      if (text[at] === "\n") line++
      content += text[at] ?? ""
      at++
    }
    at++
    if (plain) push("string", content, from, begin)
  }

  const code = (until: string | undefined): void => {
    let depth = 0
    while (at < text.length) {
      const char = text[at]!
      const next = text[at + 1]
      if (char === "\n") {
        line++
        at++
      } else if (char === "/" && next === "/") skipTo("\n")
      else if (char === "/" && next === "*") {
        at += 2
        skipTo("*/")
      } else if (char === '"' || char === "'") quoted(char)
      else if (char === "`") template()
      else if (char === "/" && startsRegex()) regex()
      else if (nameStart.test(char)) {
        const from = at
        while (at < text.length && namePart.test(text[at]!)) at++
        push("name", text.slice(from, at), line, from)
      } else if (/\s/.test(char)) at++
      else {
        if (char === "{") depth++
        if (char === "}") {
          if (depth === 0 && until === "}") {
            at++
            return
          }
          depth--
        }
        push("mark", char, line, at)
        at++
      }
    }
  }
  code(undefined)
  return tokens
}
