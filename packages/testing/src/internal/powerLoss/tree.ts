/**
 * Files and directories as a kernel has them: what its cache holds, what is on the disk, and what has not got there.
 */
import { Errno } from "./errno.ts"

/** Bytes that grow. What is between the old end and a write beyond it is zero. */
export class Bytes {
  private buffer: Uint8Array
  length: number

  constructor(content: Uint8Array = new Uint8Array(0)) {
    this.buffer = content
    this.length = content.length
  }

  write(at: number, bytes: Uint8Array): void {
    this.resize(Math.max(this.length, at + bytes.length))
    this.buffer.set(bytes, at)
  }

  resize(length: number): void {
    if (length > this.buffer.length) {
      const grown = new Uint8Array(Math.max(length, this.buffer.length * 2))
      grown.set(this.buffer.subarray(0, this.length))
      this.buffer = grown
    } else if (length > this.length) {
      this.buffer.fill(0, this.length, length)
    }
    this.length = length
  }

  read(at: number, length: number): Uint8Array {
    return this.buffer.slice(Math.min(at, this.length), Math.min(at + length, this.length))
  }

  copy(): Bytes {
    return new Bytes(this.read(0, this.length))
  }
}

/** A change of a file's content: bytes written at a position, or a new length. */
export type Change = { readonly at: number; readonly bytes: Uint8Array } | { readonly length: number }

/** A change of a directory: the names that mean something else from now on, or nothing. All of them, or none. */
export type Binding = { readonly [name: string]: Node | undefined }

interface Common {
  readonly ino: number
  mode: number
  /** Milliseconds since 1970. */
  modified: number
}

export interface File extends Common {
  readonly kind: "File"
  readonly cache: Bytes
  readonly stored: Bytes
  /** What is in the cache and not on the disk. */
  unsynced: Array<Change>
  links: number
}

export interface Directory extends Common {
  readonly kind: "Directory"
  readonly cache: Map<string, Node>
  readonly stored: Map<string, Node>
  readonly unsynced: Array<Binding>
}

export type Node = File | Directory

export const applyChange = (content: Bytes, change: Change): void => {
  if ("length" in change) content.resize(change.length)
  else content.write(change.at, change.bytes)
}

export const applyBinding = (entries: Map<string, Node>, binding: Binding): void => {
  for (const [name, node] of Object.entries(binding)) {
    if (node === undefined) entries.delete(name)
    else entries.set(name, node)
  }
}

export const makeFile = (
  ino: number,
  mode: number,
  modified: number,
  content: Bytes = new Bytes()
): File => ({
  kind: "File",
  ino,
  mode,
  modified,
  cache: content,
  stored: content.copy(),
  unsynced: [],
  links: 0
})

export const makeDirectory = (
  ino: number,
  mode: number,
  modified: number,
  entries: Map<string, Node> = new Map()
): Directory => ({
  kind: "Directory",
  ino,
  mode,
  modified,
  cache: entries,
  stored: new Map(entries),
  unsynced: []
})

/** Where a path leads: the directory it is in, its last name, and what is there. */
export interface Place {
  readonly parent: Directory
  readonly name: string
  readonly node: Node | undefined
}

const encoder = new TextEncoder()
const maxName = 255

/** A directory that may be entered, or the error. */
const enter = (node: Node | undefined): Directory => {
  if (node === undefined) throw new Errno("ENOENT")
  if (node.kind !== "Directory") throw new Errno("ENOTDIR")
  if ((node.mode & 0o100) === 0) throw new Errno("EACCES")
  return node
}

/**
 * Follows a path. The current directory is the root. The last name need not exist; the path of the root, or one that
 * ends with a dot, has the root's or that directory's parent and no name.
 */
export const locate = (root: Directory, path: string): Place => {
  if (path === "") throw new Errno("ENOENT")
  const stack: Array<Directory> = [root]
  let place: Place = { parent: root, name: "", node: root }
  for (const name of path.split("/")) {
    if (name === "") continue
    const directory = enter(place.node)
    if (directory !== stack[stack.length - 1]) stack.push(directory)
    if (name === ".") {
      place = { parent: stack[stack.length - 2] ?? root, name: "", node: directory }
      continue
    }
    if (name === "..") {
      if (stack.length > 1) stack.pop()
      place = { parent: stack[stack.length - 2] ?? root, name: "", node: stack[stack.length - 1] }
      continue
    }
    if (encoder.encode(name).length > maxName) throw new Errno("ENAMETOOLONG")
    place = { parent: directory, name, node: directory.cache.get(name) }
  }
  if (path.endsWith("/") && place.node?.kind === "File") throw new Errno("ENOTDIR")
  return place
}
