/** Publishing to one endpoint in the host's transaction, against inserts of the same two rows. */
import { createRuntime } from '@org/core'
import { createWebhooks } from '@org/webhooks'
import { knexStorage, migrate } from '@org/webhooks/knex'
import { inTransactions } from '../../core/bench/databases.js'
import type { Comparison } from '../../core/bench/harness.js'
import { silent } from '../../core/bench/http.js'

/** It may cost one and a half times as much. */
const floor = 0.667

const measured = await inTransactions(
  { bench: 'webhooks/publish', subject: 'publish(…, { tx })', reference: 'two bare inserts in the transaction' },
  async ({ knex }) => {
    await migrate(knex)
    const webhooks = createWebhooks({ logger: silent, storage: knexStorage(knex) })
    await webhooks.endpoints.create({ tenantId: 'acme' }, { url: 'https://hooks.example.com/' })
    const message = { tenantId: 'acme', type: 'key.created', data: { keyId: 'key_1' } } as const
    await webhooks.publish(message)
    const [messageRow] = await knex('webhooks_messages').select('*')
    const [deliveryRow] = await knex('webhooks_deliveries').select('*')
    const { id } = createRuntime()
    return {
      subject: (tx) => webhooks.publish(message, { tx }),
      async reference(tx) {
        const messageId = id('msg')
        await tx('webhooks_messages').insert({ ...messageRow, id: messageId })
        await tx('webhooks_deliveries').insert({ ...deliveryRow, id: id('del'), message_id: messageId })
      },
    }
  },
)

export const publishing: Comparison[] = measured.map((comparison) => ({ ...comparison, floor }))
