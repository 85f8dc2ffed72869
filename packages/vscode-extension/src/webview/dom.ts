/** Elements with texts, attributes and listeners. A text is a text: nothing here takes markup. */

type Attributes = { readonly [name: string]: string | number | boolean }

const fill = <E extends Element>(
  element: E,
  attributes: Attributes,
  children: ReadonlyArray<Node | string>
): E => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false) element.removeAttribute(name)
    else element.setAttribute(name, value === true ? "" : String(value))
  }
  element.append(...children)
  return element
}

/** An HTML element. */
export const html = <K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: ReadonlyArray<Node | string>
): HTMLElementTagNameMap[K] => fill(document.createElement(tag), attributes, children)

/** An SVG element. */
export const svg = <K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: ReadonlyArray<Node | string>
): SVGElementTagNameMap[K] =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children)

/** A button that says what it does, also to those who do not see it. */
export const button = (text: string, label: string, act: () => void): HTMLButtonElement => {
  const made = html("button", { type: "button", "aria-label": label, title: label }, text)
  made.addEventListener("click", act)
  return made
}

/** A sign for each status, beside its word and its colour. */
const signs: { readonly [status: string]: string } = {
  unvisited: "",
  running: "●",
  open: "●",
  waiting: "◷",
  completed: "✓",
  failed: "✗",
  tolerated: "!",
  skipped: "»",
  cancelled: "⊘",
  retried: "↻"
}
export const signOf = (status: string): string => signs[status] ?? "?"
