/** A storage that a test can look into: what it is asked, and when its answers come. */
import type { RbacStorage } from '@org/rbac'

export interface WatchedStorage {
  storage: RbacStorage
  /** How often the version of a tenant was read. */
  versions(): number
  /** How often somebody's assignments were read. */
  loads(): number
  /** Called after each read of assignments, which waits for it before it answers. */
  afterLoad: (() => Promise<void>) | null
  /** Called before each read of a version, which waits for it; what it throws is the answer. */
  beforeVersion: (() => Promise<void>) | null
}

/** The storage itself does the work. */
export function watched(storage: RbacStorage): WatchedStorage {
  const counts = { versions: 0, loads: 0 }
  const read: RbacStorage['read'] = (work, tx) =>
    storage.read((stores) => {
      const tenants: typeof stores.tenants = {
        ...stores.tenants,
        async version(tenantId) {
          counts.versions++
          await self.beforeVersion?.()
          return stores.tenants.version(tenantId)
        },
      }
      const assignments: typeof stores.assignments = {
        ...stores.assignments,
        async ofUser(...args) {
          counts.loads++
          const found = await stores.assignments.ofUser(...args)
          await self.afterLoad?.()
          return found
        },
      }
      return work({ ...stores, tenants, assignments })
    }, tx)
  const self: WatchedStorage = {
    storage: { run: storage.run, owns: storage.owns, read },
    versions: () => counts.versions,
    loads: () => counts.loads,
    afterLoad: null,
    beforeVersion: null,
  }
  return self
}

/** Something to wait for, and the way to let it happen. */
export function gate(): { opened: Promise<void>; open(): void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}
