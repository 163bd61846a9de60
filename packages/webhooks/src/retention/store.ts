/** What is old and has ended, as one transaction sees it. Nothing here goes over a table from end to end. */

export interface EndedRequest {
  /** Looks at messages with higher ids alone; '' for all. */
  after: string
  /** How many it looks at. */
  limit: number
  /** Only what was published, and whose deliveries ended, before then. */
  before: number
  /** Only those whose payload is still there. */
  withPayload: boolean
}

export interface Ended {
  /** Fanned out, nothing pending, held, being sent or set aside as a dead letter. Locked; what others hold is left out. */
  messageIds: string[]
  /** The last message that was looked at; null if there was none that old. */
  last: string | null
}

/** Ids are few enough for one statement: callers take care of that. */
export interface RetentionStore {
  /** Looks at the next messages in the order of their ids. */
  ended(request: EndedRequest): Promise<Ended>
  /** How many deliveries each of these messages has; those without any are left out. */
  countsOf(messageIds: readonly string[]): Promise<Map<string, number>>
  /** Some deliveries of these messages. */
  deliveryIdsOf(messageIds: readonly string[], limit: number): Promise<string[]>
  /** Removes deliveries and their attempts. Answers how many. */
  removeDeliveries(ids: readonly string[]): Promise<{ deliveries: number; attempts: number }>
  /** Answers how many. */
  removeMessages(ids: readonly string[]): Promise<number>
  /** Forgets the payloads of these messages, and what of their attempts may repeat them. Answers how many had one. */
  forgetPayloads(messageIds: readonly string[]): Promise<number>
}
