/**
 * The file that SQLite works on: in memory, in pieces, so that it grows without being copied, and with a list of what was
 * written since it was last put in its place.
 */

/** What is written at once, and noted as changed: a page of SQLite's, unless somebody chose another size. */
export const blockSize = 4096
const blocksInChunk = 256
const chunkSize = blockSize * blocksInChunk

/** What a file holds at a moment, while it is written on. */
export interface Capture {
  readonly size: number
  /** The blocks that have changed since the capture before that succeeded, ascending, counted from 0. */
  readonly changed: ReadonlyArray<number>
  /** Reads from a block on, as many as are asked for and there are. The last one may be shorter. */
  readonly read: (block: number, count: number) => Uint8Array
  /** Has to be called once it is kept, or could not be: what had changed has then changed again. */
  readonly end: (kept: boolean) => void
}

export interface PageFile {
  readonly size: () => number
  /** Reads into a buffer; gives back how many bytes there were, or -1 if they cannot be read. */
  readonly read: (at: number, into: Uint8Array) => number
  readonly write: (at: number, bytes: Uint8Array) => void
  readonly truncate: (size: number) => void
  /** One at a time. */
  readonly capture: () => Capture
}

/** A file that holds these bytes, which are its own from now on. */
export const make = (bytes?: Uint8Array): PageFile => {
  const chunks: Array<Uint8Array> = []
  let size = bytes?.length ?? 0
  let changed = new Set<number>()
  /** What blocks were when the file was captured, if they have been written since. */
  let before: Map<number, Uint8Array> | undefined
  let captured = 0

  for (let at = 0; at < size; at += chunkSize) {
    const part = bytes!.subarray(at, at + chunkSize)
    if (part.length === chunkSize) chunks.push(part)
    else {
      const chunk = new Uint8Array(chunkSize)
      chunk.set(part)
      chunks.push(chunk)
    }
  }

  const blockAt = (block: number): Uint8Array => {
    const start = (block % blocksInChunk) * blockSize
    return chunks[Math.floor(block / blocksInChunk)]!.subarray(start, start + blockSize)
  }

  const keep = (block: number): void => {
    if (before === undefined || before.has(block) || block * blockSize >= captured) return
    before.set(block, blockAt(block).slice(0, captured - block * blockSize))
  }

  const touch = (from: number, to: number): void => {
    for (let block = Math.floor(from / blockSize); block * blockSize < to; block++) {
      keep(block)
      changed.add(block)
    }
  }

  return {
    size: () => size,

    read: (at, into) => {
      const count = Math.max(0, Math.min(into.length, size - at))
      for (let done = 0; done < count;) {
        const start = (at + done) % chunkSize
        const part = chunks[Math.floor((at + done) / chunkSize)]!.subarray(start, start + count - done)
        into.set(part, done)
        done += part.length
      }
      return count
    },

    write: (at, bytes) => {
      const end = at + bytes.length
      while (chunks.length * chunkSize < end) chunks.push(new Uint8Array(chunkSize))
      // What lies between the end of the file and what is written is written, too: with zeros.
      touch(Math.min(at, size), end)
      for (let done = 0; done < bytes.length;) {
        const start = (at + done) % chunkSize
        const part = bytes.subarray(done, done + chunkSize - start)
        chunks[Math.floor((at + done) / chunkSize)]!.set(part, start)
        done += part.length
      }
      size = Math.max(size, end)
    },

    truncate: (to) => {
      if (to < size) {
        for (let block = Math.floor(to / blockSize); block * blockSize < size; block++) keep(block)
        for (const block of changed) if (block * blockSize >= to) changed.delete(block)
        const rest = to % chunkSize
        chunks.length = Math.ceil(to / chunkSize)
        if (rest > 0) chunks[chunks.length - 1]!.fill(0, rest)
        if (to % blockSize > 0) changed.add(Math.floor(to / blockSize))
      } else if (to > size) {
        while (chunks.length * chunkSize < to) chunks.push(new Uint8Array(chunkSize))
        touch(size, to)
      }
      size = to
    },

    capture: () => {
      const taken = changed
      const kept = new Map<number, Uint8Array>()
      const length = size
      changed = new Set()
      before = kept
      captured = length
      return {
        size: length,
        changed: Array.from(taken)
          .filter((block) => block * blockSize < length)
          .sort((a, b) => a - b),
        read: (block, count) => {
          const from = block * blockSize
          const result = new Uint8Array(Math.max(0, Math.min(count * blockSize, length - from)))
          for (let done = 0; done < result.length; done += blockSize) {
            const number = block + done / blockSize
            const bytes = kept.get(number) ?? blockAt(number)
            result.set(bytes.subarray(0, result.length - done), done)
          }
          return result
        },
        end: (success) => {
          before = undefined
          if (!success) for (const block of taken) changed.add(block)
        }
      }
    }
  }
}
