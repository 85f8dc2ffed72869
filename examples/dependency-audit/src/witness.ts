/**
 * What was really executed, written by the tools themselves.
 */
import { Context, Effect, FileSystem, Layer, Schema } from "effect"

const Line = Schema.Struct({
  process: Schema.Int,
  key: Schema.String,
  what: Schema.Literals(["begin", "end"])
})
type Line = typeof Line.Type
const decodeLine = Schema.decodeEffect(Schema.fromJsonString(Line))

export class Witness extends Context.Service<
  Witness,
  {
    readonly begin: (key: string) => Effect.Effect<void>
    readonly end: (key: string) => Effect.Effect<void>
  }
>()("example/Witness") {
  static readonly layer = (file: string) =>
    Layer.effect(
      Witness,
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const append = (line: Line) =>
          Effect.orDie(fs.writeFileString(file, `${JSON.stringify(line)}\n`, { flag: "a" }))
        return Witness.of({
          begin: (key) => append({ process: process.pid, key, what: "begin" }),
          end: (key) => append({ process: process.pid, key, what: "end" })
        })
      })
    )
}

export interface Account {
  /** Calls begun, by process, in the order of the processes. */
  readonly executed: ReadonlyArray<{ readonly process: number; readonly calls: number }>
  /** Calls that had ended in one process and were begun in a later one. */
  readonly completedAgain: number
  /** Calls that were begun and not ended when their process died, and were executed later under the same key. */
  readonly inDoubtAgain: number
}

/** The lines of a witness file; one that was cut short by a kill does not count. */
export const readLines = Effect.fn("readLines")(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs.readFileString(file)
  return yield* Effect.forEach(text.split("\n").slice(0, -1), (line) => decodeLine(line))
})

/** What the witness file says. */
export const account = Effect.fn("account")(function* (file: string) {
  const lines = yield* readLines(file)
  const begun = new Map<number, Set<string>>()
  const ended = new Map<string, number>()
  const open = new Map<string, number>()
  let completedAgain = 0
  let inDoubtAgain = 0
  for (const { key, process, what } of lines) {
    if (what === "end") {
      ended.set(key, process)
      open.delete(key)
      continue
    }
    if (ended.has(key)) completedAgain += 1
    else if (open.has(key) && open.get(key) !== process) inDoubtAgain += 1
    open.set(key, process)
    begun.set(process, (begun.get(process) ?? new Set()).add(key))
  }
  const executed = [...begun].map(([process, keys]) => ({ process, calls: keys.size }))
  const result: Account = { executed, completedAgain, inDoubtAgain }
  return result
})
