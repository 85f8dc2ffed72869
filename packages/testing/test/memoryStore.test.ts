import * as MemoryStore from "@waymark/core/MemoryStore"
import * as Effect from "effect/Effect"
import * as StoreSuite from "../src/StoreSuite.ts"

for (const flush of ["onSync", "background"] as const) {
  StoreSuite.suite({
    name: `memory, flushed ${flush === "onSync" ? "when somebody waits for it" : "in the background"}`,
    place: Effect.sync(MemoryStore.makeDisk),
    layer: (disk) => MemoryStore.make({ disk, flush }),
    capabilities: {
      several: true,
      reopen: true,
      crash: (disk) => Effect.sync(disk.cutPower),
      lapse: (disk, owner) => Effect.sync(() => disk.lapse(owner)),
      failWrites: { missing: "memory does not fail; test/brokenStores.test.ts gives it a disk that does" },
      leaseMillis: { missing: "leases in memory do not run out with time" },
      newerFormat: { missing: "memory has no format: no other version ever opens it" }
    }
  })
}
