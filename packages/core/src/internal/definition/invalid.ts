/**
 * The type of nothing: what is asked for where something does not fit, so that the compiler shows the message.
 */
export interface Invalid<Message extends string> {
  readonly "~invalid": Message
}
