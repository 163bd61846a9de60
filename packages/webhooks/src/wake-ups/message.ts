/** What processes tell each other: which endpoints have something due. */
import { Id } from '@org/core'
import { z } from 'zod'

/** PostgreSQL takes less than 8,000 bytes. */
const maxBytes = 7_999

const Message = z.array(Id)

/** JSON of the ids; of none if they don't fit, which says that there is something to look for. */
export function wakeUpMessage(endpointIds: Iterable<string>): string {
  const message = JSON.stringify([...endpointIds])
  return Buffer.byteLength(message) <= maxBytes ? message : '[]'
}

/** Null for what is no such message: anybody may send one. */
export function endpointIdsOf(message: string): string[] | null {
  try {
    return Message.parse(JSON.parse(message))
  } catch {
    return null
  }
}
