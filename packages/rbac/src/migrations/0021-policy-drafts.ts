import { createTable } from '@org/core/knex'

export const policyDrafts = createTable('0021-policy-drafts', 'policy_drafts', (column) => {
  column.id('tenant_id').primary() // draft, addDraft, changeDraft, removeDraft
  column.json('document')
  column.bigint('based_on')
  column.id('etag', 64)
  column.id('author_type', 16)
  column.id('author_id')
  column.bigint('updated_at')
})
