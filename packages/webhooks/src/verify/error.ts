/** Why a webhook was not believed. */

export type VerificationErrorCode =
  /** A setting of the receiver's own: no secret, or one that is neither `whsec_…` nor `whpk_…`. */
  | 'invalid_secret'
  /** A setting of the receiver's own: the tolerance or `now` is not a usable number. */
  | 'invalid_option'
  /** The body was already parsed; pass the bytes that were received. */
  | 'invalid_body'
  | 'missing_header'
  | 'malformed_header'
  | 'timestamp_too_old'
  | 'timestamp_too_new'
  | 'signature_mismatch'
  /** The signature is right, but the body is not JSON. */
  | 'malformed_payload'

/** Match on `code`. Answer 400 and do nothing with the request. */
export class WebhookVerificationError extends Error {
  override readonly name = 'WebhookVerificationError'

  constructor(
    readonly code: VerificationErrorCode,
    message: string,
  ) {
    super(message)
  }
}
