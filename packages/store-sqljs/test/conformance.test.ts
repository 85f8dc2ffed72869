import * as StoreSuite from "@waymark/testing/StoreSuite"
import { inMemory, onFiles, simulated } from "./places.ts"

/** Milliseconds after which a check hangs. Several run at once, in one thread, on machines of any speed. */
const timeout = 120_000

/** Everything at random is tried most on the disk that can fail; the others differ from it in where they write. */
const property = { runs: 30 }

StoreSuite.suite({ name: "sql.js in memory", ...inMemory, timeout, property })
StoreSuite.suite({ name: "sql.js on files", ...onFiles, timeout, property })
StoreSuite.suite({ name: "sql.js on a disk that can fail and lose power", ...simulated, timeout })
