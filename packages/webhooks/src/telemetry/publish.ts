/** A span for what is published, within the host's own trace. */
import {
  type Attributes,
  context,
  isSpanContextValid,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { isProblem } from '@org/core'
import type { Published } from '../messages/schema.js'
import { isTraced, scopeName } from './scope.js'

const common = {
  'messaging.system': 'webhooks',
  'messaging.operation.name': 'publish',
  'messaging.operation.type': 'create',
} satisfies Attributes

/** The span `publish <type>` around `work`. */
export function tracePublish<Answer extends Published>(type: string, work: () => Promise<Answer>): Promise<Answer> {
  if (!isTraced()) return work()
  return traced(`publish ${type}`, { ...common, 'messaging.destination.name': type }, work, (span, answer) => {
    span.setAttribute('messaging.message.id', answer.messageId)
    if (answer.duplicate) span.setAttribute('webhooks.duplicate', true)
    if (answer.deliveries !== null) span.setAttribute('webhooks.deliveries', answer.deliveries)
  })
}

/** The span `publish` around what publishes many at once. */
export function tracePublishBatch<Answer>(size: number, work: () => Promise<Answer>): Promise<Answer> {
  if (!isTraced()) return work()
  return traced('publish', { ...common, 'messaging.batch.message_count': size }, work, () => {})
}

async function traced<Answer>(
  name: string,
  attributes: Attributes,
  work: () => Promise<Answer>,
  describe: (span: Span, answer: Answer) => void,
): Promise<Answer> {
  const span = trace.getTracer(scopeName).startSpan(name, { kind: SpanKind.PRODUCER, attributes })
  if (!isSpanContextValid(span.spanContext())) return work()
  try {
    const answer = await context.with(trace.setSpan(context.active(), span), work)
    describe(span, answer)
    return answer
  } catch (error) {
    const code = isProblem(error) ? error.code : error instanceof Error ? error.name : 'error'
    span.setAttribute('error.type', code).setStatus({ code: SpanStatusCode.ERROR, message: code })
    throw error
  } finally {
    span.end()
  }
}
