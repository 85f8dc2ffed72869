import * as StoreSuite from "@waymark/testing/StoreSuite"
import { inMemory, onFiles, simulated } from "./places.ts"

StoreSuite.suite({ name: "sql.js in memory", ...inMemory })
StoreSuite.suite({ name: "sql.js on files", ...onFiles })
StoreSuite.suite({ name: "sql.js on a disk that can fail and lose power", ...simulated })
