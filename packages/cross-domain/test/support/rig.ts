/** A GPU with cross-domain contexts in a `MockHost`, spoken to in commands. */
import {
  GpuDevice,
  type GpuDeviceOptions,
  VIRTIO_GPU_BLOB_MEM_GUEST,
  VIRTIO_GPU_BLOB_MEM_HOST3D,
} from '@oriel/gpu-blob';
import {
  decodeReply,
  encodeCtxAttachResource,
  encodeCtxCreate,
  encodeCtxDestroy,
  encodeResourceCreateBlob,
  encodeResourceUnref,
  encodeSubmit3d,
  type GpuReply,
  replySize,
  typeOf,
} from '@oriel/gpu-blob/testing';
import { BlockingLoop, openSys, type Sys } from '@oriel/sys';
import { tempDir } from '@oriel/sys/testing';
import { MockHost } from '@oriel/virtio-device/testing';
import {
  CROSS_DOMAIN_CHANNEL_TYPE_WAYLAND,
  CrossDomainContextType,
  type CrossDomainOptions,
  PathDoor,
} from '../../src/index.ts';
import { command, INIT, pollCommand, type Words } from './bytes.ts';
import { FakeHost } from './fake-host.ts';

export const sys = openSys();
export const PAGE = sys.mem.pageSize;
export const OK = 0x1100;
export const ERR_UNSPEC = 0x1200;
export const ERR_OUT_OF_MEMORY = 0x1201;
export const ERR_INVALID_RESOURCE_ID = 0x1203;
export const ERR_INVALID_PARAMETER = 0x1205;

export type CrossRigOptions = Partial<CrossDomainOptions> & {
  readonly gpu?: Partial<GpuDeviceOptions>;
  /** `kill` may be called; default false. */
  readonly survive?: boolean;
};

/** The second half of the control queue's guest memory; used again when it is used up. */
const MOST_PAGES = 120;

/** Everything is disposed with it. */
export class CrossRig implements Disposable {
  readonly dir = tempDir();
  /** What the device uses: that of the options, or the real one. */
  readonly sys: Sys;
  readonly loop: BlockingLoop;
  readonly path = `${this.dir.path}/wayland-0`;
  /** What listens at the Wayland channel's path. */
  readonly wayland = new FakeHost(sys, this.path);
  type: CrossDomainContextType;
  device: GpuDevice;
  readonly host: MockHost;
  readonly warnings: string[] = [];
  readonly #options: CrossRigOptions;
  readonly #replies = new Map<number, GpuReply>();
  #fences = 0;
  #pages = 1;

  constructor(options: CrossRigOptions = {}) {
    this.#options = options;
    const { survive = false } = options;
    this.sys = options.sys ?? sys;
    this.loop = new BlockingLoop(this.sys);
    this.type = this.#makeType();
    this.device = this.#makeDevice();
    this.host = new MockHost(this.device, { sys: this.sys, loop: this.loop, survive });
    this.host.attach();
    this.host.start();
  }

  /** The process of the device is killed, and another one goes on. */
  kill(): void {
    const { device, type } = this;
    this.type = this.#makeType();
    this.device = this.#makeDevice();
    this.host.kill(this.device);
    device[Symbol.dispose]();
    type[Symbol.dispose]();
    this.host.attach();
    this.host.start();
  }

  /** Sends a command. @returns its head */
  send(bytes: Uint8Array): number {
    return this.host.driver(0).send([bytes], [replySize(typeOf(bytes), 4096)]);
  }

  /** True when a command of `send` is answered by now. */
  answered(head: number): boolean {
    for (let taken = this.host.driver(0).take(); taken !== null; taken = this.host.driver(0).take()) {
      this.#replies.set(taken.head, decodeReply(taken.bytes.subarray(0, taken.written)));
    }
    return this.#replies.has(head);
  }

  /** Waits for the answer of a command. */
  async answer(head: number): Promise<GpuReply> {
    await this.host.until(() => this.answered(head));
    const reply = this.#replies.get(head)!;
    this.#replies.delete(head);
    return reply;
  }

  async ask(bytes: Uint8Array): Promise<GpuReply> {
    return await this.answer(this.send(bytes));
  }

  async status(bytes: Uint8Array): Promise<number> {
    return (await this.ask(bytes)).type;
  }

  /** Takes turns until what was sent is done. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 4; turn++) await this.host.turn();
  }

  fence(ringIdx: number): { idLo: number; ringIdx: number } {
    this.#fences++;
    return { idLo: this.#fences, ringIdx };
  }

  /** Guest pages that nobody uses. @returns where they are in guest memory */
  takePages(count: number): number {
    if (this.#pages + count > MOST_PAGES) this.#pages = 1;
    this.#pages += count;
    return this.host.ram.u8.length / 2 - this.#pages * PAGE;
  }

  /** A program with two rings of guest pages, which has said nothing yet. */
  async program(ctxId = 1, ringPages = 1, debugName = 'test'): Promise<GuestProgram> {
    expectOk(await this.status(encodeCtxCreate({ contextInit: 5, debugName }, { ctxId })));
    const program = new GuestProgram(this, ctxId, ringPages);
    await program.makeRings();
    return program;
  }

  /** A program that is connected, with INIT of 20 bytes. */
  async connected(ctxId = 1, ringPages = 1, channelType = 1): Promise<GuestProgram> {
    const program = await this.program(ctxId, ringPages);
    expectOk(await program.submit(program.initCommand(20, channelType)));
    return program;
  }

  [Symbol.dispose](): void {
    this.host[Symbol.dispose]();
    this.device[Symbol.dispose]();
    this.type[Symbol.dispose]();
    this.wayland[Symbol.dispose]();
    this.loop[Symbol.dispose]();
    this.dir[Symbol.dispose]();
  }

  #makeType(): CrossDomainContextType {
    const { gpu: _gpu, survive: _survive, ...rest } = this.#options;
    const note = (line: string): number => this.warnings.push(line);
    const log = { error: note, warn: note, info: note, debug: note, trace: note };
    const channels = rest.channels ?? [{ type: CROSS_DOMAIN_CHANNEL_TYPE_WAYLAND, door: new PathDoor(this.path) }];
    return new CrossDomainContextType({ log, ...rest, sys: this.sys, channels });
  }

  #makeDevice(): GpuDevice {
    const { gpu, survive = false } = this.#options;
    return new GpuDevice({ sys: this.sys, hostVisible: 16 << 20, contextTypes: [this.type], survive, ...gpu });
  }
}

/** One program of the guest and its two rings. */
export class GuestProgram {
  readonly rig: CrossRig;
  readonly ctxId: number;
  readonly queryId: number;
  readonly channelId: number;
  readonly #queryAt: number;
  readonly #channelAt: number;
  readonly #ringSize: number;

  constructor(rig: CrossRig, ctxId: number, ringPages: number) {
    this.rig = rig;
    this.ctxId = ctxId;
    this.queryId = ctxId * 1000 + 2;
    this.channelId = ctxId * 1000 + 3;
    this.#queryAt = rig.takePages(1);
    this.#channelAt = rig.takePages(ringPages);
    this.#ringSize = ringPages * PAGE;
  }

  async makeRings(): Promise<void> {
    await this.#makeRing(this.queryId, this.#queryAt, PAGE);
    await this.#makeRing(this.channelId, this.#channelAt, this.#ringSize);
  }

  /** INIT of 16, 20, 24 or 36 bytes. @param more - u32 behind the channel type */
  initCommand(size: number, channelType: number, more: Words = {}): Uint8Array {
    const { queryId, channelId } = this;
    if (size === 16) return command(INIT, 16, { 8: queryId, 12: channelType });
    return command(INIT, size, { 8: queryId, 12: channelId, 16: channelType, ...more });
  }

  /** Submits commands with a fence of ring 0. */
  async submit(bytes: Uint8Array): Promise<number> {
    return (await this.rig.answer(this.send(bytes, 0))).type;
  }

  /** @param ring - absent: without a fence @returns the head */
  send(bytes: Uint8Array, ring?: number): number {
    const header = ring === undefined ? {} : { fence: this.rig.fence(ring) };
    return this.rig.send(encodeSubmit3d(bytes, { ctxId: this.ctxId, ...header }));
  }

  /** POLL on ring 1. @returns the head */
  poll(): number {
    return this.send(pollCommand, 1);
  }

  /** Waits for a poll. @returns the first `length` bytes of the channel ring */
  async event(head: number, length: number): Promise<Uint8Array> {
    expectOk((await this.rig.answer(head)).type);
    return this.inChannel(length);
  }

  /** Polls, and waits for what comes. */
  async next(length: number): Promise<Uint8Array> {
    return await this.event(this.poll(), length);
  }

  inChannel(length: number): Uint8Array {
    return this.rig.host.ram.u8.slice(this.#channelAt, this.#channelAt + length);
  }

  inQuery(length: number): Uint8Array {
    return this.rig.host.ram.u8.slice(this.#queryAt, this.#queryAt + length);
  }

  /** A HOST3D blob of a blob id, attached. */
  async blob(resourceId: number, blobId: number, size = PAGE): Promise<number> {
    const fields = { resourceId, blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, size, blobId };
    const status = await this.rig.status(encodeResourceCreateBlob(fields, { ctxId: this.ctxId }));
    if (status === OK) expectOk(await this.rig.status(encodeCtxAttachResource(resourceId, { ctxId: this.ctxId })));
    return status;
  }

  /** Ends its rings, so that their numbers are free. */
  async forgetRings(): Promise<void> {
    for (const id of [this.queryId, this.channelId]) expectOk(await this.rig.status(encodeResourceUnref(id)));
  }

  async destroy(): Promise<void> {
    expectOk(await this.rig.status(encodeCtxDestroy({ ctxId: this.ctxId })));
  }

  async #makeRing(resourceId: number, at: number, size: number): Promise<void> {
    const entries = [{ addr: this.rig.host.ram.gpa + at, length: size }];
    const fields = { resourceId, blobMem: VIRTIO_GPU_BLOB_MEM_GUEST, size, entries };
    expectOk(await this.rig.status(encodeResourceCreateBlob(fields)));
    expectOk(await this.rig.status(encodeCtxAttachResource(resourceId, { ctxId: this.ctxId })));
  }
}

function expectOk(status: number): void {
  if (status !== OK) throw new Error(`status 0x${status.toString(16)}`);
}
