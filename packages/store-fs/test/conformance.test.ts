import * as StoreSuite from "@waymark/testing/StoreSuite"
import { real, simulated } from "./places.ts"

/** Milliseconds after which a check hangs. Several run at once, in one thread, on machines of any speed. */
const timeout = 120_000

StoreSuite.suite({ name: "files", ...real, timeout })
StoreSuite.suite({ name: "files on a disk that can fail and lose power", ...simulated, timeout })
