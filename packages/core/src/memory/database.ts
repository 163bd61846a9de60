/** Transactions for memory storage: one writer at a time, an undo log, and several modules in one transaction. */
import { coreErrors } from '../errors.js'
import type { Storage, Tx } from '../storage.js'

/** Collects how to take back what a transaction did. */
export class MemoryTransaction {
  readonly #undo: (() => void)[] = []
  #open = true

  get isOpen(): boolean {
    return this.#open
  }

  onRollback(undo: () => void): void {
    this.#undo.push(undo)
  }

  /** Undoes what `work` did if it throws, and leaves the rest of the transaction as it was. */
  async savepoint<T>(work: () => Promise<T>): Promise<T> {
    const mark = this.#undo.length
    try {
      return await work()
    } catch (error) {
      for (const undo of this.#undo.splice(mark).reverse()) undo()
      throw error
    }
  }

  close(): void {
    this.#open = false
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
        return await tx.savepoint(() => work(tx))
      } finally {
        tx.close()
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
      const joined = checked(tx)
      return joined.savepoint(() => work(bind(joined), joined))
    },
    read: async (work, tx) => work(bind(tx ? checked(tx) : new MemoryTransaction())),
  }
}
