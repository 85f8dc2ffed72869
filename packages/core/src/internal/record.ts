/**
 * Plain objects as maps whose keys anyone may have chosen: `__proto__` and `constructor` are keys like all others.
 */

export type Mutable<A> = { -readonly [K in keyof A]: A[K] }

export const get = <A>(record: { readonly [key: string]: A }, key: string): A | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined

export const without = <A>(
  record: { readonly [key: string]: A },
  key: string
): { readonly [key: string]: A } => {
  const copy = { ...record }
  delete copy[key]
  return copy
}

/** Assignment that is safe for a key such as `__proto__`. */
export const define = <A>(object: { [key: string]: A }, key: string, value: A): void => {
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
  } else object[key] = value
}
