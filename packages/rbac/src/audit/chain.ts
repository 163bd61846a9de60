/** The hash chain of a tenant: each link holds the hash of the one before. */
import { sha256 } from './canonical.js'

/** What comes before the first link. */
export const genesis = '0'.repeat(64)

/** An entry that waits for its place. */
export interface Unsealed {
  id: string
  time: number
  contentHash: string
  /** Where the storage finds it again; only it can read this. */
  at?: string | undefined
}

export interface Link extends Pick<Unsealed, 'id' | 'time' | 'at'> {
  /** From 1, without gaps. */
  seq: number
  prevHash: string
  hash: string
}

/** An entry is gone, or was written anew, since it was read for sealing. */
export class EntriesMoved extends Error {}

/** The sequence is part of it: a link cannot be moved. */
export function linkHash(prevHash: string, seq: number, contentHash: string): string {
  return sha256(`${prevHash}:${seq}:${contentHash}`)
}

/** The links of these entries after `head`, in the order given. */
export function linksAfter(head: { seq: number; hash: string }, entries: readonly Unsealed[]): Link[] {
  let { seq, hash } = head
  return entries.map(({ id, time, contentHash, at }) => {
    const prevHash = hash
    seq++
    hash = linkHash(prevHash, seq, contentHash)
    return { id, time, at, seq, prevHash, hash }
  })
}
