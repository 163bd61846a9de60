/** Transactions for memory storage: one writer at a time, an undo log, and several modules in one transaction. */
import { coreErrors } from '../errors.js'
import type { Logger } from '../runtime.js'
import type { Storage, Tx } from '../storage.js'

/** Collects how to take back what a transaction, or a savepoint in one, did. */
export class MemoryTransaction {
  readonly #outer: MemoryTransaction | null
  readonly #undo: (() => void)[] = []
  #open = true
  #lastSavepoint: Promise<unknown> = Promise.resolve()

  constructor(outer: MemoryTransaction | null = null) {
    this.#outer = outer
  }

  /** The one that this is a savepoint of; null for none. Named as Knex names it. */
  get parentTransaction(): MemoryTransaction | null {
    return this.#outer
  }

  get isOpen(): boolean {
    return this.#open && (this.#outer?.isOpen ?? true)
  }

  onRollback(undo: () => void): void {
    this.#undo.push(undo)
  }

  /** Runs `work`, and takes back what it did if it throws. Ends with it either way. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    try {
      const result = await work()
      for (const undo of this.#undo) this.#outer?.onRollback(undo)
      return result
    } catch (error) {
      for (const undo of this.#undo.reverse()) undo()
      throw error
    } finally {
      this.#open = false
    }
  }

  /** A part of this transaction that can fail by itself. Those begun side by side run one after another. */
  savepoint<T>(work: (savepoint: MemoryTransaction) => Promise<T>): Promise<T> {
    const savepoint = new MemoryTransaction(this)
    const result = this.#lastSavepoint.then(() => savepoint.during(() => work(savepoint)))
    this.#lastSavepoint = result.catch(() => {})
    return result
  }
}

/** The longest that a transaction waits for the one before it, in milliseconds. */
const lockTimeout = 10_000

/**
 * What several memory storages share so that the host can write to all of them in one transaction:
 *
 * ```ts
 * const database = memoryDatabase()
 * const webhooks = createWebhooks({ storage: memoryStorage({ database }) })
 * await database.transaction((tx) => webhooks.publish(message, { tx }))
 * ```
 */
export interface MemoryDatabase {
  transaction<T>(work: (tx: MemoryTransaction) => Promise<T>): Promise<T>
}

/** Makes one. Transactions run one after another; a failed one takes back all that it did. */
export function memoryDatabase(): MemoryDatabase {
  let last: Promise<unknown> = Promise.resolve()
  return {
    async transaction(work) {
      const before = last
      let release = () => {}
      last = new Promise<void>((resolve) => {
        release = resolve
      })
      const tx = new MemoryTransaction()
      try {
        await inTime(before)
        return await tx.during(() => work(tx))
      } finally {
        // Whoever waits must also wait for those before us, even if we gave up.
        before.then(release, release)
      }
    },
  }
}

async function inTime(before: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(waited()), lockTimeout)
  })
  try {
    await Promise.race([before, timeout])
  } finally {
    clearTimeout(timer)
  }
}

function waited() {
  return coreErrors.busy({
    detail: 'Waited 10 s for another transaction. A call made inside a transaction must be given its `tx`.',
  })
}

/** Said once by a module that was given no storage. */
export function warnOfMemory(logger: Logger, name: string): void {
  logger.warn(
    `${name} keeps everything in memory, which is lost with the process; pass \`storage: knexStorage(knex)\`.`,
  )
}

/**
 * The unit of work over memory. It joins a transaction of any memory storage, so that modules wired together by event
 * sinks commit or roll back together even when each has a database of its own.
 */
export function memoryUnitOfWork<Stores>(
  database: MemoryDatabase,
  bind: (tx: MemoryTransaction) => Stores,
): Storage<Stores> {
  const owns = (tx: Tx): tx is MemoryTransaction => tx instanceof MemoryTransaction && tx.isOpen
  const checked = (tx: Tx) => {
    if (owns(tx)) return tx
    throw coreErrors.foreign_transaction({ detail: 'Memory storage takes an open transaction of a memoryDatabase().' })
  }
  return {
    owns,
    async run(work, tx) {
      if (!tx) return database.transaction((own) => work(bind(own), own))
      return checked(tx).savepoint((savepoint) => work(bind(savepoint), savepoint))
    },
    read: async (work, tx) => work(bind(tx ? checked(tx) : new MemoryTransaction())),
  }
}
