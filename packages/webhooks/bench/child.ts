/** Calls functions of another process, so that what is measured shares no event loop with who measures it. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What a process answers to. Arguments and answers travel as JSON. */
type Methods = Record<string, (...args: never[]) => unknown>

export interface Child<Own extends Methods> {
  /** Rejects with what the function throws, or when the process ends before it answers. */
  call<Name extends keyof Own & string>(
    name: Name,
    ...args: Parameters<Own[Name]>
  ): Promise<Awaited<ReturnType<Own[Name]>>>
  end(): Promise<void>
}

interface Call {
  id: number
  name: string
  args: never[]
}

interface Answer {
  id: number
  result?: unknown
  error?: string
}

/** In the child: answers the calls of the process that began it, and ends when that does. */
export function answer(methods: Methods): void {
  process.on('message', async ({ id, name, args }: Call) => {
    const send = (answer: Omit<Answer, 'id'>) => process.send?.({ id, ...answer })
    try {
      send({ result: await methods[name]?.(...args) })
    } catch (error) {
      send({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    }
  })
  process.on('disconnect', () => process.exit())
}

/** Begins a file of this folder as a process of its own. */
export function begin<Own extends Methods>(file: string, { execArgv = [] as string[] } = {}): Child<Own> {
  const child: ChildProcess = fork(fileURLToPath(new URL(file, import.meta.url)), {
    execArgv: [...process.execArgv, ...execArgv],
  })
  const waiting = new Map<number, { resolve(result: never): void; reject(error: Error): void }>()
  let calls = 0
  child.on('message', ({ id, result, error }: Answer) => {
    const call = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) call?.resolve(result as never)
    else call?.reject(new Error(`${file}: ${error}`))
  })
  const ended = new Promise<void>((resolve) => {
    child.on('exit', (code, signal) => {
      for (const { reject } of waiting.values()) reject(new Error(`${file} ended (${code ?? signal})`))
      resolve()
    })
  })
  return {
    call: (name, ...args) =>
      new Promise((resolve, reject) => {
        const id = calls++
        waiting.set(id, { resolve, reject })
        child.send({ id, name, args }, (error) => error && reject(error))
      }),
    async end() {
      if (child.connected) child.disconnect()
      await ended
    },
  }
}
