import { createRbac } from '@org/rbac'
import { knexStorage, postgresBus } from '@org/rbac/knex'
import { redisBus } from '@org/rbac/redis'
import { Redis } from 'ioredis'
import type { Knex } from 'knex'

export function bounded(knex: Knex) {
  const rbac = createRbac({ storage: knexStorage(knex), cache: { maxStaleMs: 500 } })
  return rbac
}

export function strict(knex: Knex) {
  const rbac = createRbac({ storage: knexStorage(knex), cache: { strict: true } })
  return rbac
}

export function onPostgres(knex: Knex) {
  const rbac = createRbac({ storage: knexStorage(knex), cache: { bus: postgresBus(knex) } })
  const sync = rbac.startCacheSync()
  // When the process ends: await sync.stop()
  return { rbac, sync }
}

export function onRedis(knex: Knex, url: string) {
  const [publisher, subscriber] = [new Redis(url), new Redis(url)]
  const rbac = createRbac({ storage: knexStorage(knex), cache: { bus: redisBus({ publisher, subscriber }) } })
  const sync = rbac.startCacheSync()
  return { rbac, sync, publisher, subscriber }
}
