/**
 * Stores that are broken on purpose, each one in one way: wrappers around the memory store. The suite has to tell what
 * is wrong with each of them.
 */
import * as MemoryStore from "@waymark/core/MemoryStore"
import type { RunInfo } from "@waymark/core/RunInfo"
import type { Batch, Lease, Store } from "@waymark/core/Store"
import type { LeaseLost } from "@waymark/core/Store"
import { RunExists, StoreError } from "@waymark/core/Store"
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import type { Harness } from "../src/StoreHarness.ts"

export type Instance = Store["Service"]

/** What all instances on one place share, on top of the disk. */
export interface Shared {
  readonly leases: Map<string, { readonly store: Instance; readonly lease: Lease }>
  readonly commands: Map<string, number>
  readonly artifacts: Map<string, Uint8Array>
  readonly values: Map<string, string>
  readonly names: Set<string>
}

export interface Place {
  disk: MemoryStore.Disk
  readonly shared: Shared
  /** What is really durable, where that is not what the memory store thinks. */
  readonly written: Map<string, Array<{ readonly batch: Batch; synced: boolean }>>
}

export interface Fault {
  /** What it does wrong. */
  readonly name: string
  /** The check that has to find it, and what it has to say. */
  readonly found: readonly [check: string, detail: RegExp]
  /** Whether it is found by waiting in vain; what is found otherwise is found on a slow machine, too. */
  readonly hangs?: true
  readonly alter?: (inner: Instance, place: Place) => Partial<Instance>
  /** What of the batches of a run is left after a power cut; the memory store's own loss unless given. */
  readonly left?: (
    batches: ReadonlyArray<{ readonly batch: Batch; readonly synced: boolean }>
  ) => ReadonlyArray<Batch>
}

const replay = Effect.fnUntraced(function* (disk: MemoryStore.Disk, batches: ReadonlyArray<Batch>) {
  const [first, ...rest] = batches
  if (first === undefined) return
  const store = yield* MemoryStore.make({ disk })
  const lease = yield* store.create(first, { holder: "replay" })
  let expected = first.entries.length - 1
  for (const batch of rest) {
    yield* store.append(lease, expected, batch)
    expected = batch.entries[batch.entries.length - 1]!.event.seq
  }
  yield* store.release(lease)
})

export const harness = (fault: Fault): Harness<Place> => ({
  place: Effect.sync(() => ({
    disk: MemoryStore.makeDisk(),
    written: new Map(),
    shared: {
      leases: new Map(),
      commands: new Map(),
      artifacts: new Map(),
      values: new Map(),
      names: new Set()
    }
  })),
  layer: (place) =>
    Effect.map(MemoryStore.make({ disk: place.disk, flush: "onSync" }), (inner): Instance => {
      const recorded = fault.left === undefined ? inner : { ...inner, ...recording(inner, place) }
      return fault.alter === undefined ? recorded : { ...recorded, ...fault.alter(recorded, place) }
    }),
  capabilities: {
    several: true,
    reopen: true,
    crash: (place) =>
      Effect.suspend(() => {
        place.disk.cutPower()
        const { left } = fault
        if (left === undefined) return Effect.void
        place.disk = MemoryStore.makeDisk()
        return Effect.scoped(
          Effect.forEach(place.written.values(), (batches) => replay(place.disk, left(batches)), {
            discard: true
          })
        )
      }),
    lapse: (place, owner) => Effect.sync(() => place.disk.lapse(owner)),
    failWrites: { missing: "it cannot fail" },
    leaseMillis: { missing: "its leases do not run out" },
    // Memory has no format: whatever is made of the place, it is opened.
    newerFormat: () => Effect.void
  },
  timeout: fault.hangs === true ? 6_000 : 120_000
})

/** Everything is shown at once; what is durable is noted apart. */
const recording = (inner: Instance, place: Place): Partial<Instance> => ({
  create: (batch, options) =>
    Effect.tap(inner.create(batch, options), (lease) =>
      Effect.sync(() => place.written.set(lease.run, [{ batch, synced: options?.ahead !== true }]))
    ),
  append: (lease, expected, batch) =>
    Effect.andThen(inner.append(lease, expected, batch), () => {
      place.written.get(lease.run)?.push({ batch, synced: false })
      return Effect.orDie(inner.sync(lease))
    }),
  sync: (lease) =>
    Effect.map(inner.sync(lease), () => {
      for (const one of place.written.get(lease.run) ?? []) one.synced = true
    })
})

/** Batches wait in the wrapper and reach the memory store when `flush` lets them. */
const buffered = (
  inner: Instance,
  flush: (batches: Array<Batch>) => ReadonlyArray<Batch>,
  onRelease: "flush" | "drop" = "flush"
): Partial<Instance> => {
  const waiting = new Map<string, Array<Batch>>()
  const lastOf = (batch: Batch) => batch.entries[batch.entries.length - 1]!.event.seq
  const write = (lease: Lease, batches: ReadonlyArray<Batch>) =>
    Effect.forEach(
      batches,
      (batch) =>
        Effect.catchTag(
          inner.append(lease, batch.entries[0].event.seq - 1, batch),
          "SeqConflict",
          (conflict) => Effect.orDie(inner.append(lease, conflict.actual, batch))
        ),
      { discard: true }
    )
  return {
    append: (lease, expected, batch) =>
      Effect.suspend(() => {
        const batches = waiting.get(lease.run) ?? []
        waiting.set(lease.run, batches)
        const last = batches[batches.length - 1]
        if (last !== undefined && lastOf(last) !== expected) return inner.append(lease, -2, batch)
        batches.push(batch)
        return Effect.void
      }),
    sync: (lease) =>
      Effect.suspend(() =>
        Effect.andThen(write(lease, flush(waiting.get(lease.run) ?? [])), inner.sync(lease))
      ),
    release: (lease) =>
      Effect.suspend(() => {
        const batches = (waiting.get(lease.run) ?? []).splice(0)
        return Effect.andThen(
          onRelease === "drop" ? Effect.void : Effect.ignore(write(lease, batches)),
          inner.release(lease)
        )
      })
  }
}

const single = (batch: Batch): ReadonlyArray<Batch> =>
  batch.entries.map((entry, index) => ({
    entries: [entry],
    head: batch.entries[index + 1]?.event.prev ?? batch.head
  }))

export const faults: ReadonlyArray<Fault> = [
  {
    name: "creates without writing it down",
    found: ["create: what was created survives a power cut", /RunNotFound/],
    left: () => []
  },
  {
    name: "does not write down what was created ahead of the disk",
    found: [
      "create: a run that was created ahead of the disk is there after a power cut, or its id is free",
      /RunNotFound/
    ],
    alter: (inner) => {
      const hidden = new Set<string>()
      return {
        create: (batch, options) =>
          Effect.tap(inner.create(batch, options), ({ run }) =>
            Effect.sync(() => {
              if (options?.ahead === true) hidden.add(run)
            })
          ),
        append: (lease, expected, batch) =>
          hidden.has(lease.run) ? Effect.void : inner.append(lease, expected, batch),
        sync: (lease) => (hidden.has(lease.run) ? Effect.void : inner.sync(lease)),
        release: (lease) => (hidden.has(lease.run) ? Effect.void : inner.release(lease))
      }
    }
  },
  {
    name: "lets a second one create what was created ahead of the disk",
    found: [
      "create: of many that create one id at once, ahead of the disk, exactly one succeeds",
      /how many of those that created one id at once succeeded/
    ],
    alter: (inner) => ({
      create: (batch, options) =>
        options?.ahead === true
          ? Effect.catchTag(inner.create(batch, options), "RunExists", ({ run }) =>
              Effect.succeed({ run, owner: inner.owner, epoch: 0 })
            )
          : inner.create(batch, options)
    })
  },
  {
    name: "lets anyone create what exists",
    found: ["create: an id that exists is refused, and nothing changes", /RunExists was expected/],
    alter: (inner) => ({
      create: (batch, options) =>
        Effect.catchTag(inner.create(batch, options), "RunExists", ({ run }) =>
          Effect.succeed({ run, owner: inner.owner, epoch: 0 })
        )
    })
  },
  {
    name: "forgets fencing",
    found: [
      "acquire: who was taken over is refused, and what it wrote too late is seen by nobody",
      /the late sync/
    ],
    alter: (inner, { shared }) => ({
      acquire: (run, holder) =>
        Effect.tap(inner.acquire(run, holder), ({ lease }) =>
          Effect.sync(() => shared.leases.set(run, { store: inner, lease }))
        ),
      append: (lease, expected, batch) =>
        Effect.catchTag(inner.append(lease, expected, batch), "LeaseLost", (error) => {
          const now = shared.leases.get(lease.run)
          return now === undefined ? Effect.fail(error) : now.store.append(now.lease, expected, batch)
        }),
      sync: (lease) =>
        Effect.catchTag(inner.sync(lease), "LeaseLost", (error) => {
          const now = shared.leases.get(lease.run)
          return now === undefined ? Effect.fail(error) : now.store.sync(now.lease)
        })
    })
  },
  {
    name: "says that it synced, and does nothing",
    found: [
      "sync: what was synced survives a power cut",
      /synced up to \d+, after the power cut found up to \d+ only/
    ],
    alter: () => ({ sync: () => Effect.void })
  },
  {
    name: "shows what is not durable",
    found: [
      "sync: what anybody saw survives a power cut",
      /the run was shown up to \d+; after a power cut it ends at/
    ],
    left: (batches) => batches.filter(({ synced }) => synced).map(({ batch }) => batch)
  },
  {
    name: "loses the last batch that was synced",
    found: ["sync: what was synced survives a power cut", /found up to \d+ only/],
    left: (batches) => batches.map(({ batch }) => batch).slice(0, -1)
  },
  {
    name: "leaves the last batch behind when it syncs",
    found: ["sync: what was synced is shown, in every way there is", /is shown up to/],
    alter: (inner) => buffered(inner, (batches) => batches.splice(0, batches.length - 1))
  },
  {
    name: "tears a batch when the power goes",
    found: ["append: a batch is stored whole or not at all", /in the middle of a batch/],
    left: (batches) => {
      const all = batches.map(({ batch }) => batch)
      const last = all.pop()!
      return last.entries.length < 2 ? [...all, last] : [...all, single(last)[0]!]
    }
  },
  {
    name: "writes the entries of a batch one by one",
    found: ["append: nobody ever sees a part of a batch", /in the middle of a batch/],
    alter: (inner) => ({
      append: (lease, expected, batch) =>
        Effect.forEach(
          single(batch),
          (one, index) =>
            Effect.andThen(
              inner.append(lease, expected + index, one),
              Effect.andThen(Effect.catchTag(inner.sync(lease), "StoreError", Effect.die), Effect.yieldNow)
            ),
          { discard: true }
        )
    })
  },
  {
    name: "reorders what waits for a sync",
    found: [
      "append: batches follow one another without a sync between them, and keep their order",
      /get: the index row/
    ],
    alter: (inner) => buffered(inner, (batches) => batches.splice(0).reverse())
  },
  {
    name: "accepts any position",
    found: [
      "append: a position that is not where the writer stands is refused, and nothing of it is stored",
      /SeqConflict was expected/
    ],
    alter: (inner) => ({
      append: (lease, expected, batch) =>
        Effect.catchTag(inner.append(lease, expected, batch), "SeqConflict", () => Effect.void)
    })
  },
  {
    name: "loses what an interrupted sync was about to write",
    found: [
      "interruption: an append or a sync that is interrupted leaves the run whole, and it can be written on",
      /run/
    ],
    alter: (inner) => {
      const slow = buffered(inner, (batches) => batches.splice(0))
      let taken: Array<Batch> = []
      const fast = buffered(inner, () => taken)
      return {
        ...slow,
        append: (lease, expected, batch) =>
          Effect.suspend(() => {
            taken.push(batch)
            return expected > 1e8 ? inner.append(lease, expected, batch) : Effect.void
          }),
        sync: (lease) =>
          Effect.suspend(() => {
            const mine = taken
            taken = []
            return Effect.andThen(
              Effect.yieldNow,
              Effect.suspend(() => {
                taken = [...mine, ...taken]
                return Effect.tap(fast.sync!(lease), () => Effect.sync(() => void (taken = [])))
              })
            )
          })
      }
    }
  },
  {
    name: "gives the same epoch again",
    found: [
      "acquire: a run that was released is given to the next, as a handover, with where it stands",
      /the epoch 1 is greater than 1/
    ],
    alter: (inner, { shared }) => ({
      acquire: (run, holder) =>
        Effect.map(inner.acquire(run, holder), (acquired) => {
          shared.leases.set(run, { store: inner, lease: acquired.lease })
          return { ...acquired, lease: { ...acquired.lease, epoch: 1 } }
        }),
      append: (lease, expected, batch) =>
        inner.append(shared.leases.get(lease.run)?.lease ?? lease, expected, batch),
      sync: (lease) => inner.sync(shared.leases.get(lease.run)?.lease ?? lease),
      release: (lease) => inner.release(shared.leases.get(lease.run)?.lease ?? lease)
    })
  },
  {
    name: "gives a run to whoever asks",
    found: ["acquire: of many that want one run at once, exactly one gets it", /how many got it/],
    alter: (inner) => ({
      acquire: (run, holder) =>
        Effect.catchTag(inner.acquire(run, holder), "LeaseHeld", () =>
          Effect.map(inner.get(run), ({ info, head }) => ({
            lease: { run, owner: inner.owner, epoch: 2 },
            previous: "handover" as const,
            info,
            head
          }))
        )
    })
  },
  {
    name: "takes a crash for a handover",
    found: [
      "acquire: an owner that died is told from one that released: crash, with a greater epoch",
      /how the owner before let go/
    ],
    alter: (inner) => ({
      acquire: (run, holder) =>
        Effect.map(inner.acquire(run, holder), (acquired) => ({ ...acquired, previous: "handover" as const }))
    })
  },
  {
    name: "releases without syncing",
    found: ["release: what was appended is durable when the lease is let go", /is shown up to 0/],
    alter: (inner) => buffered(inner, (batches) => batches.splice(0), "drop")
  },
  {
    name: "releases for whoever asks",
    found: ["release: a lease that is lost already is not released again", /LeaseHeld was expected/],
    alter: (inner, { shared }) => ({
      acquire: (run, holder) =>
        Effect.tap(inner.acquire(run, holder), ({ lease }) =>
          Effect.sync(() => shared.leases.set(run, { store: inner, lease }))
        ),
      release: (lease) => inner.release(shared.leases.get(lease.run)?.lease ?? lease)
    })
  },
  {
    name: "reads one entry less than it should",
    found: ["read: from, to and limit, forwards and backwards, are positions and both included", /read/],
    alter: (inner) => ({
      read: (run, options) =>
        inner.read(
          run,
          options?.to === undefined || options.direction === "backwards"
            ? options
            : { ...options, to: options.to - 1 }
        )
    })
  },
  {
    name: "reads on when a page has as many bytes as are asked for",
    found: [
      "read: a page, of a run or of the feed, is over with the entry with which it has as many bytes as are asked for",
      /read .* entries came back/
    ],
    alter: (inner) => ({ read: (run, options) => inner.read(run, { ...options, bytes: undefined }) })
  },
  {
    name: "pages by counting",
    found: [
      "list: whatever is written between pages, no run that matches throughout is skipped or repeated",
      /listed twice|skipped were/
    ],
    alter: (inner) => ({
      list: (query) =>
        Effect.gen(function* () {
          const { cursor, limit = 100, ...rest } = query
          const { runs } = yield* inner.list({ ...rest, limit: 1e9 })
          const from = Number(cursor ?? 0)
          const page = runs.slice(from, from + limit)
          return from + limit < runs.length ? { runs: page, cursor: String(from + limit) } : { runs: page }
        })
    })
  },
  {
    name: "forgets one condition",
    found: ["list: each condition, and all of them together, select what they say", /dueBefore/],
    alter: (inner) => ({
      list: ({ dueBefore: _, ...query }) => inner.list(query)
    })
  },
  {
    name: "takes one attribute for all",
    found: ["list: each condition, and all of them together, select what they say", /"région":"eu"/],
    alter: (inner) => ({
      list: ({ attributes, ...query }) => {
        const [first] = Object.entries(attributes ?? {})
        return inner.list(first === undefined ? query : { ...query, attributes: Object.fromEntries([first]) })
      }
    })
  },
  {
    name: "forgets bookmarks",
    found: ["list: each condition, and all of them together, select what they say", /bookmark/],
    alter: (inner) => ({
      list: ({ bookmark: _, ...query }) => inner.list(query)
    })
  },
  {
    name: "does not know that the next wait is due",
    found: [
      "list: by due come the runs that have one, the earliest first and then by id, in pages of any size",
      /by due/
    ],
    alter: (inner) => ({
      list: ({ order, ...query }) =>
        inner.list(order === "due" || order === undefined ? query : { ...query, order })
    })
  },
  {
    name: "puts a run where its wait stood when it was created",
    found: [
      "list: by due, a run stands where its earliest open wait is now, or not at all, after a power cut, too",
      /by due/
    ],
    alter: (inner) => {
      const first = new Map<string, number>()
      return {
        list: (query) =>
          query.order !== "due"
            ? inner.list(query)
            : Effect.map(inner.list({ limit: 1_000 }), ({ runs }) => {
                for (const { due, run } of runs) if (due !== undefined && !first.has(run)) first.set(run, due)
                const known = runs
                  .filter(({ run }) => first.has(run))
                  .sort((a, b) => first.get(a.run)! - first.get(b.run)!)
                const from = Number(query.cursor ?? 0)
                const to = from + (query.limit ?? 100)
                const page = known.slice(from, to)
                return to < known.length ? { runs: page, cursor: String(to) } : { runs: page }
              })
      }
    }
  },
  {
    name: "pages by due with the time alone",
    found: [
      "list: by due come the runs that have one, the earliest first and then by id, in pages of any size",
      /by due/
    ],
    alter: (inner) => ({
      list: (query) =>
        query.order !== "due"
          ? inner.list(query)
          : Effect.map(inner.list({ order: "due", limit: 1_000 }), ({ runs }) => {
              const after = runs.filter(
                ({ due }) => query.cursor === undefined || due! > Number(query.cursor)
              )
              const page = after.slice(0, query.limit)
              const last = page[page.length - 1]
              return page.length < after.length ? { runs: page, cursor: String(last!.due) } : { runs: page }
            })
    })
  },
  {
    name: "forgets what a run waits for when its branches are joined",
    found: [
      "list: a row tells how much of a run is open, how much of that waits and for what, after a power cut, too",
      /waits|waiting/
    ],
    alter: (inner) => {
      const withAll = (info: RunInfo): RunInfo =>
        info.seq > 4 && info.waits.length === 0 ? { ...info, waiting: 2 } : info
      return {
        get: (run) => Effect.map(inner.get(run), (found) => ({ ...found, info: withAll(found.info) }))
      }
    }
  },
  {
    name: "tells the last entry of a page again",
    found: [
      "feed: it tells every durable entry of every run once, those of one run in order and without gaps",
      /in pages of/
    ],
    alter: (inner) => ({
      feed: (options) =>
        Effect.map(inner.feed(options), (page) =>
          page.entries.length > 1 ? { ...page, cursor: String(Number(page.cursor) - 1) } : page
        )
    })
  },
  {
    name: "tells of a change when it is accepted, not when it is durable",
    found: [
      "changes: a change is told when it can be read, and the last one is told",
      /for who reads it when told/
    ],
    hangs: true,
    alter: (inner) => {
      const hub = Effect.runSync(PubSub.unbounded<string>())
      return {
        create: (batch, options) =>
          Effect.tap(inner.create(batch, options), (lease) => PubSub.publish(hub, lease.run)),
        append: (lease, expected, batch) =>
          Effect.tap(inner.append(lease, expected, batch), () => PubSub.publish(hub, lease.run)),
        changes: Stream.map(Stream.fromPubSub(hub), (run) => ({ run, what: "journal" as const }))
      }
    }
  },
  {
    name: "wakes who waits for more too early",
    found: [
      "changed: it comes back when the run is durable beyond the position, and not before",
      /was woken when it stood at/
    ],
    alter: (inner) => ({ changed: (run) => inner.changed(run, -1) })
  },
  {
    name: "never wakes who waits for more",
    found: [
      "changed: it comes back when the run is durable beyond the position, and not before",
      /did not come back/
    ],
    hangs: true,
    alter: () => ({ changed: () => Effect.never })
  },
  {
    name: "leaves those alone who wait when it is closed",
    found: [
      "closing: who waits for changes is told that the instance was closed, and so is who asks afterwards",
      /changed, under way: it still waits/
    ],
    hangs: true,
    alter: (inner) => ({
      changed: (run, seq) =>
        Effect.catchReason(inner.changed(run, seq), "StoreError", "Closed", () => Effect.never)
    })
  },
  {
    name: "ends what it tells of changes, as if nothing were to come, when it is closed",
    found: [
      "closing: who waits for changes is told that the instance was closed, and so is who asks afterwards",
      /changes, under way: StoreError was expected, it succeeded/
    ],
    alter: (inner) => ({ changes: Stream.catch(inner.changes, () => Stream.empty) })
  },
  {
    name: "puts a command there again",
    found: ["inbox: a command whose id is there already is not put there again", /what arrived/],
    alter: (inner, { shared }) => ({
      send: (command) =>
        Effect.suspend(() => {
          const times = (shared.commands.get(command.id) ?? 0) + 1
          shared.commands.set(command.id, times)
          return inner.send({ ...command, id: `${command.id}#${times}` })
        }),
      inbox: (run, cursor) =>
        Effect.map(inner.inbox(run, cursor), (received) =>
          received.map((one) => ({ ...one, command: { ...one.command, id: one.command.id.split("#")[0]! } }))
        )
    })
  },
  {
    name: "lets two append at one position",
    found: [
      "append: of many that append at one position at once, exactly one succeeds, and the others are told where the run stands",
      /how many succeeded at 0/
    ],
    alter: (inner) => {
      const last = new Map<string, number>()
      return {
        append: (lease, expected, batch) =>
          Effect.catchTag(inner.append(lease, expected, batch), "SeqConflict", (conflict) => {
            // It was there a moment ago.
            const isClose = conflict.actual - expected === 1 && last.get(lease.run) !== expected
            last.set(lease.run, expected)
            return isClose ? Effect.void : Effect.fail(conflict)
          })
      }
    }
  },
  {
    name: "opens what a newer version wrote",
    found: ["format: what a newer version wrote is refused as such, and not touched", /was opened/]
  },
  {
    name: "hands out commands in another order after a power cut",
    found: [
      "inbox: who goes on from its cursor after each power cut deals with each command once, in order",
      /what was dealt with/
    ],
    alter: (inner) => ({
      inbox: (run, cursor) =>
        Effect.map(inner.inbox(run, cursor), (received) => {
          const { length } = received
          // Positions stay in order, so that only what they stand for is wrong.
          return received.map((one, index) => ({ ...one, command: received[length - 1 - index]!.command }))
        })
    })
  },
  {
    name: "hands out what was dealt with",
    found: ["inbox: a cursor covers what was dealt with, and only that", /position 1 comes after 1/],
    alter: (inner) => ({ inbox: (run) => inner.inbox(run, {}) })
  },
  {
    name: "counts the positions of an inbox anew in each process",
    found: ["inbox: what was sent survives a power cut, at its position", /the inbox after a power cut/],
    alter: (inner) => ({
      inbox: (run, cursor) =>
        Effect.map(inner.inbox(run, cursor), (received) =>
          received.map((one) => ({ ...one, source: inner.owner }))
        )
    })
  },
  {
    name: "deletes what others need",
    found: [
      "delete: a run that others are forked from is RunInUse until they are gone",
      /RunInUse was expected/
    ],
    alter: (inner) => ({ delete: (run) => Effect.catchTag(inner.delete(run), "RunInUse", () => Effect.void) })
  },
  {
    name: "forgets values",
    found: ["meta: values survive a power cut", /expected "second/],
    alter: (inner) => {
      const values = new Map<string, string>()
      return {
        getMeta: (key) => Effect.sync(() => values.get(key)),
        setMeta: (key, value) => Effect.sync(() => void values.set(key, value)),
        owner: inner.owner
      }
    }
  },
  {
    name: "keeps the caller's array for an artifact",
    found: [
      "artifacts: what a caller does to its bytes afterwards changes nothing",
      /they are not the 1000 that were stored/
    ],
    alter: (inner, { shared }) => ({
      putArtifact: (bytes) =>
        Effect.tap(inner.putArtifact(bytes), (hash) => Effect.sync(() => shared.artifacts.set(hash, bytes))),
      getArtifact: (hash) => Effect.sync(() => shared.artifacts.get(hash))
    })
  },
  {
    name: "tells ids apart by their letters only",
    found: ["ids: any text names a run, and no two of them are confused", /RunExists/],
    alter: (inner, { shared }) => ({
      create: (batch, options) =>
        Effect.suspend(() => {
          const { run } = batch.entries[0].event
          const name = run.normalize("NFC").toLowerCase()
          if (shared.names.has(name)) return Effect.fail(new RunExists({ run }))
          shared.names.add(name)
          return inner.create(batch, options)
        })
    })
  }
]

/** A place whose writes can be made to fail, as a full disk does. */
export interface FailingPlace {
  readonly disk: MemoryStore.Disk
  failing: boolean
}

const noSpace = (operation: string) => new StoreError({ operation, reason: { _tag: "NoSpace" } })

/**
 * A memory store on a disk that can be full. `believes`: the fault of confirming, once there is space again, what could
 * not be written when there was none.
 */
export const failingHarness = (options: { readonly believes: boolean }): Harness<FailingPlace> => ({
  place: Effect.sync(() => ({ disk: MemoryStore.makeDisk(), failing: false })),
  layer: (place) =>
    Effect.map(MemoryStore.make({ disk: place.disk, flush: "onSync" }), (inner): Instance => {
      const unsynced = new Set<string>()
      const guarded = <A, E>(
        operation: string,
        effect: Effect.Effect<A, E>
      ): Effect.Effect<A, E | StoreError> =>
        Effect.suspend((): Effect.Effect<A, E | StoreError> =>
          place.failing ? Effect.fail(noSpace(operation)) : effect
        )
      return {
        ...inner,
        create: (batch, createOptions) => guarded("create", inner.create(batch, createOptions)),
        append: (lease, expected, batch) =>
          Effect.tap(inner.append(lease, expected, batch), () => Effect.sync(() => unsynced.add(lease.run))),
        sync: (lease) =>
          Effect.suspend((): Effect.Effect<void, LeaseLost | StoreError> => {
            if (!place.failing || !unsynced.has(lease.run)) {
              unsynced.delete(lease.run)
              return inner.sync(lease)
            }
            // What could not be written is void, and with it every lease under which something waited.
            if (options.believes) unsynced.delete(lease.run)
            else {
              place.disk.lapse(inner.owner)
              unsynced.clear()
            }
            return Effect.fail(noSpace("sync"))
          }),
        send: (command) => guarded("send", inner.send(command)),
        setMeta: (key, value) => guarded("setMeta", inner.setMeta(key, value)),
        putArtifact: (bytes) => guarded("putArtifact", inner.putArtifact(bytes)),
        delete: (run) => guarded("delete", inner.delete(run))
      }
    }),
  capabilities: {
    several: true,
    reopen: true,
    crash: (place) => Effect.sync(place.disk.cutPower),
    lapse: (place, owner) => Effect.sync(() => place.disk.lapse(owner)),
    failWrites: (place, failing) => Effect.sync(() => void (place.failing = failing)),
    leaseMillis: { missing: "leases in memory do not run out with time" },
    newerFormat: { missing: "memory has no format" }
  }
})
