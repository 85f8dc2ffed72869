/**
 * The timeline of a run: what took how long, as rows. Columns of numbers, so that a run of 100,000 checkpoints takes a few
 * megabytes, and a page of rows costs what it shows.
 */
import type { Event } from "@waymark/core/Event"

export const rowKinds = ["visit", "call", "wait", "run"] as const
export type RowKind = (typeof rowKinds)[number]

export const rowStatuses = [
  "open",
  "completed",
  "failed",
  "tolerated",
  "skipped",
  "cancelled",
  "retried"
] as const
export type RowStatus = (typeof rowStatuses)[number]

/**
 * One row. Times are milliseconds since 1970: something was asked for at `queued`, begun at `started` and over at `ended`,
 * as far as that is known. `from` and `to` are the positions of its first and last event.
 */
export interface Row {
  readonly index: number
  readonly kind: RowKind
  readonly status: RowStatus
  readonly name: string
  readonly branch: string
  readonly attempt: number
  readonly from: number
  readonly to: number
  readonly queued: number
  readonly started: number | undefined
  readonly ended: number | undefined
}

/** Texts that repeat, kept once. */
class Names {
  readonly #ids = new Map<string, number>()
  readonly #texts: Array<string> = []
  idOf(text: string): number {
    let id = this.#ids.get(text)
    if (id === undefined) {
      id = this.#texts.push(text) - 1
      this.#ids.set(text, id)
    }
    return id
  }
  textOf(id: number): string {
    return this.#texts[id] ?? ""
  }
}

/** Numbers in one block of memory that grows by doubling. */
class Column {
  #data = new Float64Array(1024)
  length = 0
  push(value: number): void {
    if (this.length === this.#data.length) {
      const grown = new Float64Array(this.#data.length * 2)
      grown.set(this.#data)
      this.#data = grown
    }
    this.#data[this.length++] = value
  }
  at(index: number): number {
    return this.#data[index] ?? Number.NaN
  }
  set(index: number, value: number): void {
    this.#data[index] = value
  }
}

export interface Timeline {
  /** How many rows there are. */
  readonly size: number
  /** The position of the last event that was taken in; -1 before the first. */
  readonly seq: number
  readonly take: (event: Event) => void
  readonly rows: (from: number, count: number) => ReadonlyArray<Row>
  /** The row that an event belongs to. */
  readonly rowAt: (seq: number) => number
}

export const make = (): Timeline => {
  const names = new Names()
  const branches = new Names()
  const kinds = new Column()
  const statuses = new Column()
  const nameIds = new Column()
  const branchIds = new Column()
  const attempts = new Column()
  const firsts = new Column()
  const lasts = new Column()
  const queued = new Column()
  const started = new Column()
  const ended = new Column()
  /** By position: the row. */
  const rowsBySeq = new Column()
  /** Rows that are open: visits by branch, calls by visit and name, waits by name. */
  const visits = new Map<string, number>()
  const calls = new Map<string, number>()
  const waits = new Map<string, number>()
  let current = 0

  const add = (kind: RowKind, name: string, branch: string, event: Event, begun: number): number => {
    const index = kinds.length
    kinds.push(rowKinds.indexOf(kind))
    statuses.push(0)
    nameIds.push(names.idOf(name))
    branchIds.push(branches.idOf(branch))
    attempts.push("attempt" in event && event.attempt !== undefined ? event.attempt : 1)
    firsts.push(event.seq)
    lasts.push(event.seq)
    queued.push(event.time)
    started.push(begun)
    ended.push(Number.NaN)
    return index
  }

  const close = (row: number | undefined, status: RowStatus, event: Event): void => {
    if (row === undefined) return
    statuses.set(row, rowStatuses.indexOf(status))
    lasts.set(row, event.seq)
    ended.set(row, event.time)
    current = row
  }

  const enter = (branch: string, node: string, event: Event): number => {
    const row = add("visit", node, branch, event, Number.NaN)
    visits.set(branch, row)
    return row
  }

  /** A visit asks for something: its handler has begun. */
  const begin = (branch: string, event: Event): void => {
    const row = visits.get(branch)
    if (row !== undefined && Number.isNaN(started.at(row))) started.set(row, event.time)
  }

  /** A visit, or an attempt of one, is over. */
  const leave = (
    branch: string,
    event: Extract<Event, { readonly kind: "visited" | "visitFailed" | "attemptFailed" }>,
    status: RowStatus
  ): void => {
    const row = visits.get(branch) ?? enter(branch, event.node, event)
    visits.delete(branch)
    // Of a visit that waited the event tells when it was executed last; it began no later than what it asked for first.
    const begun = started.at(row)
    started.set(row, Number.isNaN(begun) ? event.started : Math.min(begun, event.started))
    attempts.set(row, event.attempt)
    close(row, status, event)
  }

  const dropAll = (status: RowStatus, event: Event, within = ""): void => {
    for (const open of [visits, waits]) {
      for (const [key, row] of open) {
        if (within !== "" && !branches.textOf(branchIds.at(row)).startsWith(within)) continue
        open.delete(key)
        close(row, status, event)
      }
    }
  }

  const apply = (event: Event): void => {
    const branch = "branch" in event && event.branch !== undefined ? event.branch : ""
    switch (event.kind) {
      case "created":
        current = enter("", event.start, event)
        break
      case "forked":
        current =
          event.node === undefined
            ? add("run", "forked", "", event, event.time)
            : enter("", event.node, event)
        break
      case "visited": {
        leave(branch, event, "completed")
        const { next } = event
        if ("to" in next) {
          if (next.joins !== true) enter(branch, next.to, event)
        } else if ("join" in next) {
          const prefix = branch === "" ? `${event.visit}` : `${branch}/${event.visit}`
          next.branches.forEach(({ node }, i) => void enter(`${prefix}.${i}`, node, event))
        }
        break
      }
      case "visitFailed":
        leave(branch, event, event.outcome.status === "failed" ? "failed" : event.outcome.status)
        if (event.outcome.joins !== true && event.outcome.to !== "end") enter(branch, event.outcome.to, event)
        break
      case "attemptFailed":
        leave(branch, event, "retried")
        enter(branch, event.node, event)
        break
      case "branchFailed":
        close(visits.get(branch), "failed", event)
        visits.delete(branch)
        break
      case "joined":
        dropAll("cancelled", event, `${event.fanOut}.`)
        break
      case "callStarted": {
        begin(branch, event)
        const row = add("call", event.tool, branch, event, event.time)
        calls.set(`${branch}\0${event.call}`, row)
        current = row
        break
      }
      case "callRepeated":
      case "callRetried":
        current = calls.get(`${branch}\0${event.call}`) ?? current
        break
      case "callCompleted":
      case "callFailed": {
        const key = `${branch}\0${event.call}`
        close(calls.get(key), event.kind === "callCompleted" ? "completed" : "failed", event)
        calls.delete(key)
        break
      }
      case "waitOpened": {
        begin(branch, event)
        const { on } = event
        const name = "name" in on ? on.name : on.type === "job" ? on.id : on.type === "run" ? on.run : "time"
        current = add("wait", `${on.type}: ${name}`, branch, event, event.time)
        waits.set(event.wait, current)
        break
      }
      case "waitEnded": {
        const lost = "lost" in event.outcome
        close(
          waits.get(event.wait),
          lost ? "cancelled" : "failure" in event.outcome ? "failed" : "completed",
          event
        )
        waits.delete(event.wait)
        break
      }
      case "failed":
      case "compensating":
        close(visits.get(branch), "failed", event)
        visits.delete(branch)
        dropAll("cancelled", event)
        break
      case "cancelled":
      case "completed":
        dropAll("cancelled", event)
        break
      case "restarted":
        current = add("run", "retried", "", event, event.time)
        close(current, "completed", event)
        break
      case "paused":
      case "resumed":
        current = add("run", event.kind, "", event, event.time)
        close(current, "completed", event)
        break
      default:
        current = visits.get(branch) ?? current
    }
  }

  const rowOf = (index: number): Row => {
    const begun = started.at(index)
    const over = ended.at(index)
    return {
      index,
      kind: rowKinds[kinds.at(index)]!,
      status: rowStatuses[statuses.at(index)]!,
      name: names.textOf(nameIds.at(index)),
      branch: branches.textOf(branchIds.at(index)),
      attempt: attempts.at(index),
      from: firsts.at(index),
      to: lasts.at(index),
      queued: queued.at(index),
      started: Number.isNaN(begun) ? undefined : begun,
      ended: Number.isNaN(over) ? undefined : over
    }
  }

  return {
    get size() {
      return kinds.length
    },
    get seq() {
      return rowsBySeq.length - 1
    },
    take: (event) => {
      apply(event)
      rowsBySeq.push(current)
    },
    rows: (from, count) => {
      const rows: Array<Row> = []
      for (let i = Math.max(0, from); i < Math.min(kinds.length, from + count); i++) rows.push(rowOf(i))
      return rows
    },
    rowAt: (seq) => {
      if (rowsBySeq.length === 0) return 0
      return rowsBySeq.at(Math.max(0, Math.min(seq, rowsBySeq.length - 1)))
    }
  }
}
