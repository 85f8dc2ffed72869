/** Whether it is an array, or an object that no class has made: others may keep something of their own. */
const isData = (value: unknown): value is object => {
  if (typeof value !== "object" || value === null) return false
  if (Array.isArray(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/**
 * The same value, with the objects and arrays in it made read-only: whoever is given what others are given, too, must not
 * change it in place. What is read-only already is not looked into.
 */
export const frozen = <A>(value: A): A => {
  if (!isData(value) || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const part of Array.isArray(value) ? value : Object.values(value)) frozen(part)
  return value
}
