/**
 * CONTRACT (lead): what vhost-user offers to the floor above. The helper turns each `declare` into a real export in files
 * of their own and deletes this file; names and meaning stay.
 */
import type { GuestMemory } from '@oriel/guest-memory';
import type { MapTransport, RegionLimits } from '@oriel/shm-region';
import type { EventLoop, Fd, Logger, Sys } from '@oriel/sys';

/** A set of feature bits 0..63 as two u32. */
export declare class FeatureSet {
  constructor(lo?: number, hi?: number);
  static of(...bits: number[]): FeatureSet;
  readonly lo: number;
  readonly hi: number;
  has(bit: number): boolean;
  with(...bits: number[]): FeatureSet;
  without(...bits: number[]): FeatureSet;
  and(other: FeatureSet): FeatureSet;
  minus(other: FeatureSet): FeatureSet;
  readonly isEmpty: boolean;
  /** Bit numbers, ascending. */
  bits(): number[];
  toString(): string; // 0x...
}

/** What one front-end demands: the only place that knows VMMs by name. */
export interface FrontendProfile {
  readonly name: 'qemu' | 'strict' | 'crosvm' | 'alioth';
  /** Protocol feature bit that means SHMEM: 22, or 21. */
  readonly shmemBit: number;
  /** What the region may do (maxMappings is the profile's sum over all devices of the process). */
  readonly limits: RegionLimits;
  /** Memory slots offered in GET_MAX_MEM_SLOTS. */
  readonly maxMemSlots: number;
  /** How a mapping is known to be visible: the memory-table update that holds it, or the reply itself. */
  readonly visibility: 'memory-update' | 'reply';
  /** After a MAP reply, how long to wait for the memory update before the barrier round trip, ms. */
  readonly fenceTimeoutMs: number;
  /** Device reset at the front-end drops all mappings. */
  readonly resetClears: boolean;
  /** SET_FEATURES with bits never offered: 'refuse', or 'mask' (masked, logged once). */
  readonly unknownFeatures: 'refuse' | 'mask';
  /** A request that the front-end refuses is fatal there: send nothing that may be refused. */
  readonly refusalIsFatal: boolean;
  /** Largest window that is advised, bytes (a warning above), and whether the sum of regions must be a power of two. */
  readonly advisedWindow: number;
  readonly powerOfTwoRegions: boolean;
}
export declare const profiles: Readonly<Record<FrontendProfile['name'], FrontendProfile>>;

/** A ring whose set-up is complete, handed over at its start. The queue's owner may read the fds; they stay the connection's. */
export interface RingSetup {
  readonly index: number;
  readonly size: number;
  /** User addresses, or GPAs with GPA_ADDRESSES (never offered today). */
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  readonly base: number;
  /** Kick eventfd, non-blocking, or -1. */
  readonly kickFd: number;
}

/** What the floor above answers to a front-end. All calls are synchronous; a thrown error becomes a failing ack and a log line. */
export interface BackendHandler {
  /** Device features offered, VERSION_1 and ring features included, without bit 30. */
  readonly features: FeatureSet;
  readonly queueCount: number;
  readonly maxQueueSize: number;
  /** Bytes of device configuration space; 0: CONFIG is not offered. */
  readonly configSize: number;
  /** Sizes by shmid; empty: SHMEM is not offered. */
  readonly shmRegions: readonly { readonly shmid: number; readonly size: number }[];
  /** Copies config [offset, offset+into.length); the range was checked against configSize. */
  readConfig(offset: number, into: Uint8Array): void;
  writeConfig(offset: number, from: Uint8Array): void;
  /** SET_FEATURES: accepted bits, a subset of what was offered (bit 30 removed). */
  setFeatures(features: FeatureSet): void;
  /** The memory table changed (already in effect in `memory`). */
  memoryChanged(): void;
  /** The ring is started and enabled: build the queue and look at it once. @throws to refuse */
  startRing(ring: RingSetup): void;
  /** The ring must not be touched any more. @returns the base for GET_VRING_BASE */
  stopRing(index: number): number;
  /** The call eventfd of a ring changed (-1: none); may come at any time, also for rings never started. */
  setCall(index: number, fd: number): void;
  /** First ring started / last ring stopped. Between them back-channel requests may be sent. Called before startRing / after stopRing. */
  resumed(): void;
  suspended(): void;
  /** RESET_DEVICE, or SET_STATUS 0 where it is a reset. Rings are stopped already. */
  reset(): void;
  /** GPU_SET_SOCKET; given away. Absent: the message is refused. */
  setGpuSocket?(socket: Fd): void;
  /** The connection ended (reason for the log). Rings were stopped; the memory is about to be cleared. */
  disconnected(reason: string): void;
}

export interface BackendOptions {
  readonly sys: Pick<Sys, 'mem' | 'fd' | 'socket' | 'loop' | 'file'>;
  readonly loop: EventLoop;
  /** Connected socket, given away. */
  readonly socket: Fd;
  readonly profile: FrontendProfile;
  readonly handler: BackendHandler;
  readonly log?: Logger;
}

/** One connection, back-end side: both channels, negotiation, memory, ring states. Ends by itself at a protocol error or EOF. */
export declare class BackendConnection implements Disposable {
  constructor(options: BackendOptions);
  readonly memory: GuestMemory;
  readonly acceptedFeatures: FeatureSet;
  readonly acceptedProtocolFeatures: FeatureSet;
  /** True between the first ring's start and the last ring's stop. */
  readonly running: boolean;
  /** Transport for BackendRegion: SHMEM_MAP / SHMEM_UNMAP on the back channel with the visibility fence of the profile. */
  readonly mapTransport: MapTransport;
  /** CONFIG_CHANGE_MSG; only while running (dropped to a pending flag and sent at the next start otherwise). */
  configChanged(done?: (error: number) => void): void;
  /** Tells the err eventfd of a ring, if there is one. */
  ringError(index: number): void;
  readonly closed: boolean;
  /** Stops all rings, calls handler.disconnected, releases everything. */
  [Symbol.dispose](): void;
}

/** Front-end side, for tests, the loopback VM, benchmarks and VMM authors. */
export interface FrontendHandlers {
  /** SHMEM_MAP: `fd` is given away. @returns 0 or a negative errno */
  shmemMap?(request: { shmid: number; fdOffset: number; shmOffset: number; len: number; writable: boolean }, fd: Fd): number;
  shmemUnmap?(request: { shmid: number; fdOffset: number; shmOffset: number; len: number; writable: boolean }): number;
  configChange?(): void;
  disconnected?(reason: string): void;
}

export interface FrontendOptions {
  readonly sys: Pick<Sys, 'mem' | 'fd' | 'socket' | 'loop'>;
  readonly loop: EventLoop;
  readonly socket: Fd;
  readonly handlers?: FrontendHandlers;
  readonly log?: Logger;
  /** After a MAP was answered with 0, tell the back-end by ADD_MEM_REG / REM_MEM_REG as QEMU does. The window's address and fd
   * come from the embedder through `announce`. */
}

/**
 * Callback style; `wait(start)` runs the loop until the callback came and returns the value (never inside a handler).
 * Errors are VhostUserError.
 */
export declare class FrontendConnection implements Disposable {
  constructor(options: FrontendOptions);
  /** SET_OWNER, GET_FEATURES, protocol features, SET_BACKEND_REQ_FD, queue number, shmem config; acks offered & wanted. */
  negotiate(want: { features: FeatureSet; protocolFeatures: FeatureSet }, done: (error: Error | null) => void): void;
  readonly features: FeatureSet;
  readonly protocolFeatures: FeatureSet;
  readonly shmRegions: readonly { shmid: number; size: number }[];
  readonly queueCount: number;
  getConfig(offset: number, size: number, done: (error: Error | null, bytes: Uint8Array) => void): void;
  setConfig(offset: number, bytes: Uint8Array, done: (error: Error | null) => void): void;
  setMemoryTable(regions: readonly { gpa: number; size: number; userAddr: number; mmapOffset: number; fd: number }[], done: (error: Error | null) => void): void;
  addMemoryRegion(region: { gpa: number; size: number; userAddr: number; mmapOffset: number; fd: number }, done: (error: Error | null) => void): void;
  removeMemoryRegion(region: { gpa: number; size: number; userAddr: number }, done: (error: Error | null) => void): void;
  /** NUM, BASE, ADDR, KICK, CALL, ENABLE in the order peers want. fds are lent. */
  startRing(ring: { index: number; size: number; base: number; desc: number; used: number; avail: number; kickFd: number; callFd: number }, done: (error: Error | null) => void): void;
  /** ENABLE 0, GET_VRING_BASE. */
  stopRing(index: number, done: (error: Error | null, base: number) => void): void;
  setStatus(status: number, done: (error: Error | null) => void): void;
  getStatus(done: (error: Error | null, status: number) => void): void;
  resetDevice(done: (error: Error | null) => void): void;
  /** Any message of the table by name, raw. */
  request(name: string, payload: Uint8Array, fds: readonly number[], done: (error: Error | null, reply: { payload: Uint8Array; fds: Fd[] } | null) => void): void;
  /** Runs the loop until `start`'s callback came. */
  wait<T = void>(start: (done: (error: Error | null, value?: T) => void) => void, timeoutMs?: number): T;
  [Symbol.dispose](): void;
}
