/**
 * Events of every kind that need make no sense: whatever their schemas allow.
 */
import type * as SchemaAST from "effect/SchemaAST"
import { Event } from "../../src/Event.ts"
import { hostile, objectOf, textOf, valueOf } from "./choice.ts"
import type { Choice } from "./choice.ts"

/** Something that a schema of JSON allows; `strings` are those that may mean something where it is used. */
export const arbitraryOf = (ast: SchemaAST.AST, choice: Choice, strings: ReadonlyArray<string>): unknown => {
  const { chance, int, pick } = choice
  switch (ast._tag) {
    case "String":
      return chance(0.6) && strings.length > 0 ? pick(strings) : chance(0.5) ? pick(hostile) : textOf(choice)
    case "Number":
      return pick([0, 1, 2, int(0, 20), 2 ** 53 - 1])
    case "Literal":
      return ast.literal
    case "Declaration":
      return valueOf(choice)
    case "Union":
      return arbitraryOf(pick(ast.types), choice, strings)
    case "Arrays":
      return [
        ...ast.elements.map((element) => arbitraryOf(element, choice, strings)),
        ...Array.from({ length: ast.rest.length === 0 ? 0 : int(0, 2) }, () =>
          arbitraryOf(ast.rest[0]!, choice, strings)
        )
      ]
    case "Objects": {
      const index = ast.indexSignatures[0]
      return objectOf([
        ...ast.propertySignatures
          .filter(({ type }) => type.context?.isOptional !== true || chance(0.5))
          .map(({ name, type }) => [name as string, arbitraryOf(type, choice, strings)] as const),
        ...Array.from(
          { length: index === undefined ? 0 : int(0, 2) },
          () =>
            [
              arbitraryOf(index!.parameter, choice, strings) as string,
              arbitraryOf(index!.type, choice, strings)
            ] as const
        )
      ])
    }
    default:
      throw new Error(`no arbitrary for ${ast._tag}`)
  }
}

export const arbitraryEvent = (choice: Choice, strings: ReadonlyArray<string>): Event =>
  arbitraryOf(choice.pick(Event.members).ast, choice, strings) as Event
