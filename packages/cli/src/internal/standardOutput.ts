/**
 * Standard output, which belongs to the command: what the code of flows prints must not stand between its documents.
 */

const original: typeof process.stdout.write = process.stdout.write.bind(process.stdout)
const originalError: typeof process.stderr.write = process.stderr.write.bind(process.stderr)

/** Writes to standard output, also after it was reserved. */
export const write = (text: string): void => {
  original(text)
}

/** Writes to standard error, past what {@link beforeOthers} has put there. */
export const writeError = (text: string): void => {
  originalError(text)
}

/** Calls back before anybody else writes to standard output or error; the result undoes that. */
export const beforeOthers = (callback: () => void): (() => void) => {
  const undo = [process.stdout, process.stderr].map((stream) => {
    const write: typeof stream.write = stream.write.bind(stream)
    stream.write = ((...args: Parameters<typeof write>) => {
      callback()
      return write(...args)
    }) as typeof write
    return () => void (stream.write = write)
  })
  return () => {
    for (const one of undo) one()
  }
}

/** Lets everything else that is printed on standard output go to standard error. */
export const reserve = (): void => {
  process.stdout.write = process.stderr.write.bind(process.stderr)
}

/** Calls back when what was written is out. */
export const flushed = (then: () => void): void => {
  original("", then)
}

/** Whoever reads the output has seen enough (`waymark events … | head`): that is no error. */
export const endWithReader = (): void => {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(0)
      throw error
    })
  }
}

/** Writes bytes, and calls back when they are out. */
export const writeBytes = (bytes: Uint8Array, done: (error?: Error | null) => void): void => {
  original(bytes, done)
}
