/**
 * Type guards compiled from schemas, for what is read by the ten thousand.
 *
 * A guard accepts what the schema decodes to itself when excess properties are errors, and is several times faster than
 * the schema's own parser, because it neither copies nor explains. What it refuses, the parser can explain.
 */
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import { Value } from "./event/values.ts"

type Guard = (value: unknown) => boolean

const options: SchemaAST.ParseOptions = { onExcessProperty: "error" }

const checked = (ast: SchemaAST.AST, guard: Guard): Guard => {
  const filters = ast.checks as ReadonlyArray<SchemaAST.Filter<unknown>> | undefined
  if (filters === undefined) return guard
  return (value) => {
    if (!guard(value)) return false
    for (let i = 0; i < filters.length; i++)
      if (filters[i]!.run(value, ast, options) !== undefined) return false
    return true
  }
}

const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const struct = (ast: SchemaAST.Objects): Guard => {
  const fields = ast.propertySignatures.map(({ name, type }) => ({
    name: name as string,
    optional: type.context?.isOptional === true,
    guard: compile(type)
  }))
  return (value) => {
    if (!isObject(value)) return false
    let present = 0
    for (let i = 0; i < fields.length; i++) {
      const { guard, name, optional } = fields[i]!
      const field = value[name]
      // In JSON a field that is `undefined` is absent.
      if (field === undefined) {
        if (!optional) return false
      } else if (guard(field)) present += 1
      else return false
    }
    let keys = 0
    for (const key in value) if (value[key] !== undefined) keys += 1
    return keys === present
  }
}

const record = ({ type }: SchemaAST.IndexSignature): Guard => {
  const guard = compile(type)
  return (value) => {
    if (!isObject(value)) return false
    for (const key in value) if (!guard(value[key])) return false
    return true
  }
}

const array = (ast: SchemaAST.Arrays): Guard => {
  const guard = compile(ast.rest[0]!)
  return (value) => Array.isArray(value) && value.every(guard)
}

/** {@link Value}, also where it is optional. */
const isValue = (ast: SchemaAST.Declaration): boolean => ast.run === (Value.ast as SchemaAST.Declaration).run

/** A union: by the kinds that tell its members apart if they all have one, else one after the other. */
const union = (ast: SchemaAST.Union): Guard => {
  const members = ast.types.map(compile)
  const byKind = new Map<unknown, Guard>()
  ast.types.forEach((type, i) => {
    const kind = type._tag === "Objects" && type.propertySignatures.find(({ name }) => name === "kind")
    if (kind && kind.type._tag === "Literal") byKind.set(kind.type.literal, members[i]!)
  })
  return byKind.size === members.length
    ? (value) => isObject(value) && byKind.get(value["kind"])?.(value) === true
    : (value) => members.some((guard) => guard(value))
}

const compile = (ast: SchemaAST.AST): Guard => {
  if (ast.encoding === undefined && ast.checks?.some((check) => check._tag !== "Filter") !== true) {
    switch (ast._tag) {
      case "String":
        return checked(ast, (value) => typeof value === "string")
      case "Number":
        return checked(ast, (value) => typeof value === "number")
      case "Literal":
        return checked(ast, (value) => value === ast.literal)
      case "Declaration":
        if (isValue(ast)) return () => true
        break
      case "Union":
        return checked(ast, union(ast))
      case "Arrays":
        if (ast.rest.length === 1 && ast.elements.length === 0) return checked(ast, array(ast))
        break
      case "Objects": {
        const {
          indexSignatures: [index, ...more],
          propertySignatures
        } = ast
        if (index === undefined && propertySignatures.length > 0) return checked(ast, struct(ast))
        if (propertySignatures.length > 0 || more.length > 0) break
        if (index?.parameter._tag === "String" && index.parameter.checks === undefined)
          return checked(ast, record(index))
      }
    }
  }
  // Rare, or of a later version of Effect: the schema itself answers.
  const decode = Schema.decodeUnknownExit(Schema.make<Schema.Codec<unknown>>(ast), options)
  return (value) => decode(value)._tag === "Success"
}

/**
 * A guard for a schema without transformations, over what is JSON or becomes it: a field that is `undefined` is absent.
 */
export const guardOf = <A>(schema: Schema.Codec<A>): ((value: unknown) => value is A) =>
  compile(schema.ast) as (value: unknown) => value is A
