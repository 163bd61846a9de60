/** Holds a log against its checkpoints: those in the database, and the copies that were anchored outside of it. */
import type { AuditCheckpoint, Signer } from './checkpoint.js'
import type { Findings } from './findings.js'
import { MerkleTree } from './merkle.js'
import type { AuditHead, ChainedRecord } from './store.js'
import type { Read } from './verify.js'

interface Parts {
  tenantId: string
  signer: Signer
  read: Read
  findings: Findings
  /** Whether Merkle roots are made again. */
  roots: boolean
  head: AuditHead | null
}

/** A checkpoint whose entries are still to come. */
interface Open {
  checkpoint: AuditCheckpoint
  tree: MerkleTree | null
  isCopy: boolean
}

const page = 100

export class CheckpointCheck {
  readonly #parts: Parts
  /** In the order of the chain; only the first can end with the next entry. */
  readonly #open: Open[] = []
  #copies: Open[] = []
  #previous: AuditCheckpoint | null = null
  /** How far those in the database have been read. */
  #readTo = 0
  #hasSigned = false

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async begin(copies: readonly AuditCheckpoint[]): Promise<void> {
    for (const copy of copies) await this.#beginCopy(copy)
    await this.readMore()
  }

  /** What the first entry after retention must follow. */
  async hashAt(prunedSeq: number): Promise<string | null> {
    if (prunedSeq === 0) return null
    const { read, tenantId } = this.#parts
    const [found] = await read((chain) => chain.checkpoints(tenantId, prunedSeq - 1, 1))
    if (found?.toSeq === prunedSeq) return found.headHash
    this.#parts.findings.add({
      kind: 'deleted',
      seq: 1,
      detail: `No checkpoint stands for the entries 1 to ${prunedSeq}.`,
    })
    return null
  }

  /** Whether there may be more to read. */
  step({ seq, hash }: ChainedRecord): boolean {
    if (seq === null || hash === null) return false
    for (const { checkpoint, tree } of this.#copies) if (seq >= checkpoint.fromSeq) tree?.add(hash)
    for (const open of this.#copies) if (seq >= open.checkpoint.toSeq) this.#close(open, seq, hash)
    if (this.#copies.length > 0) this.#copies = this.#copies.filter(({ checkpoint }) => seq < checkpoint.toSeq)
    for (let first = this.#open[0]; first && seq >= first.checkpoint.fromSeq; first = this.#open[0]) {
      if (seq <= first.checkpoint.toSeq) first.tree?.add(hash)
      if (seq < first.checkpoint.toSeq) return false
      this.#close(first, seq, hash)
      this.#open.shift()
      if (seq === first.checkpoint.toSeq) break
    }
    return this.#open.length === 0
  }

  /** `last` is where the log ends. */
  async end(last: number): Promise<void> {
    for (const { checkpoint, isCopy } of [...this.#open, ...this.#copies]) {
      const where = isCopy ? 'An anchored checkpoint' : 'A checkpoint'
      const detail = `${where} covers the entries to ${checkpoint.toSeq}, and the log ends with ${last}.`
      this.#parts.findings.add({ kind: 'truncated', seq: last + 1, detail })
    }
    const { head, findings } = this.#parts
    if (head && head.checkpointSeq !== (this.#previous?.toSeq ?? 0)) {
      const detail = `The last checkpoint should end with entry ${head.checkpointSeq}, and ends with ${this.#previous?.toSeq ?? 0}.`
      findings.add({ kind: 'checkpoint_invalid', seq: head.checkpointSeq, detail })
    }
  }

  #close({ checkpoint, tree, isCopy }: Open, seq: number, hash: string): void {
    const { toSeq, headHash, root, count } = checkpoint
    const isSame = seq === toSeq && hash === headHash && (!tree || (tree.size === count && tree.root() === root))
    if (isSame) return
    const which = isCopy ? 'the anchored checkpoint' : 'the checkpoint'
    this.#invalid(toSeq, `The log is not the one that ${which} of entry ${toSeq} was made of.`)
  }

  async #beginCopy(copy: AuditCheckpoint): Promise<void> {
    const { tenantId, read, signer } = this.#parts
    const { toSeq } = copy
    if (copy.tenantId !== tenantId) return this.#invalid(toSeq, `The anchored checkpoint is one of ${copy.tenantId}.`)
    const flaw = signer.flaw(copy)
    if (flaw) return this.#invalid(toSeq, `The anchored checkpoint of entry ${toSeq}: ${flaw}.`)
    const [kept] = await read((chain) => chain.checkpoints(tenantId, toSeq - 1, 1))
    if (kept?.hash === copy.hash && kept.signature === copy.signature) return
    this.#invalid(toSeq, `The database does not have the anchored checkpoint of entry ${toSeq}.`)
    this.#openUp(copy, true)
  }

  /** Reads on until there is one whose entries are still to come. */
  async readMore(): Promise<void> {
    const { read, tenantId, head } = this.#parts
    while (this.#open.length === 0) {
      const list = await read((chain) => chain.checkpoints(tenantId, this.#readTo, page))
      for (const checkpoint of list) {
        // Made since we began.
        if (head && checkpoint.toSeq > head.checkpointSeq) return
        this.#take(checkpoint)
      }
      if (list.length < page) return
    }
  }

  #take(checkpoint: AuditCheckpoint): void {
    const { fromSeq, toSeq, count, previousHash } = checkpoint
    const previous = this.#previous
    const flaw = this.#parts.signer.flaw(checkpoint)
    if (flaw) this.#invalid(toSeq, `The checkpoint of entry ${toSeq}: ${flaw}.`)
    else if (this.#hasSigned && checkpoint.signature === null) {
      this.#invalid(toSeq, `The checkpoint of entry ${toSeq} is not signed, and earlier ones are.`)
    } else if (previousHash !== (previous?.hash ?? null) || fromSeq !== (previous?.toSeq ?? 0) + 1) {
      this.#invalid(toSeq, `The checkpoint of entry ${toSeq} does not follow the one before it.`)
    } else if (count !== toSeq - fromSeq + 1) {
      this.#invalid(toSeq, `The checkpoint of entry ${toSeq} has a wrong count.`)
    }
    this.#hasSigned ||= checkpoint.signature !== null
    this.#previous = checkpoint
    this.#readTo = toSeq
    this.#openUp(checkpoint, false)
  }

  #openUp(checkpoint: AuditCheckpoint, isCopy: boolean): void {
    const { head, roots } = this.#parts
    // Its entries are gone: it stands for them.
    if (checkpoint.toSeq <= (head?.prunedSeq ?? 0)) return
    const list = isCopy ? this.#copies : this.#open
    list.push({ checkpoint, tree: roots ? new MerkleTree() : null, isCopy })
  }

  #invalid(seq: number, detail: string): void {
    this.#parts.findings.add({ kind: 'checkpoint_invalid', seq, detail })
  }
}
