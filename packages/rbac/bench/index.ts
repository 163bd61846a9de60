import type { Comparison } from '../../core/bench/harness.js'
import { comparisons as audit } from './audit.js'
import { comparisons as mutations } from './mutations.js'
import { comparisons as permissions } from './permissions.js'

export const comparisons: Comparison[] = [...permissions, ...mutations, ...audit]
