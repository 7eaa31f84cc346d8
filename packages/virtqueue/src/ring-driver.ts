/** What a driver has of its end of a ring, whatever the ring's format. */

/** One buffer of a chain, driver side. */
export interface DriverBuffer {
  readonly gpa: number;
  readonly len: number;
  readonly writable: boolean;
}

/** How a driver is set up. */
export interface DriverConfig {
  /** The driver's view over guest RAM; gpa `memoryGpa` is its first byte. */
  readonly memory: Uint8Array;
  readonly memoryGpa: number;
  /** Split: power of two, 1..32768; packed: 1..32768. */
  readonly size: number;
  /**
   * GPA of each part; `layoutSplitRing` and `layoutPackedRing` compute them (of a packed ring: descriptor ring, driver
   * area, device area). The parts are zeroed.
   */
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  readonly eventIdx: boolean;
  /** VIRTIO_F_IN_ORDER was accepted; default false. */
  readonly inOrder?: boolean;
  /** GPA of a table area for indirect chains (size * maxIndirect * 16 bytes, aligned to 16), or -1: no indirect. */
  readonly indirectTables: number;
  /** Entries of each indirect table. */
  readonly maxIndirect: number;
  /** Called to notify the device (writes the kick eventfd). */
  readonly kick: () => void;
}

/** A ring, driver side. */
export interface RingDriver {
  readonly size: number;
  /** What `takeUsed` took last: its head (packed: buffer id), and the bytes that the device says it wrote. */
  readonly usedHead: number;
  readonly usedLen: number;
  readonly freeDescriptors: number;
  /** Chains published and not yet taken back, and those added but not published. */
  readonly inFlight: number;
  /**
   * Puts a chain into the ring without publishing. Several buffers go into an indirect table where there is one that
   * holds them.
   * @param buffers - readable ones first
   * @param count - how many of `buffers` count; all by default
   * @returns its head (packed: buffer id), or -1 when there is no room
   * @throws RangeError for no buffers, or a readable one after a writable one
   */
  add(buffers: readonly DriverBuffer[], count?: number): number;
  /** Publishes what was added and kicks if the device asks for it. */
  publish(): void;
  /**
   * Takes a chain that the device returned: see `usedHead` and `usedLen`.
   * @returns false when there is none
   * @throws VirtqueueError ERR_VIRTQ_USED when the device returned a chain that is not in flight
   */
  takeUsed(): boolean;
  /** Asks for a call for the next chain. @returns true when some came meanwhile */
  enableCalls(): boolean;
  /** Asks for no calls; the device may call all the same. */
  disableCalls(): void;
}

/** @throws RangeError for a chain that no driver may make */
export function checkChain(buffers: readonly DriverBuffer[], count: number): void {
  if (count < 1 || count > buffers.length) throw new RangeError(`a chain of ${count} of ${buffers.length} buffers`);
  for (let i = 1; i < count; i++) {
    if (buffers[i - 1]!.writable && !buffers[i]!.writable) throw new RangeError('readable buffers stand first');
  }
}

/** Zeroes a part of the ring. @returns its offset in the memory's buffer. @throws RangeError */
export function takePart(config: DriverConfig, gpa: number, len: number, align: number): number {
  const { memory } = config;
  const offset = gpa - config.memoryGpa;
  if (offset < 0 || offset + len > memory.length || gpa % align !== 0) {
    throw new RangeError(`gpa ${gpa}, ${len} bytes aligned to ${align}: not in the driver's memory`);
  }
  memory.fill(0, offset, offset + len);
  return memory.byteOffset + offset;
}
