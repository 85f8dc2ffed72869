/**
 * What a journal is to hold of the values of a program.
 */
import * as Exit from "effect/Exit"
import type * as Schema from "effect/Schema"
import { makeCodec } from "../definition/codec.ts"
import { define } from "../record.ts"

/**
 * So deep may a value be nested. All that handles it later goes down to its ground, however much of the stack is taken by
 * then; and so do the tools with which people look into journals.
 */
const maxDepth = 500

/** The same JSON, which shares nothing with what was given: a program may hold on to that, and change it. */
export const copyOf = <A>(value: A, room = maxDepth): A => {
  if (typeof value !== "object" || value === null) return value
  if (room === 0) throw new Error(`it is nested too deeply: in more than ${maxDepth} levels`)
  if (Array.isArray(value)) return value.map((item) => copyOf(item, room - 1)) as A
  const copy = {}
  for (const key of Object.keys(value)) define(copy, key, copyOf((value as any)[key], room - 1))
  return copy as A
}

/** A value as it is stored, once and for all: a schema may leave it as it is (`Schema.Json` does), the journal does not. */
export const encode = <S extends Schema.Constraint>(
  schema: S,
  value: S["Type"]
): Exit.Exit<Schema.Json, Error> => {
  try {
    return Exit.map(makeCodec(schema).encode(value), (json) => copyOf(json))
  } catch (error) {
    return Exit.fail(error as Error)
  }
}
