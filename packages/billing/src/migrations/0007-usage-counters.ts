import { createTable } from '@org/core/knex'

export const usageCounters = createTable('0007-usage-counters', 'usage_counters', (column, table) => {
  column.id('tenant_id')
  column.id('holder', 64)
  column.id('meter', 64)
  column.bigint('window_start')
  column.bigint('used')
  column.flag('closed')
  column.bigint('marked_limit')
  // A share such as 0.8, as text: databases differ in what a floating-point number comes back as.
  column.json('alerted')
  column.flag('exceeded')
  table.primary(['tenant_id', 'holder', 'window_start', 'meter']) // consume(), counters(), recount()
})
