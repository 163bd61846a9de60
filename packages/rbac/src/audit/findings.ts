/** What verifying found, each with its place. */
import { linkHash } from './chain.js'
import type { ChainedRecord } from './store.js'

export interface Finding {
  /**
   * `edited`: what an entry says is not what was sealed. `deleted`: entries are missing in between. `reordered`: an entry
   * stands in another's place. `forked`: the chain was written anew. `truncated`: its end is missing.
   * `checkpoint_invalid`: a checkpoint is forged, or the log is not what it says.
   */
  kind: 'edited' | 'deleted' | 'reordered' | 'forked' | 'truncated' | 'checkpoint_invalid'
  /** The place in the chain; null for an entry that has none yet. */
  seq: number | null
  entryId?: string
  detail: string
}

const most = 1000

export class Findings {
  readonly #list: Finding[] = []
  readonly #misplaced: ChainedRecord[] = []
  omitted = 0

  add(finding: Finding): void {
    if (this.#list.length < most) this.#list.push(finding)
    else this.omitted++
  }

  /** Its place does not fit it: whether it fits another's is looked at when all of them are known. */
  misplaced(row: ChainedRecord): void {
    if (this.#misplaced.length < most) this.#misplaced.push(row)
    else this.omitted++
  }

  /** In the order of the chain. */
  all(): Finding[] {
    const misplaced = this.#misplaced.map((row): Finding => {
      const home = this.#misplaced.find((other) => fits(row, other))
      const { seq, id: entryId } = row
      if (home) return { kind: 'reordered', seq, entryId, detail: `It was sealed as entry ${home.seq}.` }
      const detail = 'What was changed: the hash of its content, its hash or that of the entry before.'
      return { kind: 'edited', seq, entryId, detail }
    })
    return [...this.#list, ...misplaced].sort((a, b) => (a.seq ?? Infinity) - (b.seq ?? Infinity)).slice(0, most)
  }
}

/** Whether an entry belongs to another's place: it was moved with its hashes, or its content without them. */
function fits(row: ChainedRecord, other: ChainedRecord): boolean {
  if (other === row) return false
  const moved = linkHash(row.prevHash ?? '', other.seq ?? 0, row.contentHash) === row.hash
  return moved || linkHash(other.prevHash ?? '', other.seq ?? 0, row.contentHash) === other.hash
}
