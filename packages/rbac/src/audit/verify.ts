/** Reads a tenant's whole log and says what was done to it, and where. In memory for three batches. */
import { setImmediate as othersTurn } from 'node:timers/promises'
import { checkScope, parse, type Scope } from '@org/core'
import { z } from 'zod'
import type { Deps } from '../deps.js'
import { genesis, linkHash } from './chain.js'
import { AuditCheckpoint, type Signer } from './checkpoint.js'
import { CheckpointCheck } from './checkpoint-check.js'
import { whatDiffers, whatIsShown } from './content-check.js'
import { type Finding, Findings } from './findings.js'
import type { AuditHead, AuditPosition, ChainedRecord, TargetRow } from './store.js'

export type { Finding } from './findings.js'

export interface AuditVerification {
  /** Whether nothing was found. Entries that wait for the sealer are none. */
  ok: boolean
  /** All that were read. */
  entries: number
  sealed: number
  unsealed: number
  /** How many have had personal parts erased. */
  erased: number
  /** How many retention has removed; checkpoints stand for them. */
  pruned: number
  findings: Finding[]
  /** Findings beyond the first 1,000. */
  omitted: number
}

export interface VerifyOptions {
  /** What `anchor` was given. Only these show that the end of a log was cut off with everything that told of it. */
  checkpoints?: readonly AuditCheckpoint[] | undefined
  /** Told after each batch how many entries have been read. */
  onProgress?: ((progress: { entries: number }) => void) | undefined
  /** Also makes the checkpoints' Merkle roots again. The chain binds the same entries already; this takes half as long again. */
  roots?: boolean | undefined
}

const batch = 1000
/** Entries that are checked before others have their turn. */
const turn = 250

export function createVerify({ storage }: Pick<Deps, 'storage'>, signer: Signer) {
  return async (scope: Scope, options: VerifyOptions = {}): Promise<AuditVerification> => {
    const { tenantId, tx } = checkScope(scope)
    const { checkpoints: copies = [], onProgress, roots = false } = options
    parse(z.array(AuditCheckpoint), copies, '/checkpoints')
    const read: Read = (work) => storage.read(({ auditChain }) => work(auditChain), tx)
    const head = await read((chain) => chain.head(tenantId))
    const findings = new Findings()
    const checkpoints = new CheckpointCheck({ tenantId, signer, read, findings, roots, head })
    await checkpoints.begin(copies)

    const walk = new Walk(findings, head, await checkpoints.hashAt(head?.prunedSeq ?? 0))
    let progress = 0
    for await (const { rows, targets } of batches(read, tenantId, head?.prunedSeq ?? 0)) {
      const slow: ChainedRecord[] = []
      for (const [i, row] of rows.entries()) {
        // SQLite answers without letting go of the process, a log may take minutes, and what is read ahead has to come in.
        if (i % turn === 0) await othersTurn()
        if (head && (row.seq ?? 0) > head.seq) break
        const gap = walk.gapBefore(row)
        if (gap && !(await wasPruned(read, tenantId, row))) findings.add(gap)
        walk.step(row, slow, targets.get(row.id))
        if (checkpoints.step(row)) await checkpoints.readMore()
      }
      await walk.lookCloser(slow, read, tenantId, targets)
      progress += rows.length
      onProgress?.({ entries: progress })
      if (head && (rows.at(-1)?.seq ?? 0) > head.seq) {
        await beyondHead(read, tenantId, rows, findings)
        break
      }
    }
    // The first sealer may have been here since we began.
    if (head || !(await read((chain) => chain.head(tenantId)))) walk.end()
    await checkpoints.end(walk.last)

    let unsealed = 0
    for (let after: AuditPosition | null = null; ; ) {
      const rows: ChainedRecord[] = await read((chain) => chain.unsealedRecords(tenantId, { limit: batch, after }))
      const slow = rows.filter((row) => !whatIsShown(row, null))
      await walk.lookCloser(slow, read, tenantId, null)
      unsealed += rows.length
      onProgress?.({ entries: progress + unsealed })
      const last = rows.at(-1)
      if (!last || rows.length < batch) break
      after = [last.time, last.id]
      await othersTurn()
    }
    const { sealed, erased } = walk
    const found = findings.all()
    return {
      ...{ ok: found.length === 0, entries: sealed + unsealed, sealed, unsealed, erased, pruned: head?.prunedSeq ?? 0 },
      ...{ findings: found, omitted: findings.omitted },
    }
  }
}

type Chain = Parameters<Parameters<Deps['storage']['read']>[0]>[0]['auditChain']
export type Read = <T>(work: (chain: Chain) => Promise<T>) => Promise<T>

interface Batch {
  rows: ChainedRecord[]
  targets: Map<string, TargetRow[]>
}

/** Reads two batches ahead, while one is checked. */
async function* batches(read: Read, tenantId: string, afterSeq: number): AsyncGenerator<Batch> {
  const load = async (after: number): Promise<Batch> => {
    const rows = await read((chain) => chain.sealed(tenantId, after, batch))
    const targets = new Map<string, TargetRow[]>()
    for (const target of rows.length > 0 ? await read((chain) => chain.targets(tenantId, rows)) : []) {
      const list = targets.get(target.entryId)
      if (list) list.push(target)
      else targets.set(target.entryId, [target])
    }
    return { rows, targets }
  }
  const loadAfter = (earlier: Promise<Batch>): Promise<Batch> => {
    const loading = earlier.then(({ rows }) => {
      const last = rows.length === batch ? rows.at(-1)?.seq : null
      return last ? load(last) : { rows: [], targets: new Map() }
    })
    // If nobody comes for it, its failure is nobody's.
    loading.catch(() => {})
    return loading
  }
  let current = load(afterSeq)
  let next = loadAfter(current)
  for (;;) {
    const loaded = await current
    if (loaded.rows.length === 0) return
    const afterNext = loadAfter(next)
    yield loaded
    current = next
    next = afterNext
  }
}

/** Entries that retention has removed since we began are not missing. */
async function wasPruned(read: Read, tenantId: string, row: ChainedRecord): Promise<boolean> {
  const head = await read((chain) => chain.head(tenantId))
  return head !== null && head.prunedSeq >= (row.seq ?? 0) - 1
}

/** Sealed since we began, or put there by somebody who is not the sealer. */
async function beyondHead(read: Read, tenantId: string, rows: ChainedRecord[], findings: Findings): Promise<void> {
  const head = await read((chain) => chain.head(tenantId))
  for (const { seq, id } of rows) {
    if (seq !== null && seq > (head?.seq ?? 0)) {
      findings.add({ kind: 'forked', seq, entryId: id, detail: 'It stands behind the end of the chain.' })
    }
  }
}

/** Somebody may have been erased from an entry between our reads of it and of its targets: looks once more at both. */
async function isWholeNow(row: ChainedRecord, read: Read, tenantId: string): Promise<boolean> {
  const { seq } = row
  if (seq === null) return false
  const [now] = await read((chain) => chain.sealed(tenantId, seq - 1, 1))
  if (now?.id !== row.id) return false
  const targets = await read((chain) => chain.targets(tenantId, [now]))
  const texts = await read((chain) => chain.canonical(tenantId, [[now.time, now.id]]))
  return whatDiffers(now, texts.get(now.id) ?? '', targets) === null
}

/** Goes along the chain. */
class Walk {
  sealed = 0
  erased = 0
  /** The last place seen. */
  last: number
  readonly #findings: Findings
  readonly #head: AuditHead | null
  /** What the next link must name; null after a place that cannot be trusted. */
  #previous: string | null
  #lastHash = ''

  constructor(findings: Findings, head: AuditHead | null, hashBefore: string | null) {
    this.#findings = findings
    this.#head = head
    this.last = head?.prunedSeq ?? 0
    this.#previous = this.last === 0 ? genesis : hashBefore
  }

  gapBefore({ seq }: ChainedRecord): Finding | null {
    const expected = this.last + 1
    if (seq === null || seq <= expected) return null
    this.#previous = null
    const which = seq - 1 === expected ? `Entry ${expected} is` : `Entries ${expected} to ${seq - 1} are`
    return { kind: 'deleted', seq: expected, detail: `${which} missing.` }
  }

  step(row: ChainedRecord, slow: ChainedRecord[], targets: TargetRow[] | undefined): void {
    const { id, contentHash } = row
    const [seq, prevHash, hash] = [row.seq ?? 0, row.prevHash ?? '', row.hash ?? '']
    this.sealed++
    if (row.whoSalt === null || row.whatSalt === null) this.erased++
    const linked = linkHash(prevHash, seq, contentHash) === hash
    if (!whatIsShown(row, targets ?? [])) slow.push(row)
    if (!linked) this.#findings.misplaced(row)
    else if (seq <= this.last) {
      this.#findings.add({ kind: 'forked', seq, entryId: id, detail: `There are two entries ${seq}.` })
    } else if (this.#previous !== null && prevHash !== this.#previous) {
      const detail = 'It does not follow the entry before it: one of them was written anew.'
      this.#findings.add({ kind: 'forked', seq, entryId: id, detail })
    }
    this.#previous = linked ? hash : null
    this.#lastHash = hash
    this.last = Math.max(this.last, seq)
  }

  /** At those that the quick look does not clear: erased ones, and those that were edited. */
  async lookCloser(
    rows: ChainedRecord[],
    read: Read,
    tenantId: string,
    targets: Map<string, TargetRow[]> | null,
  ): Promise<void> {
    if (rows.length === 0) return
    const texts = await read((chain) =>
      chain.canonical(
        tenantId,
        rows.map(({ time, id }): AuditPosition => [time, id]),
      ),
    )
    for (const row of rows) {
      const changed = whatDiffers(row, texts.get(row.id) ?? '', targets && (targets.get(row.id) ?? []))
      if (changed === null || (await isWholeNow(row, read, tenantId))) continue
      this.#findings.add({ kind: 'edited', seq: row.seq, entryId: row.id, detail: `What was changed: ${changed}.` })
    }
  }

  end(): void {
    if (!this.#head) {
      if (this.sealed > 0)
        this.#findings.add({ kind: 'truncated', seq: this.last, detail: 'The head of the chain is missing.' })
      return
    }
    const { seq, hash } = this.#head
    if (this.last < seq) {
      const detail = `The log ends with entry ${this.last}, and its head says ${seq}.`
      this.#findings.add({ kind: 'truncated', seq: this.last + 1, detail })
    } else if (this.sealed > 0 && this.#previous !== null && this.#lastHash !== hash) {
      this.#findings.add({ kind: 'forked', seq, detail: 'The head of the chain does not fit the last entry.' })
    }
  }
}
