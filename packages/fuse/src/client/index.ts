/**
 * The other end of the protocol: requests as a driver sends them, replies as it reads them. For loopback drivers,
 * benchmarks and tests.
 * @packageDocumentation
 */
export { readAttributes, readAttrOut, readEntry, readStatfs, readStatxOut, type StatxReply } from './decode.ts';
export { type DirRecord, readRecords } from './dir-record.ts';
export type { SetattrInput } from './inode-requests.ts';
export { type Asked, type InitReply, ReplyDecoder } from './reply.ts';
export { type NameInput, RequestBuilder } from './request-builder.ts';
export { type InitInput, RequestEncoder } from './request-encoder.ts';
