/**
 * What the system calls do to the tree.
 */
import { Errno } from "./errno.ts"
import type { Kernel } from "./kernel.ts"
import type { Binding, Directory, File, Node, Place } from "./tree.ts"
import { applyBinding, applyChange, locate, makeDirectory, makeFile } from "./tree.ts"

const umask = 0o022

const found = (place: Place): Node => {
  if (place.node === undefined) throw new Errno("ENOENT")
  return place.node
}

const allow = (node: Node, bit: number): void => {
  if ((node.mode & bit) === 0) throw new Errno("EACCES")
}

const bind = (directory: Directory, binding: Binding, now: number): void => {
  applyBinding(directory.cache, binding)
  directory.unsynced.push(binding)
  directory.modified = now
}

export const lookUp = (kernel: Kernel, path: string): Node => found(locate(kernel.root, path))

/** Whether opening a path so would change anything. */
export const openMutates = (kernel: Kernel, path: string, flag: string): boolean => {
  if (flag.startsWith("r")) return false
  try {
    const { node } = locate(kernel.root, path)
    return node === undefined || (flag.startsWith("w") && node.kind === "File" && node.cache.length > 0)
  } catch {
    return true
  }
}

export const open = (
  kernel: Kernel,
  path: string,
  flag: string,
  mode: number | undefined,
  now: number
): Node => {
  const place = locate(kernel.root, path)
  const creates = !flag.startsWith("r")
  const writes = flag !== "r"
  const reads = flag.includes("+") || flag === "r"
  if (place.node === undefined) {
    if (!creates || path.endsWith("/")) throw new Errno(creates ? "EISDIR" : "ENOENT")
    allow(place.parent, 0o200)
    const file = makeFile(kernel.nextInode++, (mode ?? 0o666) & ~umask, now)
    file.links = 1
    bind(place.parent, { [place.name]: file }, now)
    return file
  }
  if (flag.includes("x")) throw new Errno("EEXIST")
  if (place.node.kind === "Directory" && writes) throw new Errno("EISDIR")
  if (reads) allow(place.node, 0o400)
  if (writes) allow(place.node, 0o200)
  if (flag.startsWith("w") && place.node.kind === "File" && place.node.cache.length > 0)
    truncate(place.node, 0, now)
  return place.node
}

export const truncate = (file: File, length: number, now: number): void => {
  const change = { length }
  applyChange(file.cache, change)
  file.unsynced.push(change)
  file.modified = now
}

export const write = (file: File, at: number, bytes: Uint8Array, now: number): number => {
  if (bytes.length === 0) return 0
  const change = { at, bytes: bytes.slice() }
  applyChange(file.cache, change)
  file.unsynced.push(change)
  file.modified = now
  return bytes.length
}

export const fsync = (node: Node): void => {
  if (node.kind === "File") {
    for (const change of node.unsynced) applyChange(node.stored, change)
  } else {
    for (const binding of node.unsynced) applyBinding(node.stored, binding)
  }
  node.unsynced.length = 0
}

/**
 * What a failed fsync leaves: the cache counts as clean, so that a later fsync succeeds and what failed is not on the
 * disk.
 */
export const failFsync = (node: Node): void => {
  node.unsynced.length = 0
}

export const mkdir = (kernel: Kernel, path: string, mode: number | undefined, now: number): void => {
  const place = locate(kernel.root, path)
  if (place.node !== undefined) throw new Errno("EEXIST")
  allow(place.parent, 0o200)
  const directory = makeDirectory(kernel.nextInode++, (mode ?? 0o777) & ~umask, now)
  bind(place.parent, { [place.name]: directory }, now)
}

export const unlink = (kernel: Kernel, path: string, now: number): void => {
  const place = locate(kernel.root, path)
  const node = found(place)
  if (node.kind === "Directory") throw new Errno("EISDIR")
  allow(place.parent, 0o200)
  node.links -= 1
  bind(place.parent, { [place.name]: undefined }, now)
}

export const rmdir = (kernel: Kernel, path: string, now: number): void => {
  const place = locate(kernel.root, path)
  const node = found(place)
  if (node.kind !== "Directory") throw new Errno("ENOTDIR")
  if (place.name === "") throw new Errno(node === kernel.root ? "EBUSY" : "EINVAL")
  if (node.cache.size > 0) throw new Errno("ENOTEMPTY")
  allow(place.parent, 0o200)
  bind(place.parent, { [place.name]: undefined }, now)
}

export const link = (kernel: Kernel, from: string, to: string, now: number): void => {
  const node = lookUp(kernel, from)
  const target = locate(kernel.root, to)
  if (target.node !== undefined) throw new Errno("EEXIST")
  if (node.kind === "Directory") throw new Errno("EPERM")
  allow(target.parent, 0o200)
  node.links += 1
  bind(target.parent, { [target.name]: node }, now)
}

const contains = (directory: Directory, wanted: Node): boolean => {
  if (directory === wanted) return true
  for (const child of directory.cache.values()) {
    if (child.kind === "Directory" && contains(child, wanted)) return true
  }
  return false
}

export const rename = (kernel: Kernel, from: string, to: string, now: number): void => {
  const source = locate(kernel.root, from)
  const target = locate(kernel.root, to)
  if (source.name === "" || target.name === "") throw new Errno("EBUSY")
  const node = found(source)
  if (node === target.node) return
  if (node.kind === "Directory" && contains(node, target.parent)) throw new Errno("EINVAL")
  if (target.node !== undefined) {
    if (target.node.kind === "Directory") {
      // The target holds what is to be moved there.
      if (contains(target.node, source.parent)) throw new Errno("ENOTEMPTY")
      if (node.kind === "File") throw new Errno("EISDIR")
      if (target.node.cache.size > 0) throw new Errno("ENOTEMPTY")
    } else if (node.kind === "Directory") {
      throw new Errno("ENOTDIR")
    }
  }
  allow(source.parent, 0o200)
  allow(target.parent, 0o200)
  if (target.node?.kind === "File") target.node.links -= 1
  if (source.parent === target.parent) {
    bind(source.parent, { [source.name]: undefined, [target.name]: node }, now)
  } else {
    bind(target.parent, { [target.name]: node }, now)
    bind(source.parent, { [source.name]: undefined }, now)
  }
}

export const readdir = (kernel: Kernel, path: string): ReadonlyArray<readonly [string, Node]> => {
  const node = lookUp(kernel, path)
  if (node.kind !== "Directory") throw new Errno("ENOTDIR")
  allow(node, 0o400)
  return [...node.cache]
}

export const readFile = (kernel: Kernel, path: string): Uint8Array => {
  const node = lookUp(kernel, path)
  if (node.kind === "Directory") throw new Errno("EISDIR")
  allow(node, 0o400)
  return node.cache.read(0, node.cache.length)
}

export const access = (kernel: Kernel, path: string, bits: number): void => {
  const node = lookUp(kernel, path)
  if ((node.mode & bits) !== bits) throw new Errno("EACCES")
}
