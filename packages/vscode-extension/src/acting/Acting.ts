/**
 * All that is done to runs, with the workers that it takes.
 */
import * as Layer from "effect/Layer"
import * as NodeChildProcessSpawner from "@effect/platform-node/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Actions from "./Actions.ts"
import * as Divergences from "./Divergences.ts"
import * as Executing from "./Executing.ts"
import * as Forking from "./Forking.ts"
import * as KeptDrafts from "./KeptDrafts.ts"
import * as Project from "./Project.ts"
import * as Replaying from "./Replaying.ts"
import * as Starting from "./Starting.ts"
import * as Testing from "./Testing.ts"
import * as Workers from "./Workers.ts"

const spawner = NodeChildProcessSpawner.layer.pipe(Layer.provide([NodeFileSystem.layer, NodePath.layer]))

/** The workers of this window and the projects that they belong to, with the processes of this host. */
export const layerWorkers = Workers.layer.pipe(Layer.provideMerge(Project.layer), Layer.provide(spawner))

export const layer = Layer.mergeAll(
  Actions.layer,
  Executing.layer,
  Forking.layer,
  Replaying.layer,
  Starting.layer,
  Testing.layer
).pipe(Layer.provide([Divergences.Replays.layer, KeptDrafts.layer]))
