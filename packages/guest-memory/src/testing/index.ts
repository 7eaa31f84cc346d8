/**
 * Guest RAM for tests.
 * @packageDocumentation
 */
export { TestMemory, type TestMemoryOptions } from './test-memory.ts';
