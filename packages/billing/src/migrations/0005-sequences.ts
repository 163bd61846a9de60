import { createTable } from '@org/core/knex'

export const sequences = createTable('0005-sequences', 'sequences', (column) => {
  column.id('name', 64).primary()
  column.bigint('value')
})
