/** What is old and has ended, as one transaction sees it. Nothing here goes over a table from end to end. */

export interface OldRequest {
  /** Looks at those with higher ids alone; '' for all. */
  after: string
  /** How many it looks at. */
  limit: number
  /** Only what was made, and has ended, before then. */
  before: number
}

export interface EndedRequest extends OldRequest {
  /** Only those whose payload is still there. */
  withPayload: boolean
}

export interface Ended {
  /** Fanned out, nothing pending, held, being sent or set aside as a dead letter. Locked; what others hold is left out. */
  messageIds: string[]
  /** The last message that was looked at; null if there was none that old. */
  last: string | null
}

export interface SetAsideRequest extends OldRequest {
  /** How many deliveries it answers at the most. */
  rows: number
}

/** Ids are few enough for one statement: callers take care of that. */
export interface RetentionStore {
  /** Looks at the next messages in the order of their ids. */
  ended(request: EndedRequest): Promise<Ended>
  /** Those of these messages, which are locked, of which all has ended before then. */
  endedAmong(messageIds: readonly string[], before: number): Promise<string[]>
  /**
   * Looks at the next messages in the order of their ids, for what was set aside of them before then: dead letters by
   * their end, held deliveries by when they were due. `last` is the last message that was looked at, or null. No locks.
   */
  setAside(request: SetAsideRequest): Promise<{ deliveryIds: string[]; last: string | null }>
  /** Looks at the next jobs in the order of their ids, and removes what has ended. `last` is the last one, or null. */
  removeJobs(request: OldRequest): Promise<{ removed: number; last: string | null }>
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
