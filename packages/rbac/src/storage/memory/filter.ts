/** A filter that is not given lets everything pass. */
export function passes(wanted: string | undefined, value: string | undefined): boolean {
  return wanted === undefined || wanted === value
}
