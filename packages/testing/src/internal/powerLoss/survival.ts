/**
 * What is left on a disk after the power was cut.
 */
import type { Binding, Bytes, Change, Directory, File, Node } from "./tree.ts"
import { applyBinding, applyChange, makeDirectory, makeFile } from "./tree.ts"

/** Numbers from 0 to below 1 that a seed determines (mulberry32). */
const random = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** What becomes of what was not synced. */
export interface Fate {
  readonly content: (stored: Bytes, unsynced: ReadonlyArray<Change>) => void
  readonly entries: (stored: Map<string, Node>, unsynced: ReadonlyArray<Binding>) => void
}

export type DataFate = "dropped" | "kept" | { readonly torn: number }

/** The first `left` bytes that were written arrived, in the order in which they were written. */
const tear = (stored: Bytes, unsynced: ReadonlyArray<Change>, bytes: number): void => {
  let left = bytes
  for (const change of unsynced) {
    if ("length" in change) {
      applyChange(stored, change)
      continue
    }
    if (left <= 0) return
    applyChange(stored, { at: change.at, bytes: change.bytes.subarray(0, left) })
    left -= change.bytes.length
  }
}

export const fixed = (data: DataFate, entries: "dropped" | "kept"): Fate => ({
  content: (stored, unsynced) => {
    if (data === "dropped") return
    tear(stored, unsynced, data === "kept" ? Number.POSITIVE_INFINITY : data.torn)
  },
  entries: (stored, unsynced) => {
    if (entries === "kept") for (const binding of unsynced) applyBinding(stored, binding)
  }
})

/**
 * Each change for itself arrived, did not, or arrived in part: writes reach a disk in any order. A file may also have
 * grown before the bytes that it grew by arrived; they are zero then.
 */
export const seeded = (seed: number): Fate => {
  const next = random(seed)
  return {
    content: (stored, unsynced) => {
      for (const change of unsynced) {
        const lot = next()
        if ("length" in change) {
          if (lot < 0.5) applyChange(stored, change)
          continue
        }
        const { at, bytes } = change
        if (lot < 0.4) applyChange(stored, change)
        else if (lot < 0.6)
          applyChange(stored, { at, bytes: bytes.subarray(0, Math.floor(next() * bytes.length)) })
        else if (lot < 0.75 && at + bytes.length > stored.length) stored.resize(at + bytes.length)
      }
    },
    entries: (stored, unsynced) => {
      const inOrder = next() < 0.5
      const arrived = Math.floor(next() * (unsynced.length + 1))
      for (const [index, binding] of unsynced.entries()) {
        if (inOrder ? index < arrived : next() < 0.5) applyBinding(stored, binding)
      }
    }
  }
}

/** The tree as the next boot finds it. */
export const surviving = (root: Directory, fate: Fate): Directory => {
  const files = new Map<File, File>()
  const directories = new Set<Directory>()

  const visitFile = (file: File): File => {
    let survivor = files.get(file)
    if (survivor === undefined) {
      const content = file.stored.copy()
      fate.content(content, file.unsynced)
      survivor = makeFile(file.ino, file.mode, file.modified, content)
      files.set(file, survivor)
    }
    survivor.links += 1
    return survivor
  }

  const visitDirectory = (directory: Directory): Directory => {
    directories.add(directory)
    const entries = new Map(directory.stored)
    fate.entries(entries, directory.unsynced)
    const survivors = new Map<string, Node>()
    for (const [name, node] of entries) {
      if (node.kind === "File") survivors.set(name, visitFile(node))
      // A directory that was moved may be found at both places, or inside of itself: a check of the disk leaves one.
      else if (!directories.has(node)) survivors.set(name, visitDirectory(node))
    }
    return makeDirectory(directory.ino, directory.mode, directory.modified, survivors)
  }

  return visitDirectory(root)
}
