/**
 * What a tree is made of, for whoever draws it: the models of trees know nothing of the editor.
 */
import type * as Effect from "effect/Effect"
import type { Icon } from "./Status.ts"

/**
 * How one item of a tree looks. All texts are plain: nothing in them is a link or markup.
 *
 * - `id`: the same item has the same id whenever it is asked for
 * - `context`: what the menus of the item depend on
 * - `command`: what happens when it is chosen; it is given the item's node
 */
export interface Item {
  readonly id: string
  readonly label: string
  readonly description?: string
  readonly tooltip?: string
  readonly icon?: Icon
  readonly expand: "never" | "collapsed" | "expanded"
  readonly context?: string
  readonly command?: { readonly id: string; readonly title: string }
  /** What a screen reader says, where the label and the description do not say it all. */
  readonly spoken?: string
}

/** Parts of a tree, on demand. */
export interface Model<Node> {
  readonly children: (node: Node | undefined) => Effect.Effect<ReadonlyArray<Node>>
  readonly item: (node: Node) => Item
  readonly parent: (node: Node) => Node | undefined
}

/** So many siblings are shown before "Load more": editors do not page their trees. */
export const pageSize = 200

/** How many items of each list are shown: a page, and one more each time somebody asks for more. */
export class Shown {
  readonly #shown = new Map<string, number>()
  of(list: string): number {
    return this.#shown.get(list) ?? pageSize
  }
  more(list: string): void {
    this.#shown.set(list, this.of(list) + pageSize)
  }
  reset(): void {
    this.#shown.clear()
  }
}
