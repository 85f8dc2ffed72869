/** The history debugger in the editor's own debugging. */
import assert from "node:assert/strict"
import * as vscode from "vscode"
import { eventually, root, store, textOf } from "./reading.ts"

interface Frame {
  readonly id: number
  readonly name: string
  readonly line: number
}

/** Where the session stands, once it has moved from where it stood. */
const standing = async (session: vscode.DebugSession, from: string | undefined): Promise<Frame> =>
  eventually(async () => {
    const { stackFrames } = await session.customRequest("stackTrace", { threadId: 1 })
    const [frame] = stackFrames as ReadonlyArray<Frame>
    return frame !== undefined && frame.name !== from ? frame : undefined
  }, "a stop")

suite("debugging", () => {
  teardown(async () => {
    await vscode.debug.stopDebugging()
    vscode.debug.removeBreakpoints(vscode.debug.breakpoints)
  })

  const launch = async (run: string): Promise<vscode.DebugSession> => {
    await textOf(run, "row")
    // Not the active session: that may still be the one before, which is ending.
    let session: vscode.DebugSession | undefined
    const listening = vscode.debug.onDidStartDebugSession((begun) => (session = begun))
    const started = await vscode.debug.startDebugging(vscode.workspace.workspaceFolders![0], {
      type: "waymark",
      request: "launch",
      name: run,
      store: store(),
      run
    })
    assert.ok(started)
    const found = await eventually(() => session, "a session")
    listening.dispose()
    return found
  }

  test("steps back from a failure, shows the state, and runs to a breakpoint in the handler", async () => {
    const session = await launch("order-2")
    const failed = await standing(session, undefined)
    assert.equal(failed.name, "pay: the run failed")
    const { scopes } = await session.customRequest("scopes", { frameId: failed.id })
    const { variables } = await session.customRequest("variables", {
      variablesReference: scopes[0].variablesReference
    })
    assert.equal(variables.find(({ name }: { name: string }) => name === "card").value, '"0000-1111"')
    await vscode.commands.executeCommand("workbench.action.debug.stepBack")
    assert.equal((await standing(session, failed.name)).name, "approve: completed")

    const file = vscode.Uri.file(`${root()}/flows/order.ts`)
    const text = (await vscode.workspace.openTextDocument(file)).getText()
    const line = text.slice(0, text.indexOf("const total = state.prices")).split("\n").length - 1
    vscode.debug.addBreakpoints([
      new vscode.SourceBreakpoint(new vscode.Location(file, new vscode.Position(line, 0)))
    ])
    await eventually(async () => {
      const [breakpoint] = vscode.debug.breakpoints
      const known = await session.getDebugProtocolBreakpoint(breakpoint!)
      return known !== undefined && "verified" in known && known.verified === true ? true : undefined
    }, "a verified breakpoint")
    await vscode.commands.executeCommand("workbench.action.debug.reverseContinue")
    assert.equal((await standing(session, "approve: completed")).name, "sum: completed")
  })

  test("executes nothing: an expression is looked up, or refused", async () => {
    const session = await launch("order-1")
    await standing(session, undefined)
    const { result } = await session.customRequest("evaluate", { expression: "state.total" })
    assert.equal(result, "8610")
    await assert.rejects(
      Promise.resolve(session.customRequest("evaluate", { expression: "process.exit(3)" })),
      /executes nothing/
    )
  })
})
