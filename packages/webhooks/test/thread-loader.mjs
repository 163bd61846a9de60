/** Begins a thread on an uncompiled file, for which tsx registers nothing by itself. */
import { register } from 'tsx/esm/api'

register()
await import(process.argv[2])
