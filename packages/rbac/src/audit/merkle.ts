/** Merkle tree hash (RFC 6962 §2.1), over leaves that come one by one, in memory for one node a level. */
import { hash } from 'node:crypto'

const leafPrefix = Buffer.of(0)
const nodePrefix = Buffer.of(1)

const node = (prefix: Buffer, ...parts: Buffer[]) => hash('sha256', Buffer.concat([prefix, ...parts]), 'buffer')

export class MerkleTree {
  /** Roots of full trees, each larger than the next, as the bits of `#size`. */
  readonly #roots: Buffer[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  /** `leaf` is in hex. */
  add(leaf: string): void {
    let root = node(leafPrefix, Buffer.from(leaf, 'hex'))
    for (let bits = this.#size; bits & 1; bits >>= 1) root = node(nodePrefix, this.#roots.pop() as Buffer, root)
    this.#roots.push(root)
    this.#size++
  }

  /** In hex; that of no leaves is the hash of nothing. */
  root(): string {
    const [last, ...rest] = [...this.#roots].reverse()
    if (!last) return hash('sha256', '', 'hex')
    return rest.reduce((right, left) => node(nodePrefix, left, right), last).toString('hex')
  }
}
