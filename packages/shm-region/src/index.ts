/**
 * VIRTIO shared memory regions: the back-end's ledger and budget, an allocator, the front-end's window, a picture.
 * @packageDocumentation
 */
export { RangeAllocator } from './allocator.ts';
export type { BackendRegionOptions } from './backend-region.ts';
export { BackendRegion } from './backend-region.ts';
export type { BudgetOptions, BudgetPlan } from './budget.ts';
export { planBudget } from './budget.ts';
export type { ShmRegionBlame, ShmRegionErrorCode } from './errors.ts';
export { ShmRegionError } from './errors.ts';
export type { RegionLimits } from './limits.ts';
export type { PictureEntry, PictureOptions } from './picture.ts';
export { renderWindow } from './picture.ts';
export type { Range } from './range.ts';
export type { Done, LedgerEntry, MapRequest, RegionStats, ShmRegion } from './region.ts';
export type { MapTransport, WireMapping } from './transport.ts';
export type {
  DiscardMeans,
  FaultCause,
  FaultVerdict,
  UnmappedPolicy,
  WindowFault,
} from './unmapped-policy.ts';
export { UNMAPPED_POLICIES } from './unmapped-policy.ts';
export type { WindowEntry, WindowOptions } from './window.ts';
export { Window } from './window.ts';
