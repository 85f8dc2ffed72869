/**
 * What the handler of a node gets, by what the flow says of the node.
 */
import type * as Schema from "effect/Schema"
import type * as Flow from "../../Flow.ts"
import type * as Next from "../../Next.ts"
import type * as Node from "../../Node.ts"
import type * as State from "../../State.ts"
import type { BranchErrors, BranchesInto, BranchesOf, JoinOf } from "./fit.ts"

type ItemOf<D extends Node.Any> = D["item"] extends Schema.Codec<infer Item, any> ? Item : never

/** The nodes `B` that take no item. */
type Bare<N extends Flow.Nodes, B> = B extends keyof N & string
  ? [N[B]["item"]] extends [undefined]
    ? B
    : never
  : never

/** The nodes `B` that take an item, and what they take. */
type Items<N extends Flow.Nodes, B extends string> = {
  readonly [K in B as K extends Bare<N, B> ? never : K]: ItemOf<N[K]>
}

type Joins<N extends Flow.Nodes> = { [K in keyof N]: JoinOf<N[K]> }[keyof N]

export type ContextOf<
  N extends Flow.Nodes,
  K extends keyof N,
  Input,
  C extends State.Channels,
  Output,
  Err
> = Flow.HandlerContext<
  Input,
  C,
  Next.Nexts<N[K]["to"][number], C, Output, Bare<N, BranchesOf<N[K]>>, Items<N, BranchesOf<N[K]>>>
> &
  ([N[K]["item"]] extends [undefined] ? unknown : { readonly item: ItemOf<N[K]> }) &
  (K extends Joins<N>
    ? { readonly branches: ReadonlyArray<Next.BranchResult<BranchesInto<N, K>, Err | BranchErrors<N, K>>> }
    : unknown)
