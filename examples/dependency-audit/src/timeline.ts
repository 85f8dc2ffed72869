/**
 * The journal of a run as a few lines for a person.
 */
import type { Event } from "@waymark/core"

interface Row {
  readonly from: number
  to: number
  readonly node: string
  readonly first: number
  last: number
  calls: number
}

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`

const seconds = (millis: number): string => `${(millis / 1000).toFixed(3).padStart(8)} s`

/** Consecutive visits of one node make one line. */
export const timeline = (events: ReadonlyArray<Event.Event>): ReadonlyArray<string> => {
  const start = events[0]!.time
  const lines: Array<string> = []
  let row: Row | undefined
  let calls = 0
  let open = new Set<string>()
  const flush = () => {
    if (row === undefined) return
    const visits = row.first === row.last ? `visit ${row.first}` : `visits ${row.first} to ${row.last}`
    lines.push(
      `${seconds(row.from - start)}  ${row.node.padEnd(8)} ${visits.padEnd(16)} ${counted(row.calls, "call")}, ${row.to - row.from} ms`
    )
    row = undefined
  }
  for (const event of events) {
    switch (event.kind) {
      case "created":
        lines.push(`${seconds(0)}  created  run ${event.run}`)
        break
      case "callStarted":
        calls += 1
        open.add(event.call)
        break
      case "callCompleted":
      case "callFailed":
        open.delete(event.call)
        break
      case "claimed":
        flush()
        lines.push(
          `${seconds(event.time - start)}  ✂ its process was gone, with ${counted(open.size, "call")} under way; ` +
            `${event.owner} took the run over (epoch ${event.epoch})`
        )
        break
      case "visited":
        if (row?.node === event.node) {
          row.last = event.visit
          row.to = event.time
          row.calls += calls
        } else {
          flush()
          row = {
            from: event.started,
            to: event.time,
            node: event.node,
            first: event.visit,
            last: event.visit,
            calls
          }
        }
        calls = 0
        open = new Set()
        break
      case "completed":
        flush()
        lines.push(`${seconds(event.time - start)}  completed ${JSON.stringify(event.output)}`)
        break
      case "failed":
        flush()
        lines.push(`${seconds(event.time - start)}  failed ${JSON.stringify(event.error)}`)
        break
    }
  }
  flush()
  return lines
}
