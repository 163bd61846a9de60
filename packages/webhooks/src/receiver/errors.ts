/** What a receiver answers. A sender takes each as a failure and tries again later. */
import { defineErrors } from '@org/core'

export const receiverErrors = defineErrors('webhooks', {
  missing_header: { status: 400, title: 'A header of the signature is missing' },
  malformed_header: { status: 400, title: 'A header of the signature cannot be read' },
  timestamp_too_old: { status: 400, title: 'The webhook was signed too long ago' },
  timestamp_too_new: { status: 400, title: 'The webhook was signed in the future' },
  malformed_payload: { status: 400, title: 'The body is not JSON' },
  signature_mismatch: { status: 401, title: 'The signature does not match' },
  webhook_in_progress: { status: 409, title: 'The webhook is being handled right now' },
})
