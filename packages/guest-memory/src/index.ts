/**
 * Guest memory: the regions that a front-end shares, address translation and bounds.
 * @packageDocumentation
 */
export { REGION_ALIGN } from './check.ts';
export { GuestMemoryError, type GuestMemoryErrorCode } from './errors.ts';
export { type FileIdentity, fileIdentity } from './file-identity.ts';
export { DEFAULT_MAX_REGIONS, GuestMemory, type GuestMemoryOptions } from './guest-memory.ts';
export type { MemoryRegion, RegionDescription, RegionFile } from './region.ts';
