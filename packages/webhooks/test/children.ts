/** Processes of a test's own. They do not outlive it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

/** Runs a file of this folder, with a channel to this process if it is to send messages. */
export function startChild(file: string, args: readonly string[], channel: 'ipc' | null = null): ChildProcess {
  const path = fileURLToPath(new URL(file, import.meta.url))
  const child = spawn(process.execPath, ['--conditions=@org/source', '--import', 'tsx', path, ...args], {
    stdio: ['ignore', 'inherit', 'inherit', ...(channel ? [channel] : [])],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

/** A worker on that database, whose clock is so many milliseconds ahead. */
export function startWorker(config: unknown, clockAhead: number): ChildProcess {
  return startChild('crash-worker.ts', [JSON.stringify(config), '5000', String(clockAhead)])
}

/** Kills it as a crash would. Resolves when it has ended. */
export async function killed(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}
