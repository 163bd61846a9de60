/** What can go wrong in this module, beyond core's errors. Match on `code`. */
import { defineErrors } from '@org/core'

export const webhooksErrors = defineErrors('webhooks', {
  endpoint_disabled: { status: 409, title: 'The endpoint is disabled' },
  endpoint_unverified: { status: 409, title: 'The endpoint has not been verified' },
  challenge_failed: { status: 422, title: 'The endpoint did not answer the challenge' },
  endpoint_deleted: { status: 409, title: 'The endpoint was deleted' },
  delivery_in_flight: { status: 409, title: 'The delivery is being sent right now' },
  delivery_ended: { status: 409, title: 'The delivery has already ended' },
  payload_expunged: { status: 409, title: 'The payload of the message was expunged' },
  job_ended: { status: 409, title: 'The job has already ended' },
})
