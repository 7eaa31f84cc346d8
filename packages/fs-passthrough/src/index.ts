/**
 * A host directory as a `Filesystem` of @oriel/fuse: inodes, handles, path safety, credentials.
 * @packageDocumentation
 */
export { PassthroughError, type PassthroughErrorCode } from './errors.ts';
export { type IdRule, type IdRuleType, IdTranslation, parseIdRule } from './id-translation.ts';
export type { MigrationMode, MigrationOnError, MigrationOptions } from './migration/options.ts';
export {
  type CachePolicy,
  type InodeFileHandles,
  LEAST_DESCRIPTORS,
  limitsForDescriptors,
  type PassthroughLimits,
  type PassthroughOptions,
  type PassthroughSys,
} from './options.ts';
export { PassthroughFilesystem, type PassthroughStats } from './passthrough.ts';
export { parseXattrMap, type XattrRule, type XattrRuleType } from './xattrs/xattr-map.ts';
