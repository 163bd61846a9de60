import type { AuditCheckpoint, AuditKey } from './checkpoint.js'
import type { AuditEntry } from './schema.js'

/** How the log is kept: `createRbac({ audit: { … } })`. */
export interface AuditOptions {
  /**
   * Names of further fields whose values never reach the log, beside those of passwords, tokens, keys and the like. Case
   * and underscores do not count: `nationalId` is also `national_id`.
   */
  redact?: readonly string[] | undefined
  /**
   * Names of further fields that hold users' ids, by which `erase` finds whom an entry of yours names, beside `userId`,
   * `ownerId`, `createdBy` and the like. Compared as those of `redact`.
   */
  userFields?: readonly string[] | undefined
  /**
   * Gives each entry its place in the chain at once, in the transaction that writes it. Nothing is ever unsealed, and the
   * writers of one tenant wait for each other from their first entry to their commit. Checkpoints, anchoring and the
   * stream still need the sealer.
   */
  inline?: boolean | undefined
  checkpoints?:
    | {
        /** A checkpoint after this many entries; 10,000 unless told. */
        everyEntries?: number | undefined
        /** And after this time, if there were any; an hour unless told. */
        everyMs?: number | undefined
      }
    | undefined
  /** What checkpoints are signed with. Without one they are chained, and anybody who can write the database can forge them. */
  signingKey?: AuditKey | undefined
  /** Keys that signed earlier ones; of Ed25519 the public key is enough. */
  olderKeys?: readonly AuditKey[] | undefined
  /**
   * Takes a checkpoint out of the database's reach: to an object store, a ticket, another company. Called by the sealer
   * after the checkpoint is committed, and again until it succeeds within 30 seconds: at least once for each.
   */
  anchor?: ((checkpoint: AuditCheckpoint) => Promise<void>) | undefined
  /**
   * Takes sealed entries away to a SIEM or a queue, those of one tenant in the order of its chain. Called by the sealer;
   * what it throws, or no answer within 30 seconds, makes the same entries come again: at least once for each.
   */
  stream?: ((entries: readonly AuditEntry[]) => Promise<void>) | undefined
  /** How many refused attempts of one actor are logged in a minute, before they are only counted; 10 unless told. */
  deniedPerMinute?: number | undefined
}
