/**
 * The raw disk: what appending and syncing costs with nothing around it.
 */
import { close, fdatasync, open, readdirSync, statSync, unlinkSync, write } from "node:fs"
import { join } from "node:path"

/** Bytes to append. */
export interface Load {
  readonly bytes: number
  /** How many writes, each one synced before the next. */
  readonly writes: number
}

let files = 0

/**
 * Appends with `write` and `fdatasync`, asynchronously, as a server must: a write waits for the sync of the one before.
 * The milliseconds it took; opening and removing the file are not counted.
 */
export const appendAndSync = async (directory: string, load: Load): Promise<number> => {
  const path = join(directory, `raw-${process.pid}-${++files}`)
  const each = Buffer.alloc(Math.max(1, Math.round(load.bytes / load.writes)), "x")
  const fd = await new Promise<number>((done, failed) =>
    open(path, "wx", (error, opened) => (error === null ? done(opened) : failed(error)))
  )
  const start = performance.now()
  await new Promise<void>((done, failed) => {
    let left = load.writes
    const next = (): void => {
      if (left-- === 0) return done()
      write(fd, each, (error) => {
        if (error !== null) return failed(error)
        fdatasync(fd, (synced) => (synced === null ? next() : failed(synced)))
      })
    }
    next()
  })
  const took = performance.now() - start
  await new Promise<void>((done, failed) =>
    close(fd, (error) => (error === null || error === undefined ? done() : failed(error)))
  )
  unlinkSync(path)
  return took
}

/** The bytes of all files below a directory. */
export const bytesIn = (directory: string): number => {
  let bytes = 0
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).size
  }
  return bytes
}
