import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { play } from "./swarm/swarm.ts"
import { judge } from "./swarm/verdict.ts"

const blows = 8
const runs = 1000

const swarm = (processes: number) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const folder = yield* fs.makeTempDirectoryScoped({ prefix: "waymark-swarm-" })
    const directory = `${folder}/store`
    const witness = `${folder}/witness`
    yield* fs.writeFileString(witness, "")
    const played = yield* play({
      directory,
      witness,
      processes,
      seed: processes,
      leaseTtl: 1000,
      runsPerBlow: Math.ceil(runs / (blows + 1)),
      isEnough: (count) => count === blows
    })
    const verdict = yield* judge({ directory, witness, runs: played.runs }, 120_000)
    return { played, verdict }
  }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))

describe("runs that are started, signalled and cancelled from all processes of a directory", () => {
  // The same with 10,000 runs, and for as long as one likes: `npm run swarm`, `npm run soak`.
  for (const processes of [2, 4]) {
    it.live(
      `end once and as they have to, while ${processes} processes are killed, and stopped and continued, at random`,
      () =>
        Effect.gen(function* () {
          const { played, verdict } = yield* swarm(processes)
          assert.deepStrictEqual([...played.problems, ...verdict.problems], [])
          assert.isAtLeast(played.runs, runs)
          assert.strictEqual(played.kills + played.stops, blows)
          assert.strictEqual(verdict.completed + verdict.cancelled, played.runs)
          assert.isAbove(verdict.claims, 0)
        }),
      600_000
    )
  }
})
