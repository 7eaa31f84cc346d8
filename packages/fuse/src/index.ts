/**
 * The FUSE wire protocol as Linux's virtiofs speaks it (7.46): layouts, decoding, checks, encoding, and the interface of the
 * file system behind it.
 * @packageDocumentation
 */
export { Attributes } from './attributes.ts';
export * from './constants.ts';
export type { DirSink } from './dir-sink.ts';
export { Entry } from './entry.ts';
export { type FuseBlame, FuseError, type FuseErrorCode } from './errors.ts';
export { REQUEST_MAX } from './fetch.ts';
export { FileLock } from './file-lock.ts';
export type { Filesystem } from './filesystem.ts';
export type { SessionHooks } from './hooks.ts';
export type { IoVector } from './io-vector.ts';
export * from './layout.ts';
export type { MapInfo } from './map-info.ts';
export type { FuseMessage } from './message.ts';
export { NAME_MAX, type Name, TARGET_MAX } from './name.ts';
export type { Operation } from './operation.ts';
export { MAX_COUNT, PENDING } from './pending.ts';
export { IN_HEADER, OUT_HEADER, opcodeName } from './protocol.ts';
export type { ReplyTrace, SessionStats } from './reply-sender.ts';
export type { SecurityContext } from './security-context.ts';
export { MAX_REMOVALS } from './serve-context.ts';
export { FuseSession } from './session.ts';
export type { SessionFeatures } from './session-features.ts';
export type { SessionOptions } from './session-options.ts';
export type { SetAttr } from './set-attr.ts';
export type { StatfsOut } from './statfs.ts';
export type { StatxOut } from './statx.ts';
export type { FileName, Intent } from './survival/intent.ts';
export {
  type DescriptorStore,
  type FilesystemJournal,
  type JournalOptions,
  journalBytes,
} from './survival/journal.ts';
export {
  type FilesystemMigration,
  MAX_STATE_RECORD,
  type SessionState,
  type StateRecords,
  type StateTaker,
} from './survival/migration.ts';
export {
  MemfdFile,
  type Tree,
  TreeFilesystem,
  type TreeFilesystemOptions,
  TreeNode,
  type WritableTree,
} from './tree/index.ts';
