/** What is edited and asked, through the API of the editor. Dialogs are not shown here: the scenarios have them. */
import assert from "node:assert/strict"
import * as vscode from "vscode"
import { eventually, store, textOf } from "./reading.ts"

suite("acting", () => {
  /** The document in which the state of a parcel is edited before it is delivered. */
  const draft = async (): Promise<vscode.TextDocument> => {
    await textOf("parcel-1", "row")
    const run = "parcel-1"
    await vscode.commands.executeCommand("waymark.fork", { store: store(), run, seq: 1 })
    const editor = await eventually(
      () =>
        vscode.window.activeTextEditor?.document.uri.scheme === "waymark-draft"
          ? vscode.window.activeTextEditor
          : undefined,
      "a draft"
    )
    return editor.document
  }
  const write = async (document: vscode.TextDocument, text: string): Promise<void> => {
    const edit = new vscode.WorkspaceEdit()
    const all = new vscode.Range(document.positionAt(0), document.positionAt(document.getText().length))
    edit.replace(document.uri, all, text)
    assert.ok(await vscode.workspace.applyEdit(edit))
  }

  test("the state of a checkpoint is edited with errors and completions from the flow's schemas", async () => {
    const document = await draft()
    assert.equal(document.languageId, "json")
    const original = document.getText()
    assert.deepEqual(Object.keys(JSON.parse(original)), ["$schema", "kind"])

    await write(document, original.replace('"box"', '"barrel"'))
    const problem = await eventually(
      () =>
        vscode.languages.getDiagnostics(document.uri).find(({ message }) => message.includes("Valid values")),
      "an error"
    )
    assert.match(problem.message, /"letter", "box"/)
    assert.equal(document.getText(problem.range), '"barrel"')

    const value = document.positionAt(document.getText().indexOf('"barrel"') + 1)
    const values = await eventually(async () => {
      const { items } = await vscode.commands.executeCommand<vscode.CompletionList>(
        "vscode.executeCompletionItemProvider",
        document.uri,
        value
      )
      const labels = items.map(({ label }) => (typeof label === "string" ? label : label.label))
      return labels.includes('"letter"') ? labels : undefined
    }, "completions of a value")
    assert.ok(values.includes('"box"'))

    await write(document, original.replace('"box"', '"box",\n  ""'))
    const name = document.positionAt(document.getText().indexOf('""') + 1)
    await eventually(async () => {
      const { items } = await vscode.commands.executeCommand<vscode.CompletionList>(
        "vscode.executeCompletionItemProvider",
        document.uri,
        name
      )
      return items.find(({ label }) => label === "left")
    }, "completions of the channels")
    await write(document, original)
  })

  test("what was edited stands beside what is recorded, which cannot be edited", async () => {
    const document = await draft()
    await vscode.commands.executeCommand("waymark.compareDraft", { store: store(), run: "parcel-1", seq: 1 })
    const tab = await eventually(() => {
      const { input } = vscode.window.tabGroups.activeTabGroup.activeTab ?? {}
      return input instanceof vscode.TabInputTextDiff ? input : undefined
    }, "a diff")
    assert.equal(tab.modified.toString(), document.uri.toString())
    const recorded = await vscode.workspace.fs.stat(tab.original)
    assert.equal(recorded.permissions, vscode.FilePermission.Readonly)
    await assert.rejects(Promise.resolve(vscode.workspace.fs.writeFile(tab.original, new Uint8Array())))
  })
})
