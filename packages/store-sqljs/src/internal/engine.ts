/**
 * sql.js, loaded so that databases lie in files of ours, if that can be.
 *
 * It cannot if somebody else in this process has loaded sql.js already, since it is loaded once; or if its WebAssembly is
 * not where it is looked for, or not the one that is known. Then databases lie where sql.js keeps them, and are folded as a whole.
 */
import initSqlJs from "sql.js"
import type { Database, SqlJsStatic } from "sql.js"
import * as CheckedFile from "./checkedFile.ts"
import * as PageFile from "./pageFile.ts"
import * as WasmFiles from "./wasmFiles.ts"

export interface Engine {
  /**
   * Opens a database that holds these bytes, or nothing. `file` is what it lies in. One that is `trusting` reads damaged
   * pages as they are.
   */
  readonly open: (
    bytes: Uint8Array | undefined,
    trusting?: boolean
  ) => {
    readonly database: Database
    readonly file: CheckedFile.CheckedFile | undefined
  }
}

export type LocateFile = (file: string) => string

/** Node's own modules, where there are any: this file is for browsers, too. */
const builtin = (
  globalThis as { readonly process?: { readonly getBuiltinModule?: NodeJS.Process["getBuiltinModule"] } }
).process?.getBuiltinModule

/** Where the WebAssembly is, if it is known: a path, or an address. */
const placeOf = (locateFile: LocateFile | undefined): string | undefined => {
  if (locateFile !== undefined)
    return locateFile(builtin === undefined ? "sql-wasm-browser.wasm" : "sql-wasm.wasm")
  const here = import.meta.url as string | undefined
  if (here === undefined) return undefined
  if (builtin === undefined) return new URL("sql-wasm-browser.wasm", here).href
  try {
    return builtin("node:module").createRequire(here).resolve("sql.js/dist/sql-wasm.wasm")
  } catch {
    // In a bundle nothing can be resolved; sql.js looks beside it then, too.
    return undefined
  }
}

const read = async (place: string): Promise<BufferSource> => {
  if (builtin !== undefined && !/^https?:/.test(place)) {
    const { readFile } = builtin("node:fs/promises")
    return new Uint8Array(await readFile(place.startsWith("file:") ? new URL(place) : place))
  }
  const response = await fetch(place, { credentials: "same-origin" })
  if (!response.ok) throw new Error(`${place} was answered with status ${response.status}`)
  return response.arrayBuffer()
}

/** Whether what SQLite writes really arrives in a file of ours. */
const isUnderneath = (sqlJs: SqlJsStatic, files: WasmFiles.Files): boolean => {
  const file = PageFile.make()
  const [database, underneath] = files.opening(file, () => new sqlJs.Database())
  try {
    database.run("CREATE TABLE trial (bytes); INSERT INTO trial VALUES (zeroblob(10000))")
    const pages = Number(database.exec("PRAGMA page_count")[0]?.values[0]?.[0])
    return underneath && pages > 3 && file.size() === pages * PageFile.blockSize
  } finally {
    database.close()
  }
}

const loadAnew = async (locateFile: LocateFile | undefined): Promise<Engine> => {
  const place = placeOf(locateFile)
  // Before sql.js is asked: it would keep a failure for ever.
  const wasm = place === undefined ? undefined : await read(place)
  if (wasm !== undefined) await WebAssembly.compile(wasm)
  const files = WasmFiles.make()
  const sqlJs = await initSqlJs(
    wasm === undefined
      ? locateFile === undefined
        ? undefined
        : { locateFile }
      : {
          instantiateWasm: (imports, done) => {
            void files.instantiate(wasm, imports, done)
            return undefined
          }
        }
  )
  const whole: Engine["open"] = (bytes) => ({
    database: new sqlJs.Database(bytes ?? CheckedFile.emptyDatabase()),
    file: undefined
  })
  if (!isUnderneath(sqlJs, files)) return { open: whole }
  return {
    open: (bytes, trusting) => {
      const file = CheckedFile.make(bytes, trusting)
      const [database] = files.opening(file, () => new sqlJs.Database())
      return { database, file }
    }
  }
}

let loaded: Promise<Engine> | undefined

/** Loads sql.js, once for each process: where its WebAssembly lies is asked only when it is loaded. */
export const load = (locateFile: LocateFile | undefined): Promise<Engine> => {
  loaded ??= loadAnew(locateFile).catch((error) => {
    loaded = undefined
    throw error
  })
  return loaded
}
