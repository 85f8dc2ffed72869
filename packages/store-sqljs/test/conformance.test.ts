import * as StoreSuite from "@waymark/testing/StoreSuite"
import { inMemory } from "./places.ts"

StoreSuite.suite({ name: "sql.js in memory", ...inMemory })
