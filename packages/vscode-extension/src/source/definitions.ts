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

/** Where the body of a function begins: a `column` (from 1) only if something else stands before it in its line. */
export interface Body {
  readonly line: number
  readonly column?: number
}

export interface HandlerPart extends Part {
  /** Where it begins to be executed, if the function is written there. */
  readonly body?: Body
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
  readonly handlers: ReadonlyArray<HandlerPart>
}

/** `tools` are the names of those that are made: `Tool.make("name", ...)`. */
export interface Definitions {
  readonly flows: ReadonlyArray<FlowDefinition>
  readonly handlers: ReadonlyArray<HandlersDefinition>
  readonly tools: ReadonlyArray<string>
}

const none: Definitions = { flows: [], handlers: [], tools: [] }

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

/** A property, with the positions of the first token of its value and of that after it. */
interface Property extends Part {
  readonly value: number
  readonly close: number
}

/** The properties of the object literal that opens at `from`. */
const propertiesOf = (tokens: ReadonlyArray<Token>, from: number): ReadonlyArray<Property> => {
  const parts: Array<Property> = []
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
        value: start + (isMark(tokens[start + 1], ":") ? 2 : 0),
        close: at
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

/** The first argument of `Flow.make("id", …` or `Tool.make("name", …`. */
const nameMade = (tokens: ReadonlyArray<Token>, at: number, what: "Flow" | "Tool"): Token | undefined => {
  if (!isName(tokens[at], what) || !isMark(tokens[at + 1], ".") || !isName(tokens[at + 2], "make"))
    return undefined
  const name = tokens[at + 4]
  return isMark(tokens[at + 3], "(") && name?.kind === "string" ? name : undefined
}

const flowAt = (tokens: ReadonlyArray<Token>, at: number): FlowDefinition | undefined => {
  // Flow . make ( "id" , {
  const id = nameMade(tokens, at, "Flow")
  if (id === undefined || !isMark(tokens[at + 6], "{")) return undefined
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

/** The first token of the body of the first function between two positions: an arrow's, a `function`'s or a method's. */
const bodyBetween = (tokens: ReadonlyArray<Token>, from: number, end: number): Token | undefined => {
  for (let at = from; at < end; at++) {
    if (isMark(tokens[at], "=") && isMark(tokens[at + 1], ">"))
      return tokens[isMark(tokens[at + 2], "{") ? at + 3 : at + 2]
    const isMethod = at === from && isMark(tokens[at + 1], "(")
    if (!isMethod && !isName(tokens[at], "function")) continue
    let next = at
    while (next < end && !isMark(tokens[next], "(")) next++
    next = closeOf(tokens, next)
    // The type of what it gives may be an object type.
    if (isMark(tokens[next], ":") && isMark(tokens[next + 1], "{")) next = closeOf(tokens, next + 1)
    while (next < end && !isMark(tokens[next], "{")) next++
    return next < end ? tokens[next + 1] : undefined
  }
  return undefined
}

const bodyAt = (text: string, first: Token): Body => {
  const lineStart = text.lastIndexOf("\n", first.at - 1) + 1
  return text.slice(lineStart, first.at).trim() === ""
    ? { line: first.line }
    : { line: first.line, column: first.at - lineStart + 1 }
}

const handlersAt = (
  text: string,
  tokens: ReadonlyArray<Token>,
  at: number
): HandlersDefinition | undefined => {
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
    handlers: propertiesOf(tokens, object).map((part) => {
      const first = bodyBetween(tokens, part.value, part.close)
      return { ...plainPart(part), ...(first === undefined ? {} : { body: bodyAt(text, first) }) }
    })
  }
}

/** What a file defines. */
export const definitionsOf = (text: string): Definitions => {
  if (!/\b(?:Flow|Tool)\.make|\.toLayer\(/.test(text)) return none
  const tokens = tokensOf(text)
  const flows: Array<FlowDefinition> = []
  const handlers: Array<HandlersDefinition> = []
  const tools: Array<string> = []
  for (let at = 0; at < tokens.length; at++) {
    const flow = flowAt(tokens, at)
    if (flow !== undefined) flows.push(flow)
    const found = handlersAt(text, tokens, at)
    if (found !== undefined) handlers.push(found)
    const tool = nameMade(tokens, at, "Tool")
    if (tool !== undefined) tools.push(tool.text)
  }
  return { flows, handlers, tools }
}
