import { AsyncLocalStorage } from 'node:async_hooks'
import diagnostics from 'node:diagnostics_channel'
import { type Context, context, metrics, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { memoryDatabase } from '@org/core'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { receiver } from './receiver.js'
import { keyCreated, scope, world } from './world.js'

afterEach(() => {
  trace.disable()
  metrics.disable()
  context.disable()
})

/** What a host's SDK has, as small as it can be. */
function registerTracing() {
  const local = new AsyncLocalStorage<Context>()
  context.setGlobalContextManager({
    active: () => local.getStore() ?? ROOT_CONTEXT,
    with: (active, work, self, ...rest) => local.run(active, () => work.call(self as never, ...rest)),
    bind: (active, target) =>
      typeof target === 'function'
        ? (((...rest: unknown[]) => local.run(active, () => target(...rest))) as typeof target)
        : target,
    enable() {
      return this
    },
    disable() {
      return this
    },
  })
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  trace.setGlobalTracerProvider(provider)
  const named = (prefix: string) => exporter.getFinishedSpans().filter(({ name }) => name.startsWith(prefix))
  return { provider, named, all: () => exporter.getFinishedSpans() }
}

function registerMetrics() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const provider = new MeterProvider({ readers: [reader] })
  metrics.setGlobalMeterProvider(provider)
  onTestFinished(() => provider.shutdown())
  /** What was measured so far, by name. */
  return async () => {
    const { resourceMetrics, errors } = await reader.collect()
    expect(errors).toEqual([])
    const all = resourceMetrics.scopeMetrics.filter(({ scope: { name } }) => name === '@org/webhooks')
    return new Map(all.flatMap((one) => one.metrics).map((metric) => [metric.descriptor.name, metric]))
  }
}

describe('spans', () => {
  it('tell of what is published within the host’s own trace', async () => {
    const { provider, named } = registerTracing()
    const { webhooks } = world()
    await webhooks.endpoints.create(scope, { url: 'https://example.com/hooks' })
    const host = provider.getTracer('host').startSpan('request')
    const published = await context.with(trace.setSpan(context.active(), host), () => webhooks.publish(keyCreated))
    await webhooks.publishBatch([keyCreated, keyCreated])
    host.end()
    const [one, batch, ...rest] = named('publish')
    expect(rest).toEqual([])
    expect(one).toMatchObject({
      name: 'publish key.created',
      kind: SpanKind.PRODUCER,
      status: { code: SpanStatusCode.UNSET },
      instrumentationScope: { name: '@org/webhooks' },
      attributes: {
        'messaging.system': 'webhooks',
        'messaging.operation.name': 'publish',
        'messaging.operation.type': 'create',
        'messaging.destination.name': 'key.created',
        'messaging.message.id': published.messageId,
        'webhooks.deliveries': 1,
      },
    })
    expect(one?.parentSpanContext?.spanId).toBe(host.spanContext().spanId)
    expect(batch).toMatchObject({ name: 'publish', attributes: { 'messaging.batch.message_count': 2 } })
  })

  it('say by its code why nothing was published', async () => {
    const { named } = registerTracing()
    const { webhooks } = world()
    const foreign = await memoryDatabase().transaction(async (tx) => tx)
    await expect(webhooks.publish(keyCreated, { tx: foreign })).rejects.toThrow()
    expect(named('publish')).toMatchObject([
      {
        status: { code: SpanStatusCode.ERROR, message: 'foreign_transaction' },
        attributes: { 'error.type': 'foreign_transaction' },
      },
    ])
  })

  it('tell of each attempt, as a root of its own', async () => {
    const { provider, named } = registerTracing()
    const { webhooks, clock } = world({ retry: { scheduleMs: [0, 1_000] } })
    let status = 503
    const target = await receiver((_, __, response) => {
      clock.advance(40)
      response.writeHead(status).end()
    })
    const endpoint = await webhooks.endpoints.create(scope, { url: `${target.url}/t0ken?secret=s3cret` })
    const { messageId } = await webhooks.publish(keyCreated)
    const startedAt = clock.now()
    const host = provider.getTracer('host').startSpan('cron')
    const active = trace.setSpan(context.active(), host)
    await context.with(active, () => webhooks.drain())
    clock.advance(2_000)
    status = 204
    await context.with(active, () => webhooks.drain())
    const [delivery] = (await webhooks.deliveries.list(scope)).data
    const common = {
      'messaging.system': 'webhooks',
      'messaging.operation.name': 'deliver',
      'messaging.operation.type': 'send',
      'messaging.destination.name': 'key.created',
      'messaging.message.id': messageId,
      'http.request.method': 'POST',
      'server.address': '127.0.0.1',
      'server.port': target.port,
      'network.peer.address': '127.0.0.1',
      'webhooks.delivery.id': delivery?.id,
      'webhooks.endpoint.id': endpoint.id,
      'webhooks.tenant.id': 't1',
    }
    const [failed, delivered, ...rest] = named('deliver')
    expect(rest).toEqual([])
    expect(failed).toMatchObject({
      name: 'deliver key.created',
      kind: SpanKind.CLIENT,
      status: { code: SpanStatusCode.ERROR, message: 'http_status' },
      startTime: [Math.floor(startedAt / 1000), (startedAt % 1000) * 1_000_000],
      duration: [0, 40_000_000],
    })
    expect(failed?.attributes).toEqual({
      ...common,
      'webhooks.outcome': 'retry',
      'http.response.status_code': 503,
      'error.type': 'http_status',
    })
    expect(delivered?.status).toEqual({ code: SpanStatusCode.UNSET })
    expect(delivered?.attributes).toEqual({
      ...common,
      'webhooks.outcome': 'delivered',
      'http.response.status_code': 204,
      'http.request.resend_count': 1,
    })
    expect(failed?.parentSpanContext).toBeUndefined()
    expect(failed?.spanContext().traceId).not.toBe(host.spanContext().traceId)
  })

  it('go no further: what instruments the HTTP client sees nothing to follow', async () => {
    const { provider, all } = registerTracing()
    const seen: boolean[] = []
    const onRequest = () => {
      // What an instrumentation of undici does for each request.
      const span = provider.getTracer('undici').startSpan('POST')
      seen.push(span.isRecording())
      span.end()
    }
    diagnostics.subscribe('undici:request:create', onRequest)
    onTestFinished(() => void diagnostics.unsubscribe('undici:request:create', onRequest))
    const { webhooks } = world()
    const target = await receiver()
    await webhooks.endpoints.create(scope, { url: target.url })
    // More than there are connections, so that some go out when others end.
    for (let n = 0; n < 60; n++) await webhooks.publish(keyCreated)
    const host = provider.getTracer('host').startSpan('cron')
    await context.with(trace.setSpan(context.active(), host), () => webhooks.drain())
    expect(target.received.length).toBe(60)
    expect(seen).toEqual(Array.from({ length: 60 }, () => false))
    expect(all().filter(({ name }) => name === 'POST')).toEqual([])
    for (const { headers } of target.received) {
      expect(Object.keys(headers)).not.toContain('traceparent')
    }
  })
})

describe('metrics', () => {
  it('count deliveries by what became of them, and time the attempts', async () => {
    const measured = registerMetrics()
    const { webhooks, clock } = world({ retry: { scheduleMs: [0, 1_000] } })
    const target = await receiver(({ body }, _, response) => {
      clock.advance(250)
      response.writeHead(body.includes('fail') ? 500 : 200).end()
    })
    const { id } = await webhooks.endpoints.create(scope, { url: target.url })
    for (const keyId of ['fail', 'a', 'b']) {
      await webhooks.publish({ ...keyCreated, data: { keyId } })
      await webhooks.drain()
    }
    clock.advance(1_000)
    await webhooks.drain()
    const found = await measured()
    const points = (name: string) => found.get(name)?.dataPoints ?? []
    const byOutcome = points('webhooks.deliveries').map(({ attributes, value }) => [attributes, value])
    const event_type = 'key.created'
    expect(byOutcome).toEqual([
      [{ outcome: 'retry', event_type }, 1],
      [{ outcome: 'delivered', event_type }, 2],
      [{ outcome: 'dead_letter', event_type }, 1],
    ])
    const durations = points('webhooks.attempt.duration').map(({ attributes, value }) => [attributes, value])
    expect(durations).toMatchObject([
      [{ 'error.type': 'http_status' }, { count: 2, sum: 0.5 }],
      [{}, { count: 2, sum: 0.5, buckets: { boundaries: expect.arrayContaining([0.25, 30]) } }],
    ])
    expect(found.get('webhooks.attempt.duration')?.descriptor.unit).toBe('s')
    expect(JSON.stringify([...found.values()])).not.toMatch(new RegExp(`t1|${id}|127\\.0\\.0\\.1`))
  })

  it('show how many attempts are under way, over all workers', async () => {
    const measured = registerMetrics()
    const open: (() => void)[] = []
    const target = await receiver((_, __, response) => void open.push(() => response.end()))
    for (const { webhooks } of [world(), world()]) {
      await webhooks.endpoints.create(scope, { url: target.url })
      for (let n = 0; n < 3; n++) await webhooks.publish(keyCreated)
      const worker = webhooks.startWorker({ concurrency: 2 })
      onTestFinished(() => worker.stop({ graceMs: 0 }))
    }
    const inFlight = async () => (await measured()).get('webhooks.attempts.in_flight')?.dataPoints[0]?.value
    await expect.poll(() => open.length).toBe(4)
    expect(await inFlight()).toBe(4)
    for (let n = 0; n < 6; n++) {
      await expect.poll(() => open.length).toBeGreaterThan(n)
      open[n]?.()
    }
    await expect.poll(inFlight).toBe(0)
  })
})

it('costs next to nothing while nobody listens', async () => {
  const { watchSender } = await import('../src/telemetry/worker.js')
  const { tracePublish } = await import('../src/telemetry/publish.js')
  const sender = {
    send: () => Promise.reject(new Error('not called')),
    abort() {},
    close: async () => {},
    size: { origins: 0, connections: 0 },
  }
  expect(watchSender(sender as never).sender).toBe(sender)
  const answer = Promise.resolve({ messageId: 'msg_1', deliveries: 1, duplicate: false })
  expect(tracePublish('key.created', () => answer)).toBe(answer)
})
