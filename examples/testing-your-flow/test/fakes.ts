/** The world outside of the flow, as most tests need it: one small order, one big one, a bank that works. */
import { FakeTools } from "@waymark/testing"
import { FindOrder, Mail, OrderNotFound, PayBack } from "../src/refund.ts"

export const orders: { readonly [order: string]: { readonly customer: string; readonly cents: number } } = {
  small: { customer: "ada", cents: 1_200 },
  big: { customer: "bob", cents: 90_000 }
}

export const findOrder = FakeTools.answer(FindOrder, ({ order }) =>
  order in orders ? FakeTools.succeed(orders[order]!) : FakeTools.fail(new OrderNotFound({ order }))
)

export const payBack = FakeTools.answer(PayBack, ({ order }) =>
  FakeTools.succeed({ receipt: `receipt for ${order}` })
)

export const mail = FakeTools.always(Mail, FakeTools.ok)

/** Fakes outlive the worker, as the world does; each test makes its own. */
export const world = () => FakeTools.make(findOrder, payBack, mail)
