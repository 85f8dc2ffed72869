/**
 * Puts files of our own under SQLite: of all system calls of its WebAssembly, those on such a file are answered here.
 *
 * sql.js keeps a database as one array, which it copies when it grows and when somebody wants to have it, and it cannot tell
 * what has changed in it. The calls that the WebAssembly imports have names that the build of sql.js made up; they are those of
 * version 1.16.0, and `engine.ts` looks whether they are right.
 */
import type { PageFile } from "./pageFile.ts"

/** The names of the calls, as of sql.js 1.16.0. */
const calls = { open: "x", close: "e", read: "t", write: "q", seek: "E", truncate: "J", stat: "g" } as const

type Call = (...parameters: ReadonlyArray<number | bigint>) => number
type Imports = { readonly a: { [name: string]: Call } }

export interface Files {
  /** `instantiateWasm`, for sql.js. */
  readonly instantiate: (
    wasm: BufferSource,
    imports: WebAssembly.Imports,
    done: (instance: WebAssembly.Instance) => void
  ) => Promise<void>
  /** The database that is opened meanwhile lies in this file. `false` if it does not. */
  readonly opening: <A>(file: PageFile, open: () => A) => readonly [opened: A, underneath: boolean]
}

interface OpenFile {
  readonly file: PageFile
  position: number
}

/** Where in what `stat` tells the size is. */
const sizeOffset = 24
/** `ENOSPC` and `EIO`, as the WebAssembly knows them. */
const noSpace = 51
const ioError = 29

export const make = (): Files => {
  const open = new Map<number, OpenFile>()
  let memory: WebAssembly.Memory | undefined
  let next: PageFile | undefined
  let view = new DataView(new ArrayBuffer(0))

  const current = (): DataView => {
    if (view.buffer !== memory!.buffer) view = new DataView(memory!.buffer)
    return view
  }
  const bytesAt = (pointer: number, length: number): Uint8Array =>
    new Uint8Array(memory!.buffer, pointer >>> 0, length)

  const isDatabase = (pointer: number): boolean => {
    const bytes = new Uint8Array(memory!.buffer, pointer >>> 0, 64)
    return /^\/?dbfile_\d+\0/.test(String.fromCharCode(...bytes))
  }

  /** Does something with each of the pieces of memory that a call names: how many bytes it was, or -1 if it cannot be done. */
  const pieces = (
    vector: number,
    count: number,
    written: number,
    each: (bytes: Uint8Array) => number
  ): number => {
    let total = 0
    for (let i = 0; i < count; i++) {
      const at = vector + i * 8
      const bytes = bytesAt(current().getUint32(at, true), current().getUint32(at + 4, true))
      const moved = each(bytes)
      if (moved < 0) return ioError
      total += moved
      if (moved < bytes.length) break
    }
    current().setUint32(written, total, true)
    return 0
  }

  const replace = (imports: Imports): void => {
    const original = { ...imports.a }
    /** Answers a call that is on a file of ours, given its descriptor. */
    const on = (
      name: keyof typeof calls,
      descriptor: number,
      answer: (
        opened: OpenFile,
        parameters: ReadonlyArray<number>,
        original: (parameters: ReadonlyArray<number | bigint>) => number
      ) => number
    ): void => {
      const call = original[calls[name]]!
      imports.a[calls[name]] = (...parameters) => {
        const opened = open.get(Number(parameters[descriptor]))
        return opened === undefined
          ? call(...parameters)
          : answer(opened, parameters.map(Number), () => call(...parameters))
      }
    }

    const opens = original[calls.open]!
    imports.a[calls.open] = (...parameters) => {
      const descriptor = opens(...parameters)
      if (next !== undefined && descriptor >= 0 && isDatabase(Number(parameters[1]))) {
        open.set(descriptor, { file: next, position: 0 })
        next = undefined
      }
      return descriptor
    }
    on("close", 0, (_, [descriptor], call) => {
      open.delete(descriptor!)
      return call([])
    })
    on("read", 0, (opened, [, vector, count, read]) =>
      pieces(vector!, count!, read!, (bytes) => {
        const moved = opened.file.read(opened.position, bytes)
        opened.position += Math.max(0, moved)
        return moved
      })
    )
    on("write", 0, (opened, [, vector, count, written]) => {
      try {
        return pieces(vector!, count!, written!, (bytes) => {
          opened.file.write(opened.position, bytes)
          opened.position += bytes.length
          return bytes.length
        })
      } catch (error) {
        // There is no memory left. SQLite says then that the disk is full.
        if (error instanceof RangeError) return noSpace
        throw error
      }
    })
    on("seek", 0, (opened, [, offset, whence, position]) => {
      const from = whence === 0 ? 0 : whence === 1 ? opened.position : opened.file.size()
      opened.position = from + offset!
      current().setBigInt64(position!, BigInt(opened.position), true)
      return 0
    })
    on("truncate", 0, ({ file }, [, size]) => {
      file.truncate(size!)
      return 0
    })
    on("stat", 0, ({ file }, [, buffer], call) => {
      const failed = call([])
      if (failed === 0) current().setBigInt64(buffer! + sizeOffset, BigInt(file.size()), true)
      return failed
    })
  }

  return {
    instantiate: async (wasm, imports, done) => {
      // Another build of sql.js may have other names; then nothing is replaced, and `opening` says so.
      const { a } = imports as unknown as Imports
      const known = Object.values(calls).every((name) => typeof a?.[name] === "function")
      if (known) replace({ a })
      const { instance } = await WebAssembly.instantiate(wasm, imports)
      memory = Object.values(instance.exports).find((each) => each instanceof WebAssembly.Memory)
      done(instance)
    },

    opening: (file, body) => {
      if (memory === undefined) return [body(), false]
      next = file
      try {
        const opened = body()
        return [opened, next === undefined]
      } finally {
        next = undefined
      }
    }
  }
}
