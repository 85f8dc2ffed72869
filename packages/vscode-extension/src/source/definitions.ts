/**
 * Where flows, their nodes and their handlers stand in a source file, by looking at it.
 */
import type { Token } from "./tokens.ts"
import { tokensOf } from "./tokens.ts"

/** A named part of an object literal, with its lines (from 1, both included). */
export interface Part {
  readonly name: string
  readonly line: number
  readonly end: number
}

/** `Flow.make("id", ...)`: `variable` is what it is called in the file. */
export interface FlowDefinition {
  readonly id: string
  readonly variable: string | undefined
  readonly line: number
  readonly nodes: ReadonlyArray<Part>
}

/** `Variable.toLayer({ ... })`. */
export interface HandlersDefinition {
  readonly variable: string
  readonly line: number
  readonly handlers: ReadonlyArray<Part>
}

export interface Definitions {
  readonly flows: ReadonlyArray<FlowDefinition>
  readonly handlers: ReadonlyArray<HandlersDefinition>
}

const none: Definitions = { flows: [], handlers: [] }

const opening: { readonly [mark: string]: number } = { "(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1 }

/** The position after the bracket that closes the one at `from`. */
const closeOf = (tokens: ReadonlyArray<Token>, from: number): number => {
  let depth = 0
  for (let at = from; at < tokens.length; at++) {
    const { kind, text } = tokens[at]!
    if (kind !== "mark") continue
    depth += opening[text] ?? 0
    if (depth === 0) return at + 1
  }
  return tokens.length
}

const isMark = (token: Token | undefined, text: string): boolean =>
  token?.kind === "mark" && token.text === text
const isName = (token: Token | undefined, text: string): boolean =>
  token?.kind === "name" && token.text === text

/** The properties of the object literal that opens at `from`, each with the position at which its value begins. */
const propertiesOf = (
  tokens: ReadonlyArray<Token>,
  from: number
): ReadonlyArray<Part & { readonly value: number }> => {
  const parts: Array<Part & { readonly value: number }> = []
  const end = closeOf(tokens, from) - 1
  let at = from + 1
  while (at < end) {
    const key = tokens[at]!
    const start = at
    const isKey = key.kind !== "mark"
    // To the comma that ends this property.
    while (at < end && !isMark(tokens[at], ","))
      at = (opening[tokens[at]!.text] ?? 0) > 0 && tokens[at]!.kind === "mark" ? closeOf(tokens, at) : at + 1
    if (isKey) {
      const last = tokens[Math.max(start, at - 1)]!
      parts.push({
        name: key.text,
        line: key.line,
        end: last.line,
        value: start + (isMark(tokens[start + 1], ":") ? 2 : 0)
      })
    }
    at++
  }
  return parts
}

const plainPart = ({ end, line, name }: Part): Part => ({ name, line, end })

/** The variable that a call's result is given to: `const X = Flow.make(`. */
const variableBefore = (tokens: ReadonlyArray<Token>, at: number): string | undefined => {
  if (!isMark(tokens[at - 1], "=")) return undefined
  const name = tokens[at - 2]
  return name?.kind === "name" ? name.text : undefined
}

const flowAt = (tokens: ReadonlyArray<Token>, at: number): FlowDefinition | undefined => {
  // Flow . make ( "id" , {
  if (!isName(tokens[at], "Flow") || !isMark(tokens[at + 1], ".") || !isName(tokens[at + 2], "make"))
    return undefined
  const id = tokens[at + 4]
  if (!isMark(tokens[at + 3], "(") || id?.kind !== "string" || !isMark(tokens[at + 6], "{")) return undefined
  const nodes = propertiesOf(tokens, at + 6).find(({ name }) => name === "nodes")
  return {
    id: id.text,
    variable: variableBefore(tokens, at),
    line: tokens[at]!.line,
    nodes:
      nodes === undefined || !isMark(tokens[nodes.value], "{")
        ? []
        : propertiesOf(tokens, nodes.value).map(plainPart)
  }
}

const handlersAt = (tokens: ReadonlyArray<Token>, at: number): HandlersDefinition | undefined => {
  // X . toLayer (
  const variable = tokens[at]!
  if (variable.kind !== "name" || !isMark(tokens[at + 1], ".") || !isName(tokens[at + 2], "toLayer"))
    return undefined
  if (!isMark(tokens[at + 3], "(")) return undefined
  const end = closeOf(tokens, at + 3)
  // The handlers themselves, or an effect that gives them: then they are what is returned last.
  let object = isMark(tokens[at + 4], "{") ? at + 4 : -1
  for (let next = at + 4; object === -1 && next < end; next++) {
    if (isName(tokens[next], "return") && isMark(tokens[next + 1], "{")) object = next + 1
  }
  if (object === -1) return undefined
  return {
    variable: variable.text,
    line: variable.line,
    handlers: propertiesOf(tokens, object).map(plainPart)
  }
}

/** What a file defines. */
export const definitionsOf = (text: string): Definitions => {
  if (!text.includes("Flow.make") && !text.includes(".toLayer(")) return none
  const tokens = tokensOf(text)
  const flows: Array<FlowDefinition> = []
  const handlers: Array<HandlersDefinition> = []
  for (let at = 0; at < tokens.length; at++) {
    const flow = flowAt(tokens, at)
    if (flow !== undefined) flows.push(flow)
    const found = handlersAt(tokens, at)
    if (found !== undefined) handlers.push(found)
  }
  return { flows, handlers }
}
