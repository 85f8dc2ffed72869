/**
 * Whether nodes fit each other and their flow, as the compiler sees it. `graph.ts` asks the same of what the compiler
 * did not see, and more.
 */
import type * as Flow from "../../Flow.ts"
import type * as Node from "../../Node.ts"
import type { Invalid } from "./invalid.ts"

/** The nodes at which a node may begin branches. */
export type BranchesOf<D extends Node.Any> = NonNullable<D["fanOut"]>["to"][number]

/** The node at which the branches of a node end. */
export type JoinOf<D extends Node.Any> = NonNullable<D["fanOut"]>["join"]

/** The errors of a node that it does not handle. */
type Unhandled<D extends Node.Any> = D["error"]["Type"] extends infer X
  ? X extends { readonly _tag: D["~handled"] }
    ? never
    : X
  : never

/** The nodes, and `"end"`, at which the run may go on after a node, on the line of that node. */
type Onward<D extends Node.Any> = D["to"][number] | D["~routed"]

type Leads<N extends Flow.Nodes> = {
  readonly [K in keyof N]: Onward<N[K]> | JoinOf<N[K]> | BranchesOf<N[K]>
}

/** The same without the branches whose failures are collected. */
type FailingLeads<N extends Flow.Nodes> = {
  readonly [K in keyof N]: Onward<N[K]> | JoinOf<N[K]> | (K extends Collecting<N> ? never : BranchesOf<N[K]>)
}

/** What can be reached from the nodes `Open`, themselves included, without passing `Stop`. */
type Reach<L, Open, Stop, Seen = never> = [Open] extends [never]
  ? Seen
  : Reach<L, Exclude<L[Open & keyof L], Seen | Open | Stop>, Stop, Seen | Open>

/** By node, what its branches may run. */
type Regions<N extends Flow.Nodes> = {
  readonly [K in keyof N]: Reach<Leads<N>, BranchesOf<N[K]>, JoinOf<N[K]>>
}

/** The nodes that run in branches, and `"end"` if a branch can reach it. */
type Branched<N extends Flow.Nodes> = Regions<N>[keyof N]

/** The joins of the branches that a node runs in. */
type JoinsAround<N extends Flow.Nodes, K> = {
  [F in keyof N]: K extends Regions<N>[F] ? JoinOf<N[F]> : never
}[keyof N]

/** The nodes whose fan-outs collect failures. */
type Collecting<N extends Flow.Nodes> = {
  [K in keyof N]: NonNullable<N[K]["fanOut"]>["policy"] extends "collect" ? K : never
}[keyof N]

/** The nodes whose errors fail a branch at most, since a fan-out around them collects the failures. */
type Collected<N extends Flow.Nodes> = [Collecting<N>] extends [never]
  ? never
  : Exclude<
      Regions<N>[Collecting<N>],
      Reach<FailingLeads<N>, Exclude<keyof N, Regions<N>[Collecting<N>]>, never>
    >

/** The nodes that take an item. */
type Taking<N extends Flow.Nodes> = {
  [K in keyof N]: [N[K]["item"]] extends [undefined] ? never : K
}[keyof N]

/** The nodes at which branches begin that end at `Join`. */
export type BranchesInto<N extends Flow.Nodes, Join> = {
  [K in keyof N]: JoinOf<N[K]> extends Join ? BranchesOf<N[K]> : never
}[keyof N]

/** The errors that may end a branch that would end at `Join`, those of the flow aside. */
export type BranchErrors<N extends Flow.Nodes, Join> = {
  [K in keyof N]: JoinOf<N[K]> extends Join ? UnhandledIn<N, Regions<N>[K]> : never
}[keyof N]

type UnhandledIn<N extends Flow.Nodes, K> = {
  [B in keyof N]: B extends K ? Unhandled<N[B]> : never
}[keyof N]

/** What a node names that is not there. */
type Unknown<N extends Flow.Nodes, D extends Node.Any> =
  | Exclude<Onward<D>, keyof N | "end">
  | Exclude<BranchesOf<D> | JoinOf<D>, keyof N>

type TagOf<X> = X extends { readonly _tag: infer T extends string } ? T : "without a tag"

/** The node itself if it fits the flow, else what is wrong, as a text that the compiler shows. */
export type CheckNodes<N extends Flow.Nodes, E, O> = {
  readonly [K in keyof N]: [Unknown<N, N[K]>] extends [never]
    ? [Exclude<Unhandled<N[K]>, E>] extends [never]
      ? CheckPlace<N, K, O>
      : K extends Collected<N>
        ? CheckPlace<N, K, O>
        : Invalid<`the error ${TagOf<Exclude<Unhandled<N[K]>, E>>} is neither routed by this node's onError nor in the flow's error schema`>
    : Invalid<`"${Unknown<N, N[K]> & string}" is not a node of this flow`>
}

/** The same for where a node stands among the others. */
type CheckPlace<N extends Flow.Nodes, K extends keyof N, O> =
  "end" extends Onward<N[K]>
    ? K extends Branched<N>
      ? Invalid<`this node runs in branches, which end at "${JoinsAround<N, K> & string}" and cannot go to "end"`>
      : "end" extends N[K]["~routed"]
        ? [undefined] extends [O]
          ? CheckItems<N, K>
          : Invalid<`an error route to "end" has no output to give: go on at a node that ends the run`>
        : CheckItems<N, K>
    : CheckItems<N, K>

type CheckItems<N extends Flow.Nodes, K extends keyof N> = [
  Extract<Onward<N[K]> | JoinOf<N[K]>, Taking<N>>
] extends [never]
  ? N[K]
  : Invalid<`"${Extract<Onward<N[K]> | JoinOf<N[K]>, Taking<N>> & string}" takes an item: only fanOut.to can name it`>
