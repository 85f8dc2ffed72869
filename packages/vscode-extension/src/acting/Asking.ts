/**
 * Asks the person for values: field by field from a schema, and checked while they are typed.
 */
import * as Effect from "effect/Effect"
import type { Json } from "effect/Schema"
import type { OpenWait } from "@waymark/core/RunState"
import type { CallInDoubt, Settlement } from "@waymark/core/Runs"
import type { Choice, Editor } from "../Editor.ts"
import { line } from "../reading/Text.ts"
import * as Form from "./Form.ts"

export const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value))

/** What has no schema takes any JSON. */
export const anything: Form.Document = { schema: {}, definitions: {} }

export const make = (editor: Editor["Service"]) => {
  /** Asks for a value that fits a schema, field by field. `undefined` if somebody stops. */
  const ask = (title: string, prompt: string, document: Form.Document) =>
    Effect.gen(function* () {
      const fields = Form.fieldsOf(document)
      const filled: Array<readonly [Form.Field, Json | undefined]> = []
      for (const [i, field] of fields.entries()) {
        // What is asked for stands in the title: what is wrong with a text takes the place of the prompt.
        const named = field.name === undefined ? title : `${title}: ${line(field.name, 60)}`
        const step = fields.length === 1 ? named : `${named} (${i + 1}/${fields.length})`
        const about = [field.name, field.description, field.isOptional ? "may be left out" : undefined]
        const what = about.filter((part) => part !== undefined).join(": ")
        if (field.kind === "choice") {
          const leaveOut: ReadonlyArray<Choice<{ readonly value: Json | undefined }>> = field.isOptional
            ? [{ label: "(leave out)", value: { value: undefined } }]
            : []
          const chosen = yield* editor.pick<{ readonly value: Json | undefined }>(
            step,
            [...field.choices.map((value) => ({ label: line(text(value)), value: { value } })), ...leaveOut],
            what === "" ? prompt : what
          )
          if (chosen === undefined) return undefined
          filled.push([field, chosen.value])
          continue
        }
        const typed = yield* editor.input({
          title: step,
          prompt: what === "" ? prompt : `${prompt} — ${what}`,
          ...(field.kind === "json" ? { placeholder: "JSON" } : {}),
          validate: (input) => {
            const read = Form.read(field, input)
            return "problem" in read ? read.problem : undefined
          }
        })
        if (typed === undefined) return undefined
        const read = Form.read(field, typed)
        if ("problem" in read) return undefined
        filled.push([field, read.value])
      }
      const value = Form.assemble(filled)
      return value === undefined ? undefined : { value }
    })

  /** The answer to a question: one of its choices, or what its schema takes. */
  const askAnswer = (title: string, { on, schema }: OpenWait) =>
    Effect.gen(function* () {
      const prompt = on.type === "user" && typeof on.prompt === "string" ? line(on.prompt, 300) : ""
      const choices =
        on.type === "user" && Array.isArray(on.choices) ? (on.choices as ReadonlyArray<Json>) : []
      const document = Form.documentOf(schema) ?? anything
      if (choices.length === 0) return yield* ask(title, prompt, document)
      const other = on.type === "user" && on.freeText === true
      const chosen = yield* editor.pick<{ readonly value: Json } | "other">(
        title,
        [
          ...choices.map((value) => ({ label: line(text(value)), value: { value } })),
          ...(other ? [{ label: "Something else…", value: "other" as const }] : [])
        ],
        prompt
      )
      return chosen === "other" ? yield* ask(title, prompt, document) : chosen
    })

  /** What became of a call of which nobody knows whether it took effect. */
  const askSettlement = ({ input, key, node, tool, visit }: CallInDoubt) =>
    Effect.gen(function* () {
      const title = `Did ${line(tool, 60)} take effect?`
      const chosen = yield* editor.pick<"effect" | "again" | "failed">(
        title,
        [
          {
            label: "It took effect…",
            description: "you give the output that the tool would have given",
            value: "effect"
          },
          {
            label: "It did not: make the call again",
            description: `under the same idempotency key, ${key}`,
            value: "again"
          },
          {
            label: "It did not, and is not to be made",
            description: "the call fails as one in doubt",
            value: "failed"
          }
        ],
        `${line(tool, 60)} ${line(text(input), 200)}, visit ${visit} of ${line(node, 60)}`
      )
      if (chosen !== "effect") return chosen
      const output = yield* ask(title, "What it gave", anything)
      const settlement: Settlement | undefined = output && { output: output.value }
      return settlement
    })

  return { ask, askAnswer, askSettlement }
}
