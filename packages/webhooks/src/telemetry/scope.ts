/**
 * OpenTelemetry (https://opentelemetry.io/docs/specs/semconv/), through its API alone: nothing is measured, and next to
 * nothing spent, unless the host has registered an SDK.
 */
import {
  context,
  createContextKey,
  createNoopMeter,
  metrics,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  trace,
} from '@opentelemetry/api'

/** The instrumentation scope of all that we report. */
export const scopeName = '@org/webhooks'

/** Whether anybody takes spans. */
export function isTraced(): boolean {
  const provider = trace.getTracerProvider()
  return !(provider instanceof ProxyTracerProvider) || provider.getDelegateTracer(scopeName) !== undefined
}

/** Whether anybody takes measurements. */
export function isMetered(): boolean {
  return metrics.getMeter(scopeName).constructor !== createNoopMeter().constructor
}

/** As every SDK names it, see `suppressTracing` of @opentelemetry/core. */
const untraced = ROOT_CONTEXT.setValue(createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING'), true)

/**
 * Runs `work` so that an instrumentation of the HTTP client neither makes spans of its own for it nor sends `traceparent`
 * and `baggage` along: how a host traces is none of its customers' business.
 */
export function withoutTracing<T>(work: () => T): T {
  return context.with(untraced, work)
}
