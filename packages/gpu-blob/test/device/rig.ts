/** A device in a `MockHost`, spoken to in commands. */
import { BlockingLoop, openSys } from '@oriel/sys';
import { MockHost, type MockHostOptions } from '@oriel/virtio-device/testing';
import {
  CONTROL_QUEUE,
  type Context,
  type ContextHost,
  CtrlHdr,
  CURSOR_QUEUE,
  GpuDevice,
  type GpuDeviceOptions,
  MEMORY_CAPSET_ID,
  MemoryContextType,
  VIRTIO_GPU_BLOB_MEM_HOST3D,
} from '../../src/index.ts';
import {
  decodeReply,
  encodeCtxCreate,
  encodeResourceCreateBlob,
  type GpuReply,
  replySize,
  typeOf,
} from '../../src/testing/index.ts';

export const sys = openSys();
export const PAGE = sys.mem.pageSize;
export const WINDOW = 16 << 20;

/** What `open` gives: everything is disposed with it. */
export class GpuRig implements Disposable {
  readonly loop = new BlockingLoop(sys);
  readonly memory = new MemoryContextType({ sys });
  readonly device: GpuDevice;
  readonly host: MockHost;

  constructor(options: Partial<GpuDeviceOptions> = {}, host: Partial<MockHostOptions> = {}) {
    this.device = new GpuDevice({ sys, hostVisible: WINDOW, contextTypes: [this.memory], ...options });
    this.host = new MockHost(this.device, { sys, loop: this.loop, ...host });
    this.host.attach();
    this.host.start();
  }

  /** Sends a command and takes turns until its reply is there. */
  async ask(command: Uint8Array, queue = CONTROL_QUEUE): Promise<GpuReply> {
    const { bytes, written } = await this.host.request(queue, [command], [room(command)]);
    return decodeReply(bytes.subarray(0, written));
  }

  /** The type of the reply. */
  async status(command: Uint8Array, queue = CONTROL_QUEUE): Promise<number> {
    return (await this.ask(command, queue)).type;
  }

  /** Sends a command without waiting. @returns its head */
  send(command: Uint8Array, queue = CONTROL_QUEUE): number {
    return this.host.driver(queue).send([command], [room(command)]);
  }

  /** Takes the next reply, after turns. */
  async reply(queue = CONTROL_QUEUE): Promise<{ head: number; reply: GpuReply }> {
    let taken = this.host.driver(queue).take();
    await this.host.until(() => {
      taken ??= this.host.driver(queue).take();
      return taken !== null;
    });
    return { head: taken!.head, reply: decodeReply(taken!.bytes.subarray(0, taken!.written)) };
  }

  /** Takes turns until the device has taken what was sent. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 4; turn++) await this.host.turn();
  }

  async cursor(command: Uint8Array): Promise<number> {
    const { written } = await this.host.request(CURSOR_QUEUE, [command], []);
    return written;
  }

  /** A context of type memory. */
  async context(ctxId: number, capsetId = MEMORY_CAPSET_ID): Promise<void> {
    await this.status(encodeCtxCreate({ contextInit: capsetId, debugName: 'test' }, { ctxId }));
  }

  /** A mappable HOST3D blob of context 1. */
  async blob(resourceId: number, size = PAGE, blobId = 0): Promise<number> {
    const fields = { resourceId, blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, size, blobId };
    return await this.status(encodeResourceCreateBlob(fields, { ctxId: 1 }));
  }

  [Symbol.dispose](): void {
    this.host[Symbol.dispose]();
    this.device[Symbol.dispose]();
    this.loop[Symbol.dispose]();
  }
}

/** Bytes for the reply. */
function room(command: Uint8Array): number {
  return command.length < 4 ? CtrlHdr.byteLength : replySize(typeOf(command), 4096);
}

/** A context whose fences and submits wait until the test lets them go. */
export class SlowContext implements Context {
  readonly host: ContextHost;
  readonly fences: { ring: number; done: () => void }[] = [];
  readonly submits: { commands: Uint8Array; done: (status: 0x1100) => void }[] = [];
  disposed = false;
  slowSubmit = false;

  constructor(host: ContextHost) {
    this.host = host;
  }

  submit(commands: Uint8Array, done: (status: 0x1100) => void): void {
    if (this.slowSubmit) this.submits.push({ commands: commands.slice(), done });
    else done(0x1100);
  }

  fence(ring: number, done: () => void): void {
    this.fences.push({ ring, done });
  }

  createBlob(): 0x1200 {
    return 0x1200;
  }

  [Symbol.dispose](): void {
    this.disposed = true;
  }
}
