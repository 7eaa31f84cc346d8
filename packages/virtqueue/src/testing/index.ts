/**
 * Drivers for tests: one that behaves, one that need not.
 * @packageDocumentation
 */
export { MockDriver, type MockDriverOptions } from './mock-driver.ts';
export { MockQueue, type Reply } from './mock-queue.ts';
export { PackedTestRing, type RawPackedDescriptor } from './packed-test-ring.ts';
export { RamAllocator } from './ram-allocator.ts';
export { LOAD_BUFFERS, RingLoad, type RingLoadOptions } from './ring-load.ts';
export { type RawDescriptor, TestRing } from './test-ring.ts';
