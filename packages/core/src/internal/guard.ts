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
  if (ast.checks === undefined) return guard
  const filters = ast.checks.flatMap(filtersOf)
  return (value) => {
    if (!guard(value)) return false
    for (let i = 0; i < filters.length; i++) if (filters[i]!.run(value, ast, options) !== undefined) return false
    return true
  }
}

const filtersOf = (check: SchemaAST.Check<any>): ReadonlyArray<SchemaAST.Filter<any>> =>
  check._tag === "Filter" ? [check] : check.checks.flatMap(filtersOf)

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
      // JSON has no `undefined`: a field that is so is absent.
      if (field === undefined) {
        if (!optional) return false
      } else if (guard(field)) present += 1
      else return false
    }
    let keys = 0
    for (const _ in value) keys += 1
    return keys === present
  }
}

const record = (ast: SchemaAST.Objects): Guard => {
  const guard = compile(ast.indexSignatures[0]!.type)
  return (value) => {
    if (!isObject(value)) return false
    for (const key in value) if (!guard(value[key])) return false
    return true
  }
}

const array = (ast: SchemaAST.Arrays): Guard => {
  const elements = ast.elements.map(compile)
  const rest = ast.rest.length === 0 ? undefined : compile(ast.rest[0]!)
  return (value) => {
    if (!Array.isArray(value) || value.length < elements.length) return false
    if (rest === undefined && value.length > elements.length) return false
    for (let i = 0; i < value.length; i++) if (!(elements[i] ?? rest!)(value[i])) return false
    return true
  }
}

/** {@link Value}, also where it is optional. */
const isValue = (ast: SchemaAST.Declaration): boolean => ast.run === (Value.ast as SchemaAST.Declaration).run

/** A union: by the literal that tells its members apart if they all have one, else one after the other. */
const union = (ast: SchemaAST.Union): Guard => {
  const members = ast.types.map(compile)
  for (const name of ["kind", "type"]) {
    const byLiteral = new Map<unknown, Guard>()
    ast.types.forEach((type, i) => {
      const field = type._tag === "Objects" ? type.propertySignatures.find((property) => property.name === name) : undefined
      if (field?.type._tag === "Literal") byLiteral.set(field.type.literal, members[i]!)
    })
    if (byLiteral.size !== members.length) continue
    return (value) => isObject(value) && byLiteral.get(value[name])?.(value) === true
  }
  return (value) => {
    for (const guard of members) if (guard(value)) return true
    return false
  }
}

const compile = (ast: SchemaAST.AST): Guard => {
  if (ast.encoding === undefined) {
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
        if (ast.rest.length < 2 && !ast.elements.some((element) => element.context?.isOptional)) return checked(ast, array(ast))
        break
      case "Objects":
        if (ast.indexSignatures.length === 0 && ast.propertySignatures.length > 0) return checked(ast, struct(ast))
        if (ast.propertySignatures.length === 0 && ast.indexSignatures.length === 1) {
          if (ast.indexSignatures[0]!.parameter._tag === "String") return checked(ast, record(ast))
        }
        break
    }
  }
  // Rare, or of a later version of Effect: the schema itself answers.
  const decode = Schema.decodeUnknownExit(Schema.make<Schema.Codec<unknown>>(ast), options)
  return (value) => decode(value)._tag === "Success"
}

/**
 * A guard for a schema without transformations, over values that were parsed from JSON.
 */
export const guardOf = <A>(schema: Schema.Codec<A>): ((value: unknown) => value is A) =>
  compile(schema.ast) as (value: unknown) => value is A
