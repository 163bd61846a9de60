/** What a worker reports of what it sends. */
import {
  type Attributes,
  metrics,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import type { Attempt } from '../deliveries/schema.js'
import type { Result } from '../delivery/attempt.js'
import type { Sender } from '../delivery/sender.js'
import { isMetered, isTraced, scopeName, withoutTracing } from './scope.js'

/** The upper bounds of the histogram, in seconds: those of `http.client.request.duration`, and up to our deadline. */
const durationBounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 30]

export interface Watched {
  /** The sender to use in place of the one that was given. */
  sender: Sender
  /** To be called with what was written. */
  finished(results: readonly Result[]): void
}

/** Asks once whether anybody listens: a worker that was started before its SDK reports nothing. */
export function watchSender(sender: Sender): Watched {
  const reports = [isMetered() ? meterOf() : null, isTraced() ? tracerOf() : null].filter((report) => report !== null)
  if (reports.length === 0) return { sender, finished() {} }
  return {
    sender: reports.reduce((watched, report) => report.watch(watched), sender),
    finished(results) {
      for (const report of reports) for (const result of results) report.note(result)
    },
  }
}

interface Report {
  watch(sender: Sender): Sender
  note(result: Result): void
}

/** Names neither a tenant nor an endpoint: there may be any number of them. */
function meterOf(): Report {
  const meter = metrics.getMeter(scopeName)
  const deliveries = meter.createCounter('webhooks.deliveries', {
    description: 'Deliveries that were claimed, by what became of them',
    unit: '{delivery}',
  })
  const duration = meter.createHistogram('webhooks.attempt.duration', {
    description: 'How long attempts took, from the wait for a connection to the end of the answer',
    unit: 's',
    advice: { explicitBucketBoundaries: durationBounds },
  })
  const inFlight = meter.createUpDownCounter('webhooks.attempts.in_flight', {
    description: 'Attempts that are being sent',
    unit: '{attempt}',
  })
  const attributesOf = new Map<string, Attributes>()

  function attributesFor(outcome: string, eventType: string): Attributes {
    const key = `${outcome} ${eventType}`
    const attributes = attributesOf.get(key) ?? { outcome, event_type: eventType }
    attributesOf.set(key, attributes)
    return attributes
  }

  return {
    watch: (sender) =>
      withSend(sender, async (request) => {
        inFlight.add(1)
        try {
          return await sender.send(request)
        } finally {
          inFlight.add(-1)
        }
      }),
    note({ job, outcome, attempt }) {
      deliveries.add(1, attributesFor(outcome.kind, job.delivery.eventType))
      if (attempt)
        duration.record(attempt.durationMs / 1000, attempt.error === null ? {} : { 'error.type': attempt.error })
    },
  }
}

/** A root for each attempt: one message goes to many endpoints for days, which no trace of its publication waits for. */
function tracerOf(): Report {
  const tracer = trace.getTracer(scopeName)
  return {
    watch: (sender) => withSend(sender, (request) => withoutTracing(() => sender.send(request))),
    note(result) {
      if (result.attempt) writeSpan(tracer, result, result.attempt)
    },
  }
}

/** Written afterwards, when what became of it is known. */
function writeSpan(tracer: Tracer, { job, outcome }: Result, attempt: Attempt): void {
  const { startedAt, durationMs, error } = attempt
  const { id, messageId, endpointId, tenantId, eventType } = job.delivery
  const attributes: Attributes = {
    'messaging.system': 'webhooks',
    'messaging.operation.name': 'deliver',
    'messaging.operation.type': 'send',
    'messaging.destination.name': eventType,
    'messaging.message.id': messageId,
    'http.request.method': 'POST',
    'webhooks.outcome': outcome.kind,
    'webhooks.delivery.id': id,
    'webhooks.endpoint.id': endpointId,
    'webhooks.tenant.id': tenantId,
    ...serverOf(attempt.url),
  }
  if (attempt.number > 1) attributes['http.request.resend_count'] = attempt.number - 1
  if (attempt.address !== null) attributes['network.peer.address'] = attempt.address
  if (attempt.status !== null) attributes['http.response.status_code'] = attempt.status
  if (error !== null) attributes['error.type'] = error
  const options = { kind: SpanKind.CLIENT, startTime: new Date(startedAt), attributes }
  const span = tracer.startSpan(`deliver ${eventType}`, options, ROOT_CONTEXT)
  if (error !== null) span.setStatus({ code: SpanStatusCode.ERROR, message: error })
  span.end(new Date(startedAt + durationMs))
}

/** The host alone: customers keep secrets in paths and queries. */
function serverOf(url: string): Attributes {
  if (!URL.canParse(url)) return {}
  const { hostname, port, protocol } = new URL(url)
  return { 'server.address': hostname, 'server.port': Number(port) || (protocol === 'http:' ? 80 : 443) }
}

function withSend(sender: Sender, send: Sender['send']): Sender {
  return { send, abort: () => sender.abort(), close: () => sender.close() }
}
