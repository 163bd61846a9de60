/** Wakes one waiter. A notification that comes while nobody waits is kept for the next who does. */
export class Signal {
  #pending = false
  #wake: (() => void) | undefined

  notify(): void {
    this.#pending = true
    this.#wake?.()
  }

  /** Resolves at the next notification, or after `ms`. Answers whether it was notified. */
  async wait(ms?: number): Promise<boolean> {
    if (!this.#pending) {
      await new Promise<void>((resolve) => {
        const timer = ms === undefined ? undefined : setTimeout(resolve, ms)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    const notified = this.#pending
    this.#pending = false
    this.#wake = undefined
    return notified
  }
}

/** Lets all who wait through, each time it is opened. */
export class Gate {
  readonly #waiting = new Set<() => void>()

  open(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const pass of waiting) pass()
  }

  /** Resolves when it is opened the next time, or after `ms`. */
  wait(ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(() => pass(), ms)
      const pass = () => {
        clearTimeout(timer)
        this.#waiting.delete(pass)
        resolve()
      }
      this.#waiting.add(pass)
    })
  }
}
