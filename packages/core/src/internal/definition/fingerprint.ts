import type * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import type * as Flow from "../../Flow.ts"
import type * as Node from "../../Node.ts"
import type * as State from "../../State.ts"
import { sha256Hex } from "../sha256.ts"

export type Shape = null | boolean | number | string | ReadonlyArray<Shape>

const byText = (shapes: ReadonlyArray<Shape>): ReadonlyArray<Shape> =>
  shapes
    .map((shape) => ({ shape, text: JSON.stringify(shape) }))
    .sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0))
    .map(({ shape }) => shape)

/** Plain data of an annotation, keys sorted; what is not data (functions, symbols) is left out. */
const data = (value: unknown): Shape => {
  if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean")
    return value
  if (Array.isArray(value)) return value.map(data)
  if (typeof value === "bigint") return ["bigint", String(value)]
  if (typeof value !== "object") return typeof value
  return byText(Object.entries(value).map(([key, item]) => [key, data(item)]))
}

const isOptional = (ast: SchemaAST.AST): boolean => ast.context?.isOptional ?? false

/**
 * What a schema accepts and how it is stored, without what only describes it (titles, descriptions, the order of keys).
 *
 * Functions cannot be compared: a changed body of a custom filter or transformation does not show.
 */
export const shapeOf = (schema: Schema.Constraint): Shape => {
  const open: Array<SchemaAST.AST> = []

  const checkOf = (check: SchemaAST.Check<any>): Shape => {
    const { annotations } = check
    const known = annotations?.["representation"] ?? annotations?.["identifier"]
    if (known !== undefined) return data(known)
    return check._tag === "FilterGroup" ? check.checks.map(checkOf) : "custom"
  }

  const bodyOf = (ast: SchemaAST.AST): Shape => {
    switch (ast._tag) {
      case "Declaration":
        return [
          "Declaration",
          data(ast.annotations?.["representation"] ?? ast.annotations?.identifier ?? null),
          ast.typeParameters.map(walk)
        ]
      case "Literal":
        return ["Literal", typeof ast.literal, String(ast.literal)]
      case "UniqueSymbol":
        return ["UniqueSymbol", String(ast.symbol)]
      case "Enum":
        return ["Enum", byText(ast.enums.map(([, value]) => value))]
      case "TemplateLiteral":
        return ["TemplateLiteral", ast.parts.map(walk)]
      case "Arrays":
        return [
          "Arrays",
          ast.elements.map((element) => [isOptional(element), walk(element)]),
          ast.rest.map(walk)
        ]
      case "Objects":
        return [
          "Objects",
          byText(
            ast.propertySignatures.map(({ name, type }) => [String(name), isOptional(type), walk(type)])
          ),
          ast.indexSignatures.map(({ parameter, type }) => [walk(parameter), walk(type)])
        ]
      case "Union":
        return ["Union", byText(ast.types.map(walk))]
      case "Suspend":
        return walk(ast.thunk())
      default:
        return ast._tag
    }
  }

  const walk = (ast: SchemaAST.AST): Shape => {
    const depth = open.indexOf(ast)
    if (depth !== -1) return ["Recursion", open.length - depth]
    open.push(ast)
    const shape: Array<Shape> = [bodyOf(ast)]
    if (ast.checks !== undefined) shape.push(["checks", ...byText(ast.checks.map(checkOf))])
    if (ast.encoding !== undefined) shape.push(["encoded", ...ast.encoding.map((link) => walk(link.to))])
    open.pop()
    return shape.length === 1 ? shape[0]! : shape
  }

  return walk(schema.ast)
}

const routeOf = (route: Node.OnError | undefined): Shape =>
  route === undefined || typeof route === "string"
    ? (route ?? null)
    : "to" in route
      ? [route.status, route.to]
      : route.status

const nodeOf = (name: string, node: Node.Any): Shape => [
  name,
  byText(node.to),
  shapeOf(node.error),
  byText(Object.entries(node.onError).map(([tag, route]) => [tag, routeOf(route)])),
  routeOf(node.onDefect),
  node.fanOut === undefined ? null : [byText(node.fanOut.to), node.fanOut.join],
  ...(node.item === undefined ? [] : [shapeOf(node.item)])
]

/** The channels of a state, whatever their order. */
export const channelShapes = (state: State.Channels): ReadonlyArray<Shape> =>
  byText(Object.entries(state).map(([name, channel]) => [name, channel.kind, shapeOf(channel.schema)]))

/**
 * What a run in progress depends on, as a text: the nodes and where they lead, the channels, the signals that are kept,
 * the schemas.
 *
 * Policies (retries, timeouts, limits) are not in it: they may change under a run.
 */
export const shapeTextOf = (flow: Flow.Any): string => {
  const signals = Object.entries(flow.signals).map(([name, schema]): Shape => [name, shapeOf(schema)])
  return JSON.stringify([
    "waymark flow 1",
    flow.id,
    flow.startNode,
    shapeOf(flow.input),
    shapeOf(flow.output),
    shapeOf(flow.error),
    channelShapes(flow.state),
    byText(Object.entries(flow.nodes).map(([name, node]) => nodeOf(name, node))),
    ...(signals.length === 0 ? [] : [byText(signals)])
  ])
}

/** The digest of a flow's shape: the address under which a store keeps the text of it. */
export const fingerprintOf = (flow: Flow.Any): string => sha256Hex(shapeTextOf(flow))
