/**
 * The processes of a swarm, as the one sees them that commands them.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import type { Request } from "./member.ts"

export interface Member {
  readonly pid: number
  readonly state: "starting" | "ready" | "stopped" | "gone"
  /** `undefined` answers that the process is gone, and nobody knows whether it was done. */
  readonly ask: (what: Request[1], n: number, answered: (answer: string | undefined) => void) => void
  /** SIGKILL. */
  readonly kill: () => void
  /** SIGSTOP. */
  readonly stop: () => void
  /** SIGCONT. */
  readonly proceed: () => void
}

const script = fileURLToPath(new URL("member.ts", import.meta.url))

export interface Options {
  readonly directory: string
  readonly witness: string
  readonly leaseTtl: number
}

/** Starts a process; it is killed with the scope. */
export const spawn = (options: Options): Effect.Effect<Member, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const child = ChildProcess.spawn(
          process.execPath,
          [
            "--conditions=@waymark/source",
            script,
            options.directory,
            options.witness,
            String(options.leaseTtl)
          ],
          { stdio: ["pipe", "pipe", "inherit"] }
        )
        const waiting = new Map<number, (answer: string | undefined) => void>()
        let state: Member["state"] = "starting"
        let requests = 0
        const end = (): void => {
          state = "gone"
          const all = [...waiting.values()]
          waiting.clear()
          for (const answered of all) answered(undefined)
        }
        const ended = new Promise<void>((resolve) =>
          child.once("close", () => {
            end()
            resolve()
          })
        )
        // What is written to a process that is gone is lost; its end says so.
        child.stdin.on("error", () => {})
        createInterface({ input: child.stdout }).on("line", (line) => {
          const [number, answer] = JSON.parse(line) as readonly [number, string]
          if (number === 0) {
            if (state === "starting") state = "ready"
            return
          }
          const answered = waiting.get(number)
          waiting.delete(number)
          answered?.(answer)
        })
        const signal = (name: NodeJS.Signals, from: Member["state"], to: Member["state"]): void => {
          if (state !== from) return
          child.kill(name)
          state = to
        }
        const member: Member = {
          pid: child.pid!,
          get state() {
            return state
          },
          ask: (what, n, answered) => {
            if (state === "gone") return answered(undefined)
            const number = ++requests
            waiting.set(number, answered)
            child.stdin.write(`${JSON.stringify([number, what, n] satisfies Request)}\n`)
          },
          kill: () => void child.kill("SIGKILL"),
          stop: () => signal("SIGSTOP", "ready", "stopped"),
          proceed: () => signal("SIGCONT", "stopped", "ready")
        }
        return { member, ended }
      }),
      ({ ended, member }) =>
        Effect.promise(() => {
          member.kill()
          return ended
        })
    ),
    ({ member }) => member
  )
