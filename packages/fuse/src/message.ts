/** One request with room for its reply, as a transport carries it. */

/** One message of a transport: a descriptor chain (fs-dax), or arrays (tests). Same methods as virtqueue's Chain. */
export interface FuseMessage {
  /** Bytes in the readable part: the request. */
  readonly readBytes: number;
  /** Bytes in the writable part: room for the reply. */
  readonly writeBytes: number;
  /** Copies readable bytes [offset, offset + len) into private memory. @returns bytes copied (fewer at the end), or -EFAULT */
  read(offset: number, to: Uint8Array, toOffset: number, len: number): number;
  /** Copies private memory into writable bytes [offset, offset + len). @returns bytes copied (fewer at the end), or -EFAULT */
  write(offset: number, from: Uint8Array, fromOffset: number, len: number): number;
  /**
   * Writes struct iovec entries (two u64 each, as u32 words) for readable bytes [offset, offset + len) to `iov`.
   * @returns the number of entries, -EFAULT, or -E2BIG (over `maxEntries`)
   */
  readIovec(offset: number, len: number, iov: Uint32Array, maxEntries: number): number;
  /** The same for writable bytes. */
  writeIovec(offset: number, len: number, iov: Uint32Array, maxEntries: number): number;
}
