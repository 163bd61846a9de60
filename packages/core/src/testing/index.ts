/** What the modules' own tests and contract suites run on. Not for production code. */
export { type FakeClock, fakeClock } from './clock.js'
export {
  type ContractCase,
  contractCase,
  type OpenStorage,
  type OpenTarget,
  type StorageMaker,
  type StorageTarget,
  storageTargets,
} from './contract.js'
export { type OpenDatabase, type OpenOptions, type TestDatabase, testDatabases } from './databases.js'
export { type HttpHost, type HttpServer, type HttpTarget, httpTargets, mounted } from './http.js'
export { type LogEntry, recordingLogger } from './logger.js'
