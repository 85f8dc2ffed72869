/**
 * The same from a terminal, by hand: `work` in one window, `request` and `desk` in another.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Runs, Worker } from "@waymark/core"
import { FsStore } from "@waymark/store-fs"
import { Console, Duration, Effect, Layer } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { desk } from "./desk.ts"
import { LineItemHandlers, PurchaseHandlers } from "./handlers.ts"
import { Ledger, Office } from "./office.ts"
import { LineItem, Purchase } from "./purchase.ts"

const directory = Flag.String("directory").pipe(Flag.withDefault(".waymark"))
const store = (at: string) => FsStore.layer({ directory: at })
const client = (at: string) => Layer.provide(Runs.layer, store(at))

const work = Command.make(
  "work",
  { directory, ledger: Flag.String("ledger").pipe(Flag.withDefault("ledger.txt")) },
  ({ directory: at, ledger }) =>
    Worker.layer({ flows: [Purchase, LineItem], timers: "1 second", sweep: "1 second" }).pipe(
      Layer.provide([PurchaseHandlers, LineItemHandlers]),
      Layer.provide(Office),
      Layer.provide([Ledger.layer(ledger), store(at)]),
      Layer.launch
    )
)

const request = Command.make(
  "request",
  {
    articles: Argument.String("article").pipe(Argument.variadic({ min: 1 })),
    approvers: Flag.String("approver").pipe(Flag.atLeast(1)),
    requester: Flag.String("requester").pipe(Flag.withDefault("me")),
    remindAfter: Flag.Int("remind-after-seconds").pipe(Flag.withDefault(Duration.toSeconds("1 day"))),
    reminders: Flag.Int("reminders").pipe(Flag.withDefault(2)),
    directory
  },
  Effect.fn(function* ({ approvers, articles, directory: at, remindAfter, reminders, requester }) {
    const { id } = yield* Runs.Runs.use((runs) =>
      runs.start(Purchase, {
        requester,
        lines: articles.map((article) => ({ article, quantity: 1 })),
        approvers: approvers.map((name) => ({ name, remindAfter: remindAfter * 1000, reminders }))
      })
    ).pipe(Effect.provide(client(at)))
    yield* Console.log(`requested: ${id}`)
  })
)

const answer = Command.make(
  "desk",
  { person: Argument.String("person"), directory },
  Effect.fn(function* ({ directory: at, person }) {
    const answered = yield* desk(person).pipe(Effect.provide(client(at)))
    yield* Console.log(`${answered} ${answered === 1 ? "question" : "questions"} answered`)
  })
)

const cli = Command.make("purchase").pipe(Command.withSubcommands([work, request, answer]))

Command.run(cli, { version: "0.0.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
