import * as StoreSuite from "@waymark/testing/StoreSuite"
import { inMemory, onFiles, simulated } from "./places.ts"

/** Milliseconds after which a check hangs. Several run at once, in one thread, on machines of any speed. */
const timeout = 120_000

StoreSuite.suite({ name: "sql.js in memory", ...inMemory, timeout })
StoreSuite.suite({ name: "sql.js on files", ...onFiles, timeout })
StoreSuite.suite({ name: "sql.js on a disk that can fail and lose power", ...simulated, timeout })
