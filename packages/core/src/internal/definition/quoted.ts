/** A list of names, for messages. */
export const quoted = (list: ReadonlyArray<string>): string =>
  list.map((item) => `"${item}"`).join(", ") || "none"
