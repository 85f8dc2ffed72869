/**
 * One scenario, with one fault in it, and what it leaves.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Faults from "../../Faults.ts"
import type { Subject } from "../../FaultSuite.ts"
import * as Journal from "../../JournalBuilder.ts"
import * as PowerLossFileSystem from "../../PowerLossFileSystem.ts"
import { check, isStoreError, nothingTold, saysWhere } from "./told.ts"
import type { Told } from "./told.ts"
import { make } from "./user.ts"
import type { User } from "./user.ts"

/** Does everything that a store can do. */
const scenario = (user: User, tend: Readonly<Record<string, Effect.Effect<unknown, unknown>>>) =>
  Effect.gen(function* () {
    const long = (letter: string) => Journal.annotated(letter.repeat(600))
    yield* user.create("one")
    yield* user.append("one", Journal.visited())
    yield* user.append("one", Journal.visited(), Journal.annotated("together"), Journal.visited())
    yield* user.sync("one")
    yield* user.create("two")
    yield* user.send("two", "command-1")
    yield* user.append("two", long("x"))
    yield* user.append("one", long("y"))
    yield* Effect.all([user.sync("two"), user.sync("one")], { concurrency: 2 })
    yield* user.release("two")
    yield* user.setMeta("cursor", "1")
    yield* user.putArtifact(new Uint8Array([1, 2, 3]))
    yield* user.create("doomed")
    yield* user.append("doomed", long("z"), Journal.completed())
    yield* user.sync("doomed")
    yield* user.release("doomed")
    for (const [what, work] of Object.entries(tend)) yield* user.tend(what, work)
    yield* user.begin("ahead")
    yield* user.append("ahead", Journal.visited(), Journal.annotated("ahead of the disk"))
    yield* user.sync("ahead")
    yield* user.delete("doomed")
    yield* user.setMeta("cursor", "2")
    yield* user.take("two")
    yield* user.append("two", Journal.visited())
    yield* user.sync("two")
    for (const [what, work] of Object.entries(tend)) yield* user.tend(what, work)
    yield* user.send("one", "command-2")
    yield* user.append("one", Journal.completed())
    yield* user.sync("one")
  })

/** A store that has been opened as a process of its own. */
const opened = <Machine, A, E>(
  subject: Subject<Machine>,
  machine: Machine,
  disk: PowerLossFileSystem.Disk,
  faults: Faults.Faults,
  use: (
    store: Parameters<typeof make>[0],
    tend: NonNullable<Effect.Success<ReturnType<typeof subject.open>>["tend"]>
  ) => Effect.Effect<A, E>
): Effect.Effect<A, unknown> =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const layer = faults.fileSystem(disk.layer)
    // What could not be opened can be opened when nothing goes wrong any more.
    const { store, tend = {} } = yield* Effect.retry(
      subject.open(machine).pipe(Scope.provide(scope), Effect.provide(layer)),
      { times: 3, while: (error) => isStoreError(error) && error.reason._tag !== "Corrupt" }
    )
    const exit = yield* Effect.exit(use(store, tend))
    yield* Scope.close(scope, Exit.void)
    return yield* exit
  })

const none = (): Faults.Faults => Faults.make([])

/** What the next process finds: everything that was told, and it can go on with all of it. */
const recovered = <Machine>(
  subject: Subject<Machine>,
  machine: Machine,
  disk: PowerLossFileSystem.Disk,
  told: Told,
  lied: boolean
): Effect.Effect<void, unknown> =>
  opened(subject, machine, disk, none(), (store) =>
    Effect.gen(function* () {
      yield* check(store, told, lied)
      const journal = yield* Journal.make("later")
      const lease = yield* store.create(journal.batch(Journal.created()), { holder: "later" })
      yield* store.append(lease, 0, journal.batch(Journal.visited()))
      yield* store.sync(lease)
      yield* check(store, told, lied)
    })
  ).pipe(
    // Damage to what everything rests on may be found when the store is opened.
    Effect.catch((error) => (lied && saysWhere(error) ? Effect.void : Effect.fail(error)))
  )

export interface Sort {
  readonly name: string
  readonly fault: Faults.Fault
  readonly of: (operation: Faults.Operation) => boolean
}

const changes = ({ kind }: Faults.Operation): boolean => kind !== "read"
const reads = ({ kind }: Faults.Operation): boolean => kind === "read"
const writes = ({ kind }: Faults.Operation): boolean => kind === "write"
const syncs = ({ kind }: Faults.Operation): boolean => kind === "sync"

/** The faults that are tried. */
export const sorts: ReadonlyArray<Sort> = [
  { name: "a change that fails (EIO)", fault: Faults.io, of: changes },
  { name: "a change that finds the disk full (ENOSPC)", fault: Faults.noSpace, of: changes },
  {
    name: "a write that finds the disk full after some bytes",
    fault: Faults.fail("ENOSPC", { partial: 10 }),
    of: writes
  },
  { name: "a read that fails (EIO)", fault: Faults.io, of: reads },
  { name: "a crash before", fault: Faults.crashBefore, of: changes },
  { name: "a crash after", fault: Faults.crashAfter, of: changes },
  { name: "a write that is torn at its first byte", fault: Faults.tornWrite(1), of: writes },
  { name: "a write that is torn later", fault: Faults.tornWrite(70), of: writes },
  { name: "a sync that was lost", fault: Faults.lostSync, of: syncs },
  { name: "a request that arrives twice", fault: Faults.duplicate, of: changes },
  { name: "a delay", fault: Faults.delay(2), of: changes },
  { name: "a bit that flips in what is written", fault: Faults.flipBit(123), of: writes },
  { name: "a bit that flips far into what is written", fault: Faults.flipBit(63_355), of: writes },
  { name: "a bit that flips in what is read", fault: Faults.flipBit(321), of: reads },
  { name: "a read that is out of date", fault: Faults.staleRead, of: reads }
]

/** After these, what was told need not be there: the disk lied. */
const isLie = ({ _tag }: Faults.Fault): boolean => _tag === "LostSync" || _tag === "FlipBit"

/** How many operations of the scenario a fault of a sort can come to. */
export const count = <Machine>(subject: Subject<Machine>, sort: Sort): Effect.Effect<number, unknown> =>
  Effect.gen(function* () {
    const faults = none()
    const machine = subject.machine()
    const disk = PowerLossFileSystem.makeDisk()
    yield* opened(subject, machine, disk, faults, (store, tend) => scenario(make(store, nothingTold()), tend))
    return faults.operations.filter(sort.of).length
  })

/** What is wrong after the `k`th operation that it can come to had a fault, if anything is. */
export const trial = <Machine>(
  subject: Subject<Machine>,
  sort: Sort,
  k: number
): Effect.Effect<string | undefined> =>
  Effect.gen(function* () {
    const disk = PowerLossFileSystem.makeDisk()
    const machine = subject.machine()
    const told = nothingTold()
    const faults = Faults.make([Faults.at(k, sort.fault, { of: sort.of })])
    const lies = isLie(sort.fault)
    const play = opened(subject, machine, disk, faults, (store, tend) =>
      Effect.gen(function* () {
        yield* scenario(make(store, told), tend)
        // The fault may come to what only looks.
        yield* Effect.retry(check(store, told, lies), {
          times: 3,
          while: (error) => isStoreError(error) && error.reason._tag !== "Corrupt"
        })
      })
    )
    const fiber = yield* Effect.forkDetach(play, { startImmediately: true })
    const ended = yield* Effect.raceFirst(
      Effect.asSome(Fiber.await(fiber)),
      Effect.as(faults.crashed, Option.none<Exit.Exit<void, unknown>>())
    ).pipe(
      Effect.timeoutOrElse({
        duration: subject.timeout ?? 10_000,
        orElse: () => Effect.succeed(Option.some<Exit.Exit<void, unknown>>(Exit.die("it hangs")))
      })
    )
    fiber.interruptUnsafe()
    const where = (cause: Cause.Cause<unknown>): string => {
      const { operation } = faults.injected[0] ?? {}
      const at = operation === undefined ? "no operation" : `${operation.name} ${operation.subject}`
      return `${sort.name}, operation ${k} (${at}): ${Cause.pretty(cause).split("\n")[0]}`
    }
    if (Option.isSome(ended) && Exit.isFailure(ended.value)) {
      const error = Cause.findErrorOption(ended.value.cause)
      // What it could not even open, it has to say so.
      if (!(lies && Option.isSome(error) && saysWhere(error.value))) return where(ended.value.cause)
    }
    subject.reboot(machine)
    // After a crash, or a lie, a part of what was not synced may be left. A store that was closed has synced all that counts.
    const parts = Option.isNone(ended) || lies ? [{ seed: k }] : []
    for (const survival of [PowerLossFileSystem.kept, PowerLossFileSystem.dropped, ...parts]) {
      const exit = yield* Effect.exit(recovered(subject, machine, disk.surviving(survival), told, lies))
      if (Exit.isFailure(exit)) return `${where(exit.cause)} (left: ${JSON.stringify(survival)})`
      subject.reboot(machine)
    }
    return undefined
  })
