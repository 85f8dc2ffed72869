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

const representationOf = (ast: SchemaAST.Declaration): string | undefined => {
  const representation: unknown = ast.annotations?.["representation"]
  return typeof representation === "object" && representation !== null && "id" in representation
    ? String(representation.id)
    : undefined
}

const nameOf = ({ annotations }: SchemaAST.AST): string => {
  for (const key of ["identifier", "title", "expected"]) {
    const name: unknown = annotations?.[key]
    if (typeof name === "string") return name
  }
  return "a declared type"
}

const collect = (root: SchemaAST.AST | undefined, at: string): ReadonlyArray<Finding> => {
  const findings: Array<Finding> = []
  // A part reached through an encoding is stored in another form, so that only secrets in it matter.
  const seen = { stored: new Set<SchemaAST.AST>(), hidden: new Set<SchemaAST.AST>() }

  const walk = (ast: SchemaAST.AST | undefined, path: string, stored: boolean): void => {
    if (ast === undefined) {
      findings.push({ kind: "noSchema", path, what: "" })
      return
    }
    const visited = stored ? seen.stored : seen.hidden
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
      const last = ast.encoding.length - 1
      ast.encoding.forEach((link, index) => walk(link.to, path, stored && index === last))
      stored = false
    }
    switch (ast._tag) {
      case "Any":
      case "Unknown":
      case "ObjectKeyword":
        if (stored) findings.push({ kind: "opaque", path, what: ast._tag })
        return
      case "Declaration":
        if (
          stored &&
          typeof (ast.annotations?.["toCodecJson"] ?? ast.annotations?.["toCodec"]) !== "function"
        ) {
          findings.push({ kind: "noJson", path, what: nameOf(ast) })
        }
        for (const parameter of ast.typeParameters) walk(parameter, path, stored)
        return
      case "Objects":
        for (const { name, type } of ast.propertySignatures) {
          const key = `${path}.${String(name)}`
          if (stored && typeof name === "symbol")
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
  walk(root, at, true)
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
