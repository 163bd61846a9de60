import type { Logger } from '../runtime.js'

export interface LogEntry {
  level: keyof Logger
  message: string
  fields: Record<string, unknown>
}

/** A logger that keeps what it is told, for a test to look at. */
export function recordingLogger(): Logger & { readonly entries: LogEntry[] } {
  const entries: LogEntry[] = []
  const record =
    (level: keyof Logger) =>
    (message: string, fields: Record<string, unknown> = {}) =>
      void entries.push({ level, message, fields })
  return { entries, debug: record('debug'), info: record('info'), warn: record('warn'), error: record('error') }
}
