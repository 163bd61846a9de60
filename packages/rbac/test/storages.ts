import { storageTargets } from '@org/core/testing'
import { memoryStorage } from '@org/rbac'
import { knexStorage, migrate } from '@org/rbac/knex'

/** The four storages that behaviour is tested on. */
export const storages = () => storageTargets({ memory: memoryStorage, knex: knexStorage, migrate })
