/**
 * A host directory as a `Filesystem` of @oriel/fuse: inodes, handles, path safety, credentials.
 * @packageDocumentation
 */
export { PassthroughError, type PassthroughErrorCode } from './errors.ts';
export {
  type CachePolicy,
  type InodeFileHandles,
  limitsForDescriptors,
  type PassthroughLimits,
  type PassthroughOptions,
  type PassthroughSys,
} from './options.ts';
export { PassthroughFilesystem, type PassthroughStats } from './passthrough.ts';
