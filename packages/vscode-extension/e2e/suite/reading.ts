/** What the extension shows, through the API of the editor. */
import assert from "node:assert/strict"
import { join } from "node:path"
import * as vscode from "vscode"

const extension = vscode.extensions.all.find(({ packageJSON }) => packageJSON.name === "waymark-vscode")

/** Until something is there: the extension finds stores and reads them by itself. */
export const eventually = async <A>(
  read: () => A | undefined | Promise<A | undefined>,
  what: string
): Promise<A> => {
  for (let i = 0; i < 400; i++) {
    const value = await read()
    if (value !== undefined) return value
    await new Promise((done) => setTimeout(done, 50))
  }
  throw new Error(`${what} did not happen`)
}

export const root = (): string => vscode.workspace.workspaceFolders![0]!.uri.fsPath
export const store = (): string => join(root(), ".waymark")

const documentOf = (run: string, what: string, seq?: number): vscode.Uri =>
  vscode.Uri.from({
    scheme: "waymark",
    path: `/${run}.${what}`,
    query: JSON.stringify({ store: store(), run, what, ...(seq === undefined ? {} : { seq }) })
  })

/** The text of a document, once the store is open. */
export const textOf = (run: string, what: string, seq?: number): Promise<string> =>
  eventually(async () => {
    const document = await vscode.workspace.openTextDocument(documentOf(run, what, seq))
    const text = document.getText()
    return text.startsWith("This cannot be shown: the store") ? undefined : text
  }, `document ${what} of ${run}`)

suite("reading", () => {
  suiteSetup(async () => {
    assert.ok(extension, "the extension is installed")
    await extension.activate()
    await eventually(async () => {
      const text = await textOf("order-1", "row")
      return text.startsWith("{") ? text : undefined
    }, "the store")
  })

  test("contributes what it registers: every command exists", async () => {
    const known = new Set(await vscode.commands.getCommands(true))
    const commands: ReadonlyArray<{ command: string }> = extension!.packageJSON.contributes.commands
    assert.deepEqual(
      commands.map(({ command }) => command).filter((command) => !known.has(command)),
      []
    )
  })

  test("shows states, values and failures as read-only documents", async () => {
    assert.equal(JSON.parse(await textOf("order-1", "output")).receipt, "paid 8610 with 4711")
    assert.equal(JSON.parse(await textOf("order-2", "state")).card, "0000-1111")
    const error = await textOf("order-2", "error")
    assert.match(error, /^Run order-2\n\nThe run failed\nnode pay/)
    assert.match(error, /card 0000-1111 was declined: it expired in 2019/)
  })

  test("compares a checkpoint with the one before in the editor's own diff", async () => {
    await vscode.commands.executeCommand("waymark.compareWithPrevious", { store: store(), run: "order-1" })
    const input = await eventually(() => {
      const { input: shown } = vscode.window.tabGroups.activeTabGroup.activeTab ?? {}
      return shown instanceof vscode.TabInputTextDiff ? shown : undefined
    }, "a diff")
    assert.equal(input.original.scheme, "waymark")
    const left = JSON.parse(input.original.query)
    const right = JSON.parse(input.modified.query)
    assert.ok(left.seq < right.seq)
  })

  test("leads from a node's definition to its handler, and back", async () => {
    const file = vscode.Uri.file(`${root()}/flows/order.ts`)
    const text = (await vscode.workspace.openTextDocument(file)).getText()
    const lineOf = (part: string) => text.slice(0, text.indexOf(part)).split("\n").length - 1
    const lenses = await eventually(async () => {
      const found = await vscode.commands.executeCommand<ReadonlyArray<vscode.CodeLens>>(
        "vscode.executeCodeLensProvider",
        file
      )
      return found.some(({ command }) => command?.title === "3 runs") ? found : undefined
    }, "code lenses with the runs")
    const titles = lenses.map(({ command }) => command?.title)
    assert.ok(titles.includes("Go to handler"))
    assert.ok(titles.some((title) => /^last (waiting|failed|completed) /.test(title ?? "")))
    await vscode.commands.executeCommand("waymark.goToHandler", { flow: "order", node: "pay" })
    const at = () => vscode.window.activeTextEditor?.selection.active.line
    assert.equal(at(), lineOf('pay: Effect.fn("pay")'))
    await vscode.commands.executeCommand("waymark.goToDefinition", { flow: "order", node: "pay" })
    assert.equal(at(), lineOf("pay: Node.make("))
  })

  test("says what is wrong instead of showing nothing", async () => {
    assert.match(await textOf("missing", "state"), /^This cannot be shown: there is no run "missing"/)
    assert.match(await textOf("order-1", "state", 9999), /^This cannot be shown: /)
  })
})
