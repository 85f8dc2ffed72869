/**
 * Carries operations out on the database. The same operations give the same database, whoever carries them out, and when.
 */
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import type { Event } from "@waymark/core/Event"
import type { Entry } from "@waymark/core/Journal"
import * as RunInfo from "@waymark/core/RunInfo"
import type { Database, Value } from "./database.ts"
import type { Step } from "./operation.ts"

/** The bytes of a text in UTF-16, which are in the order of its code units. */
export const keyOf = (text: string): Uint8Array => {
  const bytes = new Uint8Array(text.length * 2)
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    bytes[i * 2] = unit >> 8
    bytes[i * 2 + 1] = unit & 0xff
  }
  return bytes
}

/** The positions that an inbox has given. */
interface Inbox {
  /** Those up to this one the journal named when the run was created: they were given elsewhere. */
  readonly before: number
  /** The last one. */
  readonly commands: number
}

/** How many commands of an inbox the journal does not name. */
const unhandledOf = (info: RunInfo.RunInfo, { before, commands }: Inbox): number => {
  const handled = info.inbox?.[""]
  if (handled === undefined) return commands - before
  const beyond = handled.beyond.filter((position) => position > before).length
  return commands - before - Math.max(0, handled.upTo - before) - beyond
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value))

const errorTextOf = ({ error }: RunInfo.RunInfo): string =>
  error === undefined ? "" : `${error.kind} ${error.tag ?? ""} ${error.message ?? ""}`

export interface Applier {
  /** Carries operations out, all of them or none. */
  readonly apply: (steps: ReadonlyArray<Step>) => void
  /** The row of a run. */
  readonly info: (run: string) => RunInfo.RunInfo | undefined
  /** Forgets a row that is kept for the next append. */
  readonly forget: (run: string) => void
}

interface Row {
  readonly id: number
  readonly inbox: Inbox
  readonly info: RunInfo.RunInfo
}

/** What the index columns of a row say; lists are filtered by nothing else. */
const columnsOf = (info: RunInfo.RunInfo, inbox: Inbox): ReadonlyArray<Value> => [
  info.status,
  info.session ?? null,
  info.correlation ?? null,
  info.parent ?? null,
  info.forkOf?.run ?? null,
  info.due ?? null,
  info.outbox ?? 0,
  unhandledOf(info, inbox)
]

export const make = (database: Database): Applier => {
  // Rows of runs that are being written: read once, not at every append.
  const rows = new Map<string, Row>()

  const rowOf = (run: string): Row | undefined => {
    const known = rows.get(run)
    if (known !== undefined) return known
    const found = database.first("SELECT id, commands_before, commands, info FROM run WHERE run = ?", [run])
    if (found === undefined) return undefined
    const [id, before, commands, info] = found
    return {
      id: Number(id),
      inbox: { before: Number(before), commands: Number(commands) },
      info: JSON.parse(String(info))
    }
  }

  const insertEntries = (id: number, entries: ReadonlyArray<Entry>): void => {
    for (const { event, line } of entries) {
      database.run("INSERT INTO event (run_id, seq, line) VALUES (?, ?, ?)", [id, event.seq, line])
    }
  }

  const setTags = (id: number, before: RunInfo.RunInfo | undefined, after: RunInfo.RunInfo): void => {
    const place = [after.createdAt, keyOf(after.run), id]
    if (before?.tags !== after.tags) {
      for (const tag of after.tags)
        database.run("INSERT OR IGNORE INTO tag VALUES (?, ?, ?, ?)", [tag, ...place])
    }
    if (before?.attributes !== after.attributes) {
      database.run("DELETE FROM attribute WHERE run_id = ?", [id])
      for (const [name, value] of Object.entries(after.attributes ?? {})) {
        database.run("INSERT OR IGNORE INTO attribute VALUES (?, ?, ?, ?, ?)", [name, value, ...place])
      }
    }
    if (before?.bookmarks !== after.bookmarks) {
      database.run("DELETE FROM bookmark WHERE run_id = ?", [id])
      for (const { name, tags } of after.bookmarks ?? []) {
        for (const found of [name, ...(tags ?? [])]) {
          database.run("INSERT OR IGNORE INTO bookmark VALUES (?, ?, ?, ?)", [found, ...place])
        }
      }
    }
  }

  const setError = (id: number, before: RunInfo.RunInfo, after: RunInfo.RunInfo): void => {
    if (before.error === after.error) return
    database.run("UPDATE run_text SET error = ? WHERE docid = ?", [errorTextOf(after), id])
  }

  const create = (entries: ReadonlyArray<Entry>, head: string, owner: string | undefined): void => {
    const info = entries.reduce<RunInfo.RunInfo | undefined>(
      (row, { event }) => RunInfo.apply(row, event),
      undefined
    )!
    const named = RunInfo.lastNamed(info, "")
    const inbox: Inbox = { before: named, commands: named }
    database.run(
      `INSERT INTO run (run, run_key, flow, created_at, status, session, correlation, parent, fork_of, due, outbox,
         unhandled, commands_before, commands, lease_epoch, owner, crashed, seq, head, info)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)`,
      [
        info.run,
        keyOf(info.run),
        info.flow,
        info.createdAt,
        ...columnsOf(info, inbox),
        named,
        named,
        info.epoch,
        owner ?? null,
        info.seq,
        head,
        JSON.stringify(info)
      ]
    )
    const id = Number(database.first("SELECT last_insert_rowid()")![0])
    insertEntries(id, entries)
    setTags(id, undefined, info)
    const first: Event = entries[0]!.event
    database.run("INSERT INTO run_text (docid, input, error) VALUES (?, ?, ?)", [
      id,
      "input" in first ? textOf(first.input) : "",
      errorTextOf(info)
    ])
    if (owner !== undefined) rows.set(info.run, { id, inbox, info })
  }

  const append = (run: string, entries: ReadonlyArray<Entry>, head: string): void => {
    const row = rowOf(run)
    if (row === undefined) return
    const { id, inbox } = row
    let info = row.info
    for (const { event } of entries) info = RunInfo.apply(info, event)
    insertEntries(id, entries)
    const before = columnsOf(row.info, inbox)
    const after = columnsOf(info, inbox)
    // Indexes of columns that are named are written, whether these change or not.
    if (after.some((value, index) => value !== before[index])) {
      database.run(
        `UPDATE run SET status = ?, session = ?, correlation = ?, parent = ?, fork_of = ?, due = ?, outbox = ?,
           unhandled = ? WHERE id = ?`,
        [...after, id]
      )
    }
    database.run("UPDATE run SET seq = ?, head = ?, info = ? WHERE id = ?", [
      info.seq,
      head,
      JSON.stringify(info),
      id
    ])
    setTags(id, row.info, info)
    setError(id, row.info, info)
    rows.set(run, { id, inbox, info })
  }

  const remove = (run: string): void => {
    const row = rowOf(run)
    if (row === undefined) return
    for (const table of ["event", "command", "tag", "attribute", "bookmark"]) {
      database.run(`DELETE FROM ${table} WHERE run_id = ?`, [row.id])
    }
    database.run("DELETE FROM run_text WHERE docid = ?", [row.id])
    database.run("DELETE FROM run WHERE id = ?", [row.id])
    rows.delete(run)
  }

  const send = (run: string, id: string, body: string): void => {
    const row = rowOf(run)
    if (row === undefined) return
    if (database.first("SELECT 1 FROM command WHERE run_id = ? AND id = ?", [row.id, id]) !== undefined)
      return
    const inbox: Inbox = { ...row.inbox, commands: row.inbox.commands + 1 }
    const { commands } = inbox
    database.run("INSERT INTO command VALUES (?, ?, ?, ?)", [row.id, commands, id, body])
    database.run("UPDATE run SET commands = ?, unhandled = ? WHERE id = ?", [
      commands,
      unhandledOf(row.info, inbox),
      row.id
    ])
    if (rows.has(run)) rows.set(run, { ...row, inbox })
  }

  const applyStep = ({ entries, operation }: Step): void => {
    switch (operation.$) {
      case "log":
        return rows.clear()
      case "created":
        return create(entries, operation.head, operation.owner)
      case "appended":
        return append(operation.run, entries, operation.head)
      case "leased":
        return database.run("UPDATE run SET lease_epoch = ?, owner = ?, crashed = 0 WHERE run = ?", [
          operation.epoch,
          operation.owner,
          operation.run
        ])
      case "released":
        rows.delete(operation.run)
        return database.run("UPDATE run SET owner = NULL, crashed = ? WHERE run = ? AND lease_epoch = ?", [
          operation.lost === true ? 1 : 0,
          operation.run,
          operation.epoch
        ])
      case "closed":
        rows.clear()
        return database.run("UPDATE run SET owner = NULL WHERE owner = ?", [operation.owner])
      case "sent":
        return send(operation.command.run, operation.command.id, JSON.stringify(operation.command))
      case "deleted":
        return remove(operation.run)
      case "meta":
        return database.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", [
          JSON.stringify(operation.key),
          JSON.stringify(operation.value)
        ])
      case "artifact":
        return database.run("INSERT OR IGNORE INTO artifact VALUES (?, ?)", [
          operation.hash,
          Result.getOrThrow(Base64.decode(operation.bytes))
        ])
    }
  }

  return {
    apply: (steps) => {
      try {
        database.transaction(() => {
          for (const each of steps) applyStep(each)
        })
      } catch (error) {
        rows.clear()
        throw error
      }
    },
    info: (run) => rowOf(run)?.info,
    forget: (run) => void rows.delete(run)
  }
}
