/** Goes on at once with what is there at once: each turn of the event loop is felt on every request. */
export function when<Value, Next>(
  value: Value | PromiseLike<Value>,
  next: (value: Value) => Next | Promise<Next>,
  failed?: (error: unknown) => Next | Promise<Next>,
): Next | Promise<Next> {
  // Promises of other libraries, and query builders that are ones, are awaited as `await` would.
  return isPromise(value) ? Promise.resolve(value).then(next, failed) : next(value)
}

function isPromise<Value>(value: Value | PromiseLike<Value>): value is PromiseLike<Value> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
