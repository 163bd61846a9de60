/**
 * Gives entries their places in the chain, makes checkpoints and hands both on. The transaction that writes an entry
 * takes no lock for this; whoever seals holds the head of the tenant's chain, so that two never make a fork.
 */
import { setImmediate as othersTurn } from 'node:timers/promises'
import { coreErrors } from '@org/core'
import type { Deps } from '../deps.js'
import { EntriesMoved, linksAfter } from './chain.js'
import type { Signer } from './checkpoint.js'
import { MerkleTree } from './merkle.js'
import type { AuditOptions } from './options.js'
import { entryOf } from './record.js'
import type { AuditChainStore, AuditHead } from './store.js'

export interface SealResult {
  /** Entries that got their places. */
  sealed: number
  checkpoints: number
  /** Checkpoints that `anchor` took. */
  anchored: number
  /** Entries that `stream` took. */
  streamed: number
}

export interface Sealer {
  /** Ends after what it is doing. */
  stop(): Promise<void>
}

/** Entries in one transaction of the sealer, and in one call of `stream`. */
const batch = 2000
const streamBatch = 500
/** Tenants sealed side by side: their chains have nothing to do with each other. */
const lines = 3
/** Heads and checkpoints read at once. */
const page = 100
const hour = 60 * 60 * 1000
const defaultEntries = 10_000
const longestBackoffMs = 30_000

type Parts = Pick<Deps, 'storage' | 'runtime'> & { signer: Signer }

export function createSealer({ storage, runtime, signer }: Parts, options: AuditOptions) {
  const { clock, logger } = runtime
  const { everyEntries = defaultEntries, everyMs = hour } = options.checkpoints ?? {}
  for (const [name, value] of Object.entries({ everyEntries, everyMs })) {
    if (!(Number.isInteger(value) && value > 0)) {
      throw coreErrors.setup_error({ detail: `\`audit.checkpoints.${name}\` must be a positive whole number.` })
    }
  }

  /** One batch; how many there were. Once more if an erasure came between. */
  const sealBatch = (tenantId: string) =>
    trySealing(tenantId).catch((error: unknown) => {
      if (!(error instanceof EntriesMoved)) throw error
      return trySealing(tenantId)
    })

  const trySealing = (tenantId: string) =>
    storage.run(async ({ auditChain }) => {
      const head = await auditChain.lockHead(tenantId, clock.now())
      const links = linksAfter(head, await auditChain.unsealed(tenantId, batch))
      const last = links.at(-1)
      if (!last) return 0
      await auditChain.seal(tenantId, links)
      await auditChain.moveHead(tenantId, { seq: last.seq, hash: last.hash })
      return links.length
    })

  async function sealTenant(tenantId: string): Promise<number> {
    let sealed = 0
    for (let count = batch; count === batch; sealed += count) {
      count = await sealBatch(tenantId)
      // SQLite answers without letting go of the process.
      await othersTurn()
    }
    return sealed
  }

  const isDue = ({ seq, checkpointSeq, checkpointTime }: AuditHead) =>
    seq - checkpointSeq >= everyEntries || (seq > checkpointSeq && checkpointTime <= clock.now() - everyMs)

  /** False if somebody else has made it by now. */
  const checkpoint = (tenantId: string) =>
    storage.run(async ({ auditChain }) => {
      const time = clock.now()
      const head = await auditChain.lockHead(tenantId, time)
      if (!isDue(head)) return false
      const tree = new MerkleTree()
      const toSeq = Math.min(head.seq, head.checkpointSeq + everyEntries)
      let headHash = ''
      for await (const hash of hashesOf(auditChain, tenantId, head.checkpointSeq, toSeq)) {
        tree.add(hash)
        headHash = hash
      }
      const made = signer.sign({
        ...{ tenantId, fromSeq: head.checkpointSeq + 1, toSeq, count: tree.size, root: tree.root(), headHash },
        ...{ previousHash: head.checkpointHash, time },
      })
      await auditChain.addCheckpoint(made)
      // One that is cut off at the limit says nothing about the time since the next.
      const checkpointTime = toSeq === head.seq ? time : head.checkpointTime
      await auditChain.moveHead(tenantId, { checkpointSeq: toSeq, checkpointHash: made.hash, checkpointTime })
      return true
    })

  async function* headsDue(due: Parameters<AuditChainStore['headsDue']>[0]): AsyncGenerator<AuditHead> {
    for (let after: string | null = null; ; ) {
      const heads: AuditHead[] = await storage.read(({ auditChain }) => auditChain.headsDue(due, after, page))
      yield* heads
      if (heads.length < page) return
      after = heads.at(-1)?.tenantId ?? null
    }
  }

  /** Outside of any transaction: what fails is tried again the next time. */
  async function anchor(): Promise<number> {
    if (!options.anchor) return 0
    let anchored = 0
    for (const made of await storage.read(({ auditChain }) => auditChain.unanchored(page))) {
      try {
        await inTime(options.anchor(made))
      } catch (error) {
        logger.error('A checkpoint of the audit log could not be anchored; it will be tried again', {
          ...{ tenantId: made.tenantId, toSeq: made.toSeq, error },
        })
        return anchored
      }
      await storage.run(({ auditChain }) => auditChain.markAnchored(made.tenantId, made.toSeq))
      anchored++
    }
    return anchored
  }

  async function streamTenant({ tenantId, streamedSeq }: AuditHead, stream: NonNullable<AuditOptions['stream']>) {
    let streamed = 0
    for (let after = streamedSeq; ; ) {
      const records = await storage.read(({ auditChain }) => auditChain.sealed(tenantId, after, streamBatch))
      const last = records.at(-1)?.seq
      if (last === undefined || last === null) return streamed
      try {
        await inTime(stream(records.map(entryOf)))
      } catch (error) {
        logger.error('Entries of the audit log could not be streamed; they will come again', { tenantId, error })
        if (error instanceof NoAnswer) throw error
        return streamed
      }
      await storage.run(async ({ auditChain }) => {
        const head = await auditChain.lockHead(tenantId, clock.now())
        // Whoever streams beside us may be further.
        if (head.streamedSeq < last) await auditChain.moveHead(tenantId, { streamedSeq: last })
      })
      streamed += records.length
      after = last
      await othersTurn()
    }
  }

  /** Goes on after what fails for one tenant: it must not keep the others waiting. @throws the first of the errors. */
  async function seal({ tenantId: only }: { tenantId?: string | undefined } = {}): Promise<SealResult> {
    const result: SealResult = { sealed: 0, checkpoints: 0, anchored: 0, streamed: 0 }
    const errors: unknown[] = []
    const attempt = (work: Promise<unknown>) => work.catch((error: unknown) => errors.push(error))

    let next: Promise<string | null> = only === undefined ? nextTenant(null) : Promise.resolve(only)
    /** Takes tenant after tenant, each once. */
    const line = async () => {
      for (;;) {
        const taken = next
        const tenantId = await taken
        if (tenantId === null) return
        // Whoever waited for the same one finds the next.
        if (taken !== next) continue
        next = only === undefined ? nextTenant(tenantId) : Promise.resolve(null)
        await attempt(sealTenant(tenantId).then((sealed) => (result.sealed += sealed)))
      }
    }
    await Promise.all(Array.from({ length: lines }, line))
    const isWanted = (head: AuditHead) => only === undefined || head.tenantId === only
    const due = { entries: everyEntries, before: clock.now() - everyMs }
    for await (const head of headsDue({ checkpoint: due })) {
      if (isWanted(head)) await attempt(checkpointAll(head.tenantId).then((made) => (result.checkpoints += made)))
    }
    await attempt(anchor().then((anchored) => (result.anchored += anchored)))
    const { stream } = options
    if (stream) {
      for await (const head of headsDue({ stream: true })) {
        if (isWanted(head)) await attempt(streamTenant(head, stream).then((sent) => (result.streamed += sent)))
        // What hangs for one tenant hangs for the others, and sealing waits.
        if (errors.some((error) => error instanceof NoAnswer)) break
      }
    }
    if (errors.length > 0) throw errors[0]
    return result
  }

  const nextTenant = (after: string | null) => storage.read(({ auditChain }) => auditChain.nextUnsealedTenant(after))

  async function checkpointAll(tenantId: string): Promise<number> {
    let made = 0
    for (; await checkpoint(tenantId); made++) await othersTurn()
    return made
  }

  function startSealer({ everyMs: pauseMs = 1000 }: { everyMs?: number | undefined } = {}): Sealer {
    if (!(Number.isInteger(pauseMs) && pauseMs > 0 && pauseMs < 2 ** 31)) {
      throw coreErrors.setup_error({
        detail: '`everyMs` of the sealer must be a positive whole number of milliseconds.',
      })
    }
    let stopping = false
    let wake = () => {}
    const wait = (ms: number) =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    const run = async () => {
      for (let failures = 0; !stopping; ) {
        let pause = pauseMs
        try {
          await seal()
          failures = 0
        } catch (error) {
          pause = Math.max(pauseMs, Math.min(pauseMs * 2 ** ++failures, longestBackoffMs))
          logger.error('The sealer of the audit log failed and goes on', { error, nextTryInMs: pause })
        }
        if (!stopping) await wait(pause)
      }
    }
    const running = run()
    return {
      async stop() {
        stopping = true
        wake()
        await running
      },
    }
  }

  return { seal, startSealer }
}

/** How long `anchor` and `stream` may take, in milliseconds. */
const hookTimeoutMs = 30_000

class NoAnswer extends Error {}

/** A hook that hangs must not keep the sealer from everybody's entries. */
async function inTime(answer: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NoAnswer(`no answer within ${hookTimeoutMs} ms`)), hookTimeoutMs)
  })
  try {
    await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

/** The chain's hashes in a range. @throws Error if one is missing: a checkpoint must not cover up a gap. */
async function* hashesOf(chain: AuditChainStore, tenantId: string, afterSeq: number, toSeq: number) {
  for (let seq = afterSeq; seq < toSeq; ) {
    const rows = await chain.hashes(tenantId, seq, Math.min(batch, toSeq - seq))
    for (const row of rows) {
      if (row.seq !== ++seq) break
      yield row.hash
    }
    if (rows.at(-1)?.seq !== seq) throw new Error(`The audit log of ${tenantId} has no entry ${seq}: call verify.`)
  }
}
