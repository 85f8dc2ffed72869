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
    const view = yield* Effect.acquireRelease(
      Effect.sync(() =>
        vscode.window.createTreeView<Node>(id, {
          showCollapseAll: true,
          treeDataProvider: {
            onDidChangeTreeData: changed.event,
            getChildren: (node) =>
              Effect.runPromise(Effect.map(model.children(node), (children) => children.map(same))),
            getTreeItem: (node) => toTreeItem(model.item(node), node),
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
      refresh: (node) =>
        Effect.sync(() => {
          if (node === undefined) nodes.clear()
          changed.fire(node === undefined ? undefined : same(node))
        }),
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
      vscode.commands.registerCommand(id, (...args: ReadonlyArray<unknown>) => run(handler(...args)))
    ),
  execute: (command, ...args) => Effect.asVoid(ask(() => vscode.commands.executeCommand(command, ...args))),
  setContext: (key, value) =>
    Effect.asVoid(ask(() => vscode.commands.executeCommand("setContext", key, value)))
})
