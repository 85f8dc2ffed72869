import * as StoreSuite from "@waymark/testing/StoreSuite"
import { real, simulated } from "./places.ts"

StoreSuite.suite({ name: "files", ...real })
StoreSuite.suite({ name: "files on a disk that can fail and lose power", ...simulated })
