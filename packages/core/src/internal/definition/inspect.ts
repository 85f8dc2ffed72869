import type * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import type * as Flow from "../../Flow.ts"

/**
 * What a schema holds that a journal cannot.
 *
 * - `opaque`: a part whose values are not described (`Any`, `Unknown`, `ObjectKeyword`)
 * - `redacted`: a secret, which may be stored encrypted only
 * - `noJson`: a part that has no JSON form
 * - `noSchema`: something that is no schema at all; only the compiler would have seen it before
 */
export interface Finding {
  readonly kind: "opaque" | "redacted" | "noJson" | "noSchema"
  readonly path: string
  readonly what: string
}

const representationOf = ({ annotations }: SchemaAST.Declaration): string | undefined =>
  (annotations?.["representation"] as { readonly id: string } | undefined)?.id

/** Whether it makes a JSON text of what it encodes, as it is: one with a replacer may know what to do about dates. */
const isText = ({ transformation }: SchemaAST.Link): boolean | undefined =>
  (transformation.encode as any)[Symbol.for("~effect/Schema/content")]?.preserveSchema

/**
 * How a part is stored: not at all, by its JSON form, or in a text that is made of it as it is. What is reached through an
 * encoding is stored in another form, so that only secrets in it matter.
 */
type Stored = 0 | 1 | 2

const nameOf = ({ annotations: { expected, identifier, title } = {} }: SchemaAST.AST): string =>
  (identifier ?? title ?? expected ?? "a declared type") as string

const collect = (root: SchemaAST.AST | undefined, at: string): ReadonlyArray<Finding> => {
  const findings: Array<Finding> = []
  const seen = [new Set<SchemaAST.AST>(), new Set<SchemaAST.AST>(), new Set<SchemaAST.AST>()] as const

  const walk = (ast: SchemaAST.AST | undefined, path: string, stored: Stored): void => {
    if (ast === undefined) {
      findings.push({ kind: "noSchema", path, what: "" })
      return
    }
    const visited = seen[stored]
    // Primitive schemas are shared objects: each place where one stands is to be reported.
    if (
      ast._tag === "Suspend" ||
      ast._tag === "Declaration" ||
      ast._tag === "Objects" ||
      ast._tag === "Union"
    ) {
      if (visited.has(ast)) return
      visited.add(ast)
    }
    if (ast._tag === "Declaration" && representationOf(ast) === "effect/schema/Redacted") {
      findings.push({ kind: "redacted", path, what: "Redacted" })
      return
    }
    if (ast.encoding !== undefined) {
      // The last one stands for what is stored; before a text, that of which it is made.
      let form = stored
      for (const link of ast.encoding.toReversed()) {
        walk(link.to, path, form)
        form = form > 0 && isText(link) ? 2 : 0
      }
      stored = form
    }
    switch (ast._tag) {
      case "Any":
      case "Unknown":
      case "ObjectKeyword":
        if (stored > 0) findings.push({ kind: "opaque", path, what: ast._tag })
        return
      case "Declaration":
        if (
          stored > 0 &&
          (stored > 1
            ? !representationOf(ast)?.endsWith("Json")
            : typeof (ast.annotations?.["toCodecJson"] ?? ast.annotations?.["toCodec"]) !== "function")
        ) {
          findings.push({ kind: "noJson", path, what: nameOf(ast) })
        }
        for (const parameter of ast.typeParameters) walk(parameter, path, stored)
        return
      case "Objects":
        for (const { name, type } of ast.propertySignatures) {
          const key = `${path}.${String(name)}`
          if (stored > 0 && typeof name === "symbol")
            findings.push({ kind: "noJson", path: key, what: "a symbol as a key" })
          else walk(type, key, stored)
        }
        for (const { type } of ast.indexSignatures) walk(type, `${path}.*`, stored)
        return
      case "Arrays":
        ast.elements.forEach((element, index) => walk(element, `${path}[${index}]`, stored))
        for (const element of ast.rest) walk(element, `${path}[]`, stored)
        return
      case "Union":
        for (const member of ast.types) walk(member, path, stored)
        return
      case "Suspend":
        walk(ast.thunk(), path, stored)
        return
    }
  }
  walk(root, at, 1)
  return findings
}

/** The findings of a schema; `at` names it in their paths. */
export const inspect = (schema: Schema.Constraint, at: string): ReadonlyArray<Finding> =>
  collect((schema as Schema.Constraint | undefined)?.ast, at)

/** Whether values of one of these schemas may be stored encrypted only. */
export const holdSecrets = (schemas: ReadonlyArray<Schema.Constraint>): boolean =>
  schemas.some((schema) => collect(schema.ast, "").some((finding) => finding.kind === "redacted"))

/** The schemas of all that runs of a flow store, calls of tools aside. */
export const schemasOf = (flow: Flow.Any): ReadonlyArray<Schema.Constraint> => [
  flow.input,
  flow.output,
  flow.error,
  ...Object.values(flow.state).map((channel) => channel.schema),
  ...Object.values(flow.signals),
  ...Object.values(flow.nodes).flatMap(({ error, item }) => (item === undefined ? [error] : [error, item]))
]

/**
 * The tags of the errors that a schema describes. `complete` is false if there may be errors without a tag.
 */
export const errorTags = (
  schema: Schema.Constraint
): { readonly tags: ReadonlyArray<string>; readonly complete: boolean } => {
  const tags = new Set<string>()
  const seen = new Set<SchemaAST.AST>()
  let complete = true
  const walk = (ast: SchemaAST.AST): void => {
    if (seen.has(ast)) return
    seen.add(ast)
    switch (ast._tag) {
      case "Never":
        return
      case "Union":
        ast.types.forEach(walk)
        return
      case "Suspend":
        walk(ast.thunk())
        return
      case "Declaration":
        // A class: its type parameter is the struct of its fields.
        if (ast.typeParameters.length === 1) walk(ast.typeParameters[0]!)
        else complete = false
        return
      case "Objects": {
        const tag = ast.propertySignatures.find((property) => property.name === "_tag")?.type
        const literals = tag?._tag === "Union" ? tag.types : tag === undefined ? [] : [tag]
        if (literals.length === 0) complete = false
        for (const literal of literals) {
          if (literal._tag === "Literal" && typeof literal.literal === "string") tags.add(literal.literal)
          else complete = false
        }
        return
      }
      default:
        complete = false
    }
  }
  walk(schema.ast)
  return { tags: [...tags], complete }
}
