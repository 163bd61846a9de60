/** A map that holds so many entries and no more: the one that was asked for longest ago goes first. */
export interface BoundedMap<Key, Value> {
  get(key: Key): Value | undefined
  set(key: Key, value: Value): void
  delete(key: Key): void
}

export function boundedMap<Key, Value>(capacity: number): BoundedMap<Key, Value> {
  // A Map goes through its keys in the order in which they were set.
  const entries = new Map<Key, Value>()
  return {
    get(key) {
      const value = entries.get(key)
      if (value === undefined) return undefined
      entries.delete(key)
      entries.set(key, value)
      return value
    },
    set(key, value) {
      entries.delete(key)
      if (entries.size >= capacity) {
        const [oldest] = entries.keys()
        entries.delete(oldest as Key)
      }
      entries.set(key, value)
    },
    delete: (key) => void entries.delete(key),
  }
}
