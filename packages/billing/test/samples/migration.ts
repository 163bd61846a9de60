import { migrate } from '@org/billing/knex'
import type { Knex } from 'knex'

// MySQL and MariaDB commit at each DDL statement, so the step must not stand in a transaction of Knex's.
export const config = { transaction: false }
export const up = (knex: Knex) => migrate(knex)
export const down = async () => {}
