/**
 * Helpers for the tests of packages that use `@oriel/sys`.
 * @packageDocumentation
 */
export { canGuard, guardErrno } from './can-guard.ts';
export { canSandbox } from './can-sandbox.ts';
export { haltProcess } from './halt-process.ts';
export { type LeakCheck, leakCheck } from './leak-check.ts';
export { type MockSys, mockSys, type SysCall, type SysCallName, type SysOverrides } from './mock-sys.ts';
export { type TempDir, tempDir } from './temp-dir.ts';
