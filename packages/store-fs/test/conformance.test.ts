import * as StoreSuite from "@waymark/testing/StoreSuite"
import { real, simulated } from "./places.ts"

/** Milliseconds after which a check hangs. Several run at once, in one thread, on machines of any speed. */
const timeout = 120_000

/** Everything at random is tried most on the disk that can fail, which is the same for the store. */
const property = { runs: 30 }

StoreSuite.suite({ name: "files", ...real, timeout, property })
StoreSuite.suite({ name: "files on a disk that can fail and lose power", ...simulated, timeout })
