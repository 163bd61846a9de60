import type { Slice } from '@org/core'

/** Null for another tenant's. */
export function owned<Row extends { tenantId: string }>(row: Row | null, tenantId: string): Row | null {
  return row?.tenantId === tenantId ? row : null
}

/** A page by id: ids are time-sortable. */
export function oldestFirst<Row extends { id: string }>(rows: Row[], { limit, after }: Slice): Row[] {
  return rows
    .filter((row) => !after || row.id > after[0])
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .slice(0, limit)
}
