/**
 * What was really executed, written by the model and the tools themselves: the journal has no part in it.
 */
import { Tool } from "@waymark/core"
import { Context, Effect, FileSystem, Layer, Option, Schema } from "effect"

const Line = Schema.Struct({
  process: Schema.Int,
  of: Schema.Literals(["model", "tool"]),
  name: Schema.String,
  key: Schema.String,
  what: Schema.Literals(["begin", "end"])
})
type Line = typeof Line.Type
const decodeLine = Schema.decodeEffect(Schema.fromJsonString(Line))

/** Carries out a call between two lines in the witness file. */
export class Witness extends Context.Service<
  Witness,
  {
    readonly around: <A, E, R>(
      of: Line["of"],
      name: string,
      work: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E, R>
  }
>()("example/Witness") {
  /** For tests: no file, and nobody is killed. */
  static readonly layerNothing = Layer.succeed(Witness, { around: (_of, _name, work) => work })

  /** `during` happens inside of each call: a demonstration may want to be killed there. */
  static readonly layer = (file: string, during: (of: Line["of"], name: string) => Effect.Effect<void>) =>
    Layer.effect(
      Witness,
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const append = (line: Omit<Line, "process">) =>
          Effect.orDie(
            fs.writeFileString(file, `${JSON.stringify({ process: process.pid, ...line })}\n`, { flag: "a" })
          )
        return Witness.of({
          around: (of, name, work) =>
            Effect.gen(function* () {
              // The key of the call that this is done for: the same one in every process that tries it.
              const invocation = yield* Effect.serviceOption(Tool.Invocation)
              const key = Option.match(invocation, { onNone: () => "none", onSome: (it) => it.key })
              yield* append({ of, name, key, what: "begin" })
              yield* during(of, name)
              const result = yield* work
              yield* append({ of, name, key, what: "end" })
              return result
            })
        })
      })
    )
}

export interface Account {
  /** Calls that were begun. */
  readonly begun: number
  /** Calls that had completed in one process and were begun again. */
  readonly completedAgain: number
  /** Calls that were under way when their process was killed, and were begun again with the same key. */
  readonly inDoubtAgain: number
}

/** What the witness file says of the calls of the model, or of those of the tools. */
export const account = Effect.fn("account")(function* (file: string, of: Line["of"]) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs.readFileString(file)
  // A line that was cut short by a kill does not count.
  const lines = yield* Effect.forEach(text.split("\n").slice(0, -1), (line) => decodeLine(line))
  const open = new Set<string>()
  const ended = new Set<string>()
  const counts = { begun: 0, completedAgain: 0, inDoubtAgain: 0 }
  for (const line of lines) {
    if (line.of !== of) continue
    if (line.what === "end") ended.add(line.key)
    else {
      counts.begun += 1
      if (ended.has(line.key)) counts.completedAgain += 1
      else if (open.has(line.key)) counts.inDoubtAgain += 1
      open.add(line.key)
    }
  }
  const result: Account = counts
  return result
})
