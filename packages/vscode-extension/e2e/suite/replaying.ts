/** Replays in the user's own code, under the Node debugger. */
import assert from "node:assert/strict"
import { join } from "node:path"
import * as vscode from "vscode"
import { eventually, root, store, textOf } from "./reading.ts"

interface Stop {
  readonly session: vscode.DebugSession
  readonly threadId: number
}

suite("replaying", () => {
  const subscriptions: Array<vscode.Disposable> = []
  teardown(async () => {
    await vscode.debug.stopDebugging()
    vscode.debug.removeBreakpoints(vscode.debug.breakpoints)
    for (const subscription of subscriptions.splice(0)) subscription.dispose()
  })

  const launch = (attributes: object) =>
    vscode.debug.startDebugging(vscode.workspace.workspaceFolders![0], {
      type: "waymark",
      request: "launch",
      name: "replaying",
      mode: "replay",
      store: store(),
      ...attributes
    })

  test("stops in the handler of the node that failed, and takes its breakpoint away again", async () => {
    await textOf("order-2", "row")
    let stop: Stop | undefined
    let ended = false
    let printed = ""
    subscriptions.push(
      // The Node debugger has a session for the process beside the one that was launched.
      vscode.debug.registerDebugAdapterTrackerFactory("*", {
        createDebugAdapterTracker: (session) => ({
          onDidSendMessage: ({ body, event }) => {
            if (event === "stopped") stop = { session, threadId: body.threadId }
            if (event === "output") printed += body.output
          }
        })
      }),
      vscode.debug.onDidTerminateDebugSession(({ parentSession }) => (ended ||= parentSession === undefined))
    )
    assert.ok(await launch({ run: "order-2", stopAtNode: true }))
    const { session, threadId } = await eventually(() => stop, "a stop")
    const { stackFrames } = await session.customRequest("stackTrace", { threadId })
    const [{ id, line, source }] = stackFrames
    assert.match(source.path, /[\\/]flows[\\/]order\.ts$/)
    const file = vscode.Uri.file(join(root(), "flows", "order.ts"))
    const { text } = (await vscode.workspace.openTextDocument(file)).lineAt(line - 1)
    assert.match(text, /const receipt = yield\* Pay\.call/)
    const { result } = await session.customRequest("evaluate", {
      expression: "state.total",
      frameId: id,
      context: "watch"
    })
    assert.equal(result, "8610")
    assert.equal(vscode.debug.breakpoints.length, 1)
    await session.customRequest("continue", { threadId })
    await eventually(() => (ended ? true : undefined), "the end")
    assert.match(printed, /1 visit replayed: as recorded/)
    await eventually(() => (vscode.debug.breakpoints.length === 0 ? true : undefined), "no breakpoint")
  })

  test("is refused where there is no such run, or the configuration is none", async () => {
    assert.equal(await launch({ run: "missing" }), false)
    assert.equal(await launch({ run: "order-2", checkpoint: "first" }), false)
    assert.equal(await launch({ run: "order-2", mode: "rewind" }), false)
  })
})
