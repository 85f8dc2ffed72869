/** Finds the code blocks of Markdown files and of doc comments. */

export interface Block {
  /** The info string of the fence, by words: `["ts", "run"]`. */
  readonly info: ReadonlyArray<string>
  /** The line of the first line of code, from 1. */
  readonly line: number
  /** The lines of code. Whatever stood before the code on a line (indentation, ` * `) is blanks, so columns hold. */
  readonly code: ReadonlyArray<string>
}

/** A block that is one with the `text output` block after it: what running it must print. */
export interface Output {
  readonly line: number
  readonly text: string
}

const fence = /^(\s*)(`{3,}|~{3,})\s*([^`]*)$/

/** The blocks in lines of Markdown; a fence that is never closed is a problem. */
export const blocksOf = (
  lines: ReadonlyArray<string>,
  firstLine = 1
): { readonly blocks: ReadonlyArray<Block>; readonly unclosed: number | undefined } => {
  const blocks: Array<Block> = []
  let open: { mark: string; info: ReadonlyArray<string>; line: number; code: Array<string> } | undefined
  lines.forEach((text, index) => {
    const match = fence.exec(text)
    if (open === undefined) {
      if (match !== null) {
        const info = match[3]!.trim().split(/\s+/)
        open = { mark: match[2]!, info, line: firstLine + index + 1, code: [] }
      }
    } else if (match !== null && match[3] === "" && match[2]!.startsWith(open.mark)) {
      blocks.push({ info: open.info, line: open.line, code: open.code })
      open = undefined
    } else {
      open.code.push(text)
    }
  })
  return { blocks, unclosed: open === undefined ? undefined : open.line - 1 }
}

export interface Comment {
  readonly firstLine: number
  readonly lines: ReadonlyArray<string>
}

/** The doc comments of a TypeScript file, with the comment's own marks blanked. */
export const docCommentsOf = (source: string): ReadonlyArray<Comment> => {
  const comments: Array<Comment> = []
  const blank = (text: string) => " ".repeat(text.length)
  let open: { firstLine: number; lines: Array<string> } | undefined
  source.split("\n").forEach((text, index) => {
    if (open === undefined) {
      // Only at the start of a line: a glob such as "src/**/*.ts" in a string opens no comment.
      const start = /^\s*\/\*\*(?!\/)/.exec(text)
      if (start === null) return
      open = { firstLine: index + 1, lines: [] }
      text = blank(start[0]) + text.slice(start[0].length)
    } else if (!/^\s*\*\//.test(text)) {
      text = text.replace(/^\s*\* ?/, blank)
    }
    const end = text.indexOf("*/")
    open.lines.push(end < 0 ? text : text.slice(0, end))
    if (end >= 0) {
      comments.push(open)
      open = undefined
    }
  })
  return comments
}

export interface Link {
  readonly line: number
  readonly target: string
}

/** The links of Markdown lines outside code. */
export const linksOf = (lines: ReadonlyArray<string>): ReadonlyArray<Link> => {
  const links: Array<Link> = []
  let mark: string | undefined
  lines.forEach((text, index) => {
    const match = fence.exec(text)
    if (match !== null && mark === undefined) mark = match[2]!
    else if (match !== null && match[3] === "" && match[2]!.startsWith(mark!)) mark = undefined
    else if (mark === undefined) {
      for (const link of text.replace(/`[^`]*`/g, "").matchAll(/\]\(([^()\s]+)(?:\s+"[^"]*")?\)/g)) {
        links.push({ line: index + 1, target: link[1]! })
      }
    }
  })
  return links
}

/** The anchors that the headings of Markdown lines get. */
export const anchorsOf = (lines: ReadonlyArray<string>): ReadonlySet<string> => {
  const anchors = new Set<string>()
  for (const text of lines) {
    const heading = /^#{1,6}\s+(.*?)\s*#*$/.exec(text)
    if (heading === null) continue
    const slug = heading[1]!
      .toLowerCase()
      .replace(/[^\p{Letter}\p{Number}\s_-]/gu, "")
      .replace(/\s/g, "-")
    let anchor = slug
    for (let count = 1; anchors.has(anchor); count++) anchor = `${slug}-${count}`
    anchors.add(anchor)
  }
  return anchors
}
