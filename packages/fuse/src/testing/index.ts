/**
 * What tests of sessions and file systems use: a message in memory, a client without a transport, a file system in memory.
 * @packageDocumentation
 */
export { MemoryMessage, type MemoryMessageOptions } from './memory-message.ts';
