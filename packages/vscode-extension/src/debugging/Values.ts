/**
 * Values as the variables view wants them: in parts, on demand. References count until the next stop.
 */
import type { DebugProtocol } from "@vscode/debugprotocol"
import { beginning, line } from "../reading/Text.ts"

type Variable = DebugProtocol.Variable

/** Something with parts: named ones, or those of a list. */
type Container = { readonly [name: string]: unknown } | ReadonlyArray<unknown>

const isContainer = (value: unknown): value is Container => typeof value === "object" && value !== null

/** Longer lists are shown in pieces. */
const pagedFrom = 100
const mostText = 20_000

const preview = (value: Container): string => {
  if (Array.isArray(value)) return `Array(${value.length})`
  const names = Object.keys(value)
  const some = names.slice(0, 4).map((name) => line(name, 40))
  return `{${some.join(", ")}${names.length > some.length ? ", …" : ""}}`
}

/** A value on one line: a text in quotes, with its control characters escaped. */
export const shown = (value: unknown): string => {
  if (isContainer(value)) return preview(value)
  const text = JSON.stringify(value) ?? "undefined"
  return text.length <= mostText ? text : `${beginning(text, mostText)}…`
}

export interface Values {
  /** Forgets all references: a stop makes new ones. */
  readonly reset: () => void
  /** A reference to the parts of a value; 0 if it has none. */
  readonly refer: (value: unknown, path: string) => number
  readonly describe: (name: string, value: unknown, path: string) => Variable
  readonly parts: (
    reference: number,
    range: { readonly start?: number; readonly count?: number; readonly filter?: string }
  ) => ReadonlyArray<Variable>
  /** What a reference stands for. */
  readonly pathOf: (reference: number) => string | undefined
}

export const make = (): Values => {
  const held = new Map<number, { readonly value: Container; readonly path: string }>()
  let next = 1

  const refer: Values["refer"] = (value, path) => {
    if (!isContainer(value) || Object.keys(value).length === 0) return 0
    held.set(next, { value, path })
    return next++
  }

  const describe: Values["describe"] = (name, value, path) => {
    const variable: Variable = {
      name: line(name, 200),
      value: shown(value),
      variablesReference: refer(value, path),
      evaluateName: path,
      type: Array.isArray(value) ? "array" : value === null ? "null" : typeof value,
      presentationHint: { attributes: ["readOnly"] }
    }
    if (Array.isArray(value) && value.length > pagedFrom) variable.indexedVariables = value.length
    return variable
  }

  return {
    reset: () => held.clear(),
    refer,
    describe,
    pathOf: (reference) => held.get(reference)?.path,
    parts: (reference, { count, filter, start = 0 }) => {
      const container = held.get(reference)
      if (container === undefined) return []
      const { path, value } = container
      if (Array.isArray(value)) {
        if (filter === "named") return []
        const end = count === undefined || count === 0 ? value.length : start + count
        return value
          .slice(start, end)
          .map((item, i) => describe(`[${start + i}]`, item, `${path}[${start + i}]`))
      }
      const entries = Object.entries(value)
      return entries.map(([name, item]) =>
        describe(
          name,
          item,
          path === ""
            ? name
            : /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(name)
              ? `${path}.${name}`
              : `${path}[${JSON.stringify(name)}]`
        )
      )
    }
  }
}

/** The keys of an expression such as `state.items[0]["a b"]`; `undefined` if it is something else. */
export const keysOf = (expression: string): ReadonlyArray<string> | undefined => {
  const keys: Array<string> = []
  const part = /\s*(?:\.?([\p{L}_$][\p{L}\p{N}_$-]*)|\[\s*(\d+)\s*\]|\[\s*("(?:[^"\\]|\\.)*")\s*\])/uy
  while (part.lastIndex < expression.trimEnd().length) {
    const match = part.exec(expression)
    if (match === null) return undefined
    const [, name, index, quoted] = match
    try {
      keys.push(name ?? index ?? (JSON.parse(quoted!) as string))
    } catch {
      return undefined
    }
  }
  return keys.length === 0 ? undefined : keys
}

/** What stands at a path of keys; `undefined` if nothing does. */
export const lookUp = (value: unknown, keys: ReadonlyArray<string>): unknown =>
  keys.reduce<unknown>(
    (at, key) =>
      isContainer(at) && Object.hasOwn(at, key) ? (at as { [key: string]: unknown })[key] : undefined,
    value
  )
