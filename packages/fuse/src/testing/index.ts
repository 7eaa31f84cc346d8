/**
 * What tests of sessions and file systems use: a message in memory, a client without a transport, a file system in memory.
 * @packageDocumentation
 */
export { MemoryFilesystem } from './memory-filesystem.ts';
export { MemoryMessage, type MemoryMessageOptions } from './memory-message.ts';
export { TestClient, type TestClientOptions } from './test-client.ts';
