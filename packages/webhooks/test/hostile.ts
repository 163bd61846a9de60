/** What receivers do that mean harm, or know no better: answers for `rawReceiver`. */
import type { Socket } from 'node:net'

export type Hostile = (socket: Socket) => void

/** The beginning of a good answer. */
export const ok = 'HTTP/1.1 200 OK\r\n'

export const says =
  (...parts: (string | Buffer)[]): Hostile =>
  (socket) => {
    for (const part of parts) socket.write(part)
  }

export const saysAndCloses =
  (text: string): Hostile =>
  (socket) => {
    socket.end(text)
  }

/** A byte at a time, for ever. */
export const drips =
  (start: string): Hostile =>
  (socket) => {
    socket.write(start)
    const timer = setInterval(() => socket.write('x'), 20)
    socket.on('close', () => clearInterval(timer))
  }

export const badChunk = says(`${ok}transfer-encoding: chunked\r\n\r\nzz\r\nhalf\r\n`)

/** A good answer of 100 MB; `written` hears of each part. */
export const floods =
  (written: (bytes: number) => void = () => {}): Hostile =>
  (socket) => {
    socket.write(`${ok}content-length: 104857600\r\n\r\n`)
    const chunk = Buffer.alloc(64 * 1024, 'x')
    let left = 104_857_600
    const more = () => {
      while (!socket.destroyed && left > 0) {
        left -= chunk.length
        written(chunk.length)
        if (!socket.write(chunk)) return void socket.once('drain', more)
      }
    }
    more()
  }
