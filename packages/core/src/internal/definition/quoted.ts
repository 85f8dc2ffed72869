/** A list of names, for messages. */
export const quoted = (list: ReadonlyArray<string>): string =>
  list.map((item) => `"${item}"`).join(", ") || "none"

/** The first few of a list of names that may be long, for messages. */
export const fewOf = (list: ReadonlyArray<string>): string =>
  `${quoted(list.slice(0, 5))}${list.length > 5 ? ` and ${list.length - 5} others` : ""}`
