/**
 * How many files are open to be read at once: a process may only have so many, and needs some for what it writes.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Disk } from "@waymark/store-kit/Disk"

/** More at once do not make a disk faster, and some systems let a process have no more than 256. */
const most = 64

/**
 * A disk that opens no more than 64 files at once to read them. Who wants one more waits until another one is closed, so
 * nobody may open a second one before the first is closed.
 */
export const limited = (disk: Disk): Disk => {
  const permits = Semaphore.makeUnsafe(most)
  return {
    ...disk,
    openToRead: (path) =>
      Effect.gen(function* () {
        const scope = yield* Scope.fork(yield* Effect.scope)
        yield* Scope.provide(permits.takeScoped(1), scope)
        const file = yield* Scope.provide(disk.openToRead(path), scope)
        // What is not there is often looked for under another name.
        if (file === undefined) yield* Scope.close(scope, Exit.void)
        return file
      }),
    readBytes: (path) => permits.withPermits(1)(disk.readBytes(path))
  }
}
