/** Trees and commands. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as vscode from "vscode"
import type { Editor, TreeHandle } from "../Editor.ts"
import type { Icon } from "../reading/Status.ts"
import type { Item, Model } from "../reading/Tree.ts"
import { ask, disposable } from "./bridge.ts"

export const themeIcon = ({ color, id }: Icon): vscode.ThemeIcon =>
  new vscode.ThemeIcon(id, color === undefined ? undefined : new vscode.ThemeColor(color))

const states = {
  never: vscode.TreeItemCollapsibleState.None,
  collapsed: vscode.TreeItemCollapsibleState.Collapsed,
  expanded: vscode.TreeItemCollapsibleState.Expanded
}

const toTreeItem = (item: Item, node: unknown): vscode.TreeItem => {
  // A label and a plain tooltip are shown as they are: no markup, no link.
  const tree = new vscode.TreeItem(item.label, states[item.expand])
  tree.id = item.id
  if (item.description !== undefined) tree.description = item.description
  tree.tooltip = item.tooltip ?? item.label
  if (item.icon !== undefined) tree.iconPath = themeIcon(item.icon)
  if (item.context !== undefined) tree.contextValue = item.context
  if (item.command !== undefined)
    tree.command = { command: item.command.id, title: item.command.title, arguments: [node] }
  tree.accessibilityInformation = {
    label: item.spoken ?? `${item.label} ${item.description ?? ""}`.trim()
  }
  return tree
}

export const tree = <Node extends object>(
  id: string,
  model: Model<Node>
): Effect.Effect<TreeHandle<Node>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const changed = new vscode.EventEmitter<Node | undefined>()
    yield* disposable(() => changed)
    // A node is found again by its id: the editor wants the same object for the same item.
    const nodes = new Map<string, Node>()
    const same = (node: Node): Node => {
      const key = model.item(node).id
      const known = nodes.get(key)
      if (known === undefined) {
        nodes.set(key, node)
        return node
      }
      return Object.assign(known, node)
    }
    /** What the editor was given: the ids under each node that was opened (`""` is the top), and how items looked. */
    const drawn = new Map<string, ReadonlyArray<string>>()
    const looks = new Map<string, string>()
    const keyOf = (node: Node | undefined): string => (node === undefined ? "" : model.item(node).id)
    const idsOf = (children: ReadonlyArray<Node>) => children.map((child) => model.item(child).id)
    const isSame = (a: ReadonlyArray<string>, b: ReadonlyArray<string>) =>
      a.length === b.length && a.every((id, i) => id === b[i])

    const childrenOf = (node: Node | undefined): Effect.Effect<Array<Node>> =>
      Effect.map(model.children(node), (children) => {
        drawn.set(keyOf(node), idsOf(children))
        return children.map(same)
      })
    const fire = (node: Node | undefined) =>
      Effect.sync(() => {
        // The editor asks again for what is open under it.
        if (node === undefined) for (const map of [nodes, drawn, looks]) map.clear()
        else drawn.delete(keyOf(node))
        changed.fire(node)
      })
    /**
     * Draws what has changed under a node, and nothing else: while the editor draws a part of a tree it knows none of the
     * nodes in it, and a command that somebody chooses just then is given none.
     */
    const redraw = (node: Node | undefined): Effect.Effect<void> =>
      Effect.gen(function* () {
        const before = drawn.get(keyOf(node))
        if (before === undefined) return yield* node === undefined ? fire(undefined) : Effect.void
        const children = yield* model.children(node)
        if (!isSame(before, idsOf(children))) return yield* fire(node)
        for (const child of children.map(same)) {
          const item = model.item(child)
          if (looks.get(item.id) === JSON.stringify(item)) yield* redraw(child)
          else yield* fire(child)
        }
      })

    const view = yield* Effect.acquireRelease(
      Effect.sync(() =>
        vscode.window.createTreeView<Node>(id, {
          showCollapseAll: true,
          treeDataProvider: {
            onDidChangeTreeData: changed.event,
            getChildren: (node) => Effect.runPromise(childrenOf(node)),
            getTreeItem: (node) => {
              const item = model.item(node)
              looks.set(item.id, JSON.stringify(item))
              return toTreeItem(item, node)
            },
            getParent: (node) => {
              const parent = model.parent(node)
              return parent === undefined ? undefined : same(parent)
            }
          }
        })
      ),
      (made) => Effect.sync(() => void made.dispose())
    )
    return {
      refresh: redraw(undefined),
      setMessage: (message) =>
        Effect.sync(() => {
          // The editor takes no `undefined` for "none" through an exact optional type.
          Object.assign(view, { message })
        }),
      setDescription: (description) => Effect.sync(() => void Object.assign(view, { description })),
      setBadge: (value, tooltip) =>
        Effect.sync(() => void (view.badge = value === 0 ? undefined : { value, tooltip })),
      // Revealing would bring the view to the front, and take away what somebody looks at.
      reveal: (node) =>
        Effect.suspend(() =>
          view.visible
            ? Effect.ignore(
                Effect.tryPromise(() =>
                  Promise.resolve(view.reveal(same(node), { select: true, focus: false }))
                )
              )
            : Effect.void
        )
    }
  })

export const commands = (
  run: (effect: Effect.Effect<unknown, unknown>) => Promise<unknown>
): Pick<Editor["Service"], "command" | "execute" | "setContext"> => ({
  command: (id, handler) =>
    disposable(() =>
      vscode.commands.registerCommand(id, (...args: ReadonlyArray<unknown>) => {
        // From the menu of an item come the item and the selection. An item that was drawn again just then is lost: what
        // is meant is not to be guessed.
        if (args.length > 1 && (args[0] === undefined || args[0] === null)) {
          void vscode.window.showInformationMessage("The list has just changed: choose it there once more.")
          return undefined
        }
        return run(handler(...args))
      })
    ),
  execute: (command, ...args) => Effect.asVoid(ask(() => vscode.commands.executeCommand(command, ...args))),
  setContext: (key, value) =>
    Effect.asVoid(ask(() => vscode.commands.executeCommand("setContext", key, value)))
})
