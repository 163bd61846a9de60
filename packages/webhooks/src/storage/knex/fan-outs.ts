/** Which messages are to be fanned out next, in SQL. */
import { type Dialect, dialectOf } from '@org/core/knex'
import type { Knex } from 'knex'
import { rowsOf } from './rows.js'

/** Among the oldest of so many tenants a worker looks for one that nobody else is fanning out. */
const maxTenants = 200

/** The ids of each tenant's oldest, the oldest first. Steps from tenant to tenant, however many wait of each. */
export async function oldestToFanOut(db: Knex, name: string): Promise<string[]> {
  const dialect = dialectOf(db)
  if (dialect === 'mysql') return stepsOnMysql(db, name)
  const sql = `${oldestOf[dialect](name)} order by id limit ${maxTenants}`
  return rowsOf<{ id: string }>(db, await db.raw(sql)).map(({ id }) => id)
}

/** A statement for each tenant: MariaDB takes no index for what is beyond a row of another table. */
async function stepsOnMysql(db: Knex, name: string): Promise<string[]> {
  const ids: string[] = []
  for (let after = ''; ; ) {
    const sql = `select tenant_id as tenant, id from ${name} force index (${name}_fan_out)
      where fanning = 1 and tenant_id > ? order by tenant_id, id limit 1`
    const [next] = rowsOf<{ tenant: string; id: string }>(db, await db.raw(sql, [after]))
    if (!next) return ids.sort().slice(0, maxTenants)
    ids.push(next.id)
    after = next.tenant
  }
}

const waiting = 'fan_out_after is not null'

const oldestOf: Readonly<Record<Exclude<Dialect, 'mysql'>, (name: string) => string>> = {
  postgres(name) {
    const first = (condition: string) =>
      `(select tenant_id, id from ${name} where ${waiting}${condition} order by tenant_id, id limit 1)`
    return `with recursive t as (${first('')} union all
      select n.* from t cross join lateral ${first(' and tenant_id > t.tenant_id')} n) select id from t`
  },
  sqlite(name) {
    const next = `select min(tenant_id) from ${name} where ${waiting}`
    return `with recursive t (tenant_id) as (${next} union all
      select (${next} and tenant_id > t.tenant_id) from t where t.tenant_id is not null)
      select (select min(id) from ${name} where ${waiting} and tenant_id = t.tenant_id) as id
      from t where t.tenant_id is not null`
  },
}
