/** A device over a real directory, in a machine without a VM: the test is driver and front-end. */
import { mkdirSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassthroughFilesystem, type PassthroughOptions } from '@oriel/fs-passthrough';
import type { Filesystem } from '@oriel/fuse';
import { type Asked, type InitInput, ReplyDecoder, RequestEncoder } from '@oriel/fuse/client';
import type { WireMapping } from '@oriel/shm-region';
import { BlockingLoop, type Logger, type Mapping, openOffload, openSys, type Sys } from '@oriel/sys';
import { type LeakCheck, leakCheck, type TempDir, tempDir } from '@oriel/sys/testing';
import { MockHost, type MockHostOptions } from '@oriel/virtio-device/testing';
import { DAX_RANGE, FsDevice, type FsDeviceOptions } from '../../src/index.ts';
import { FrontEnd } from './front-end.ts';

export const sys = openSys();
export const PAGE = 4096;
export const MIB = 1 << 20;
/** SETUPMAPPING flags: read, or read and write. */
export const READ = 2;
export const WRITE = 3;

/** INIT of a mount with dax=always, with the default options, and with dax=never. */
export const ALWAYS: InitInput = { flagsHi: 0x5fd };
export const INODE: InitInput = {};
export const NEVER: InitInput = { flagsLo: 0x7bff_fffb, flagsHi: 0x5fd };

export interface RigOptions extends Partial<Omit<FsDeviceOptions, 'sys' | 'fs'>> {
  /** For the device; the file system has the real one. */
  readonly sys?: Sys;
  readonly share?: Partial<PassthroughOptions>;
  readonly wrap?: (fs: PassthroughFilesystem) => Filesystem;
  readonly host?: Partial<MockHostOptions>;
  /** A directory for share and state that stays; default: one of its own. */
  readonly at?: string;
  /** The file system uses a helper thread; such a rig, and one with a guard, is ended by `await using`. */
  readonly helper?: true;
}

/** A request on its way. */
export interface Sent {
  readonly asked: Asked;
  /** The reply, or null. */
  reply: { readonly written: number; readonly bytes: Uint8Array } | null;
}

// Node and koffi open things at first use, which are nobody's leak.
new BlockingLoop(sys)[Symbol.dispose]();

export class Rig implements Disposable {
  readonly dir: TempDir;
  readonly share: string;
  readonly loop: BlockingLoop;
  fs: PassthroughFilesystem;
  device: FsDevice;
  readonly host: MockHost;
  readonly lines: string[] = [];
  readonly #leaks: LeakCheck;
  readonly #request = new RequestEncoder();
  readonly #sent = new Map<string, Sent>();
  readonly #offload: ReturnType<typeof openOffload> | undefined;
  readonly #frontEnd: FrontEnd;
  readonly #makeFs: () => PassthroughFilesystem;
  readonly #makeDevice: (fs: PassthroughFilesystem) => FsDevice;
  readonly #dead: Disposable[] = [];
  #requests = 0;
  #helperGone = (): void => {};

  constructor(options: RigOptions = {}) {
    const { share, wrap, host, helper, at, sys: deviceSys = sys, ...device } = options;
    this.#leaks = leakCheck();
    this.dir = at === undefined ? tempDir('oriel-fs-dax-') : { path: at, [Symbol.dispose]() {} };
    this.share = join(this.dir.path, 'share');
    const stateDir = join(this.dir.path, 'state');
    for (const directory of [this.share, stateDir]) mkdirSync(directory, { recursive: true });
    this.loop = new BlockingLoop(sys);
    if (helper) this.#offload = openOffload(sys, this.loop, { onHelperExit: () => this.#helperGone() });
    const help = this.#offload === undefined ? {} : { offload: this.#offload };
    const log = this.#logger();
    this.#makeFs = () =>
      new PassthroughFilesystem({ sys, sharedDir: this.share, daxKeepCache: false, ...help, ...share });
    this.#makeDevice = (fs) =>
      new FsDevice({
        sys: deviceSys,
        tag: 'share',
        windowSize: 16 * MIB,
        sharedDir: this.share,
        log,
        ...device,
        fs: wrap?.(fs) ?? fs,
        dax: { stateDir, minSize: 1, ...device.dax },
      });
    this.fs = this.#makeFs();
    this.device = this.#makeDevice(this.fs);
    this.host = new MockHost(this.device, { sys, loop: this.loop, log, ...help, ...host });
    this.#frontEnd = new FrontEnd(sys, this.loop, this.host.transport);
    this.host.attach();
    this.host.start();
  }

  /** A rig in a session. */
  static async mounted(mode: InitInput, options: RigOptions = {}): Promise<Rig> {
    const rig = new Rig(options);
    await rig.mount(mode);
    return rig;
  }

  async mount(mode: InitInput): Promise<void> {
    await this.call((r) => r.init(mode));
  }

  /** The device's process is killed; another one takes over and the front-end comes back. */
  killed(): void {
    this.#dead.push(this.device, this.fs);
    this.fs = this.#makeFs();
    this.device = this.#makeDevice(this.fs);
    this.host.kill(this.device);
    this.host.attach();
    this.host.start();
  }

  path(name: string): string {
    return join(this.share, name);
  }

  /** Sends a request and goes on. */
  send(build: (request: RequestEncoder) => RequestEncoder, data?: Uint8Array, queue = 1): Sent {
    const { opcode, uniqueLo, uniqueHi, room, bytes, len } = build(this.#request);
    const readable = [bytes.slice(0, len), ...(data === undefined ? [] : [data])];
    const head = this.host.driver(queue).send(readable, room === 0 ? [] : [room]);
    this.#requests++;
    const sent: Sent = { asked: { opcode, uniqueLo, uniqueHi, room }, reply: null };
    this.#sent.set(`${queue}:${head}`, sent);
    return sent;
  }

  /** Takes back what the device has answered. */
  collect(): void {
    for (let queue = 0; queue < this.device.queueCount; queue++) {
      for (let reply = this.host.driver(queue).take(); reply !== null; reply = this.host.driver(queue).take()) {
        this.#sent.get(`${queue}:${reply.head}`)!.reply = reply;
        this.#sent.delete(`${queue}:${reply.head}`);
      }
    }
  }

  async until(met: () => boolean): Promise<void> {
    await this.host.until(() => {
      this.collect();
      return met();
    });
  }

  /** Waits for a reply. */
  async reply(sent: Sent): Promise<ReplyDecoder> {
    await this.until(() => sent.reply !== null);
    return decode(sent);
  }

  async call(build: (request: RequestEncoder) => RequestEncoder, data?: Uint8Array): Promise<ReplyDecoder> {
    return this.reply(this.send(build, data));
  }

  /** Waits for the positive errno of a reply. */
  async errno(build: (request: RequestEncoder) => RequestEncoder, data?: Uint8Array): Promise<number> {
    return (await this.call(build, data)).error;
  }

  async lookup(name: string, parent = 1): Promise<number> {
    return (await this.call((r) => r.lookup(parent, name))).readEntry().nodeid;
  }

  /** SETUPMAPPING of a range's index in the file and in the window. */
  map(nodeid: number, range: number, slot: number, flags = READ): Promise<number> {
    return this.errno((r) => r.setupmapping(nodeid, range * DAX_RANGE, DAX_RANGE, flags, slot * DAX_RANGE));
  }

  sendMap(nodeid: number, range: number, slot: number): Sent {
    return this.send((r) => r.setupmapping(nodeid, range * DAX_RANGE, DAX_RANGE, READ, slot * DAX_RANGE));
  }

  unmap(nodeid: number, ...slots: number[]): Promise<number> {
    return this.errno((r) =>
      r.removemapping(
        nodeid,
        slots.flatMap((slot) => [slot * DAX_RANGE, DAX_RANGE]),
      ),
    );
  }

  /** What is mapped now, as [shmOffset, len, fdOffset]. */
  get mapped(): number[][] {
    return this.host
      .region(0)
      .entries()
      .map(({ shmOffset, len, fdOffset }) => [shmOffset, len, fdOffset]);
  }

  /** The memory behind a mapping, as the guest has it. */
  memory(shmOffset: number): Mapping {
    return this.#frontEnd.memory(shmOffset);
  }

  /** Requests that reached the front-end, as [kind, shmOffset, len]. */
  get sentMappings(): [string, number, number][] {
    return this.host.transport.sent.map(({ kind, request }) => [kind, request.shmOffset, request.len]);
  }

  /** From now on the front-end answers nothing. */
  hold(): void {
    this.#frontEnd.hold();
  }

  /** The front-end answers what it has, in order, and what comes. */
  release(): void {
    this.#frontEnd.release();
  }

  /** Calls back when the front-end looks at a request; its result is the answer. */
  onRequest(look: (kind: 'map' | 'unmap', request: WireMapping) => number): void {
    this.host.transport.behaviour.answer = look;
  }

  /** Waits until the front-end has a request that it has not answered. */
  inFlight(): Promise<void> {
    return this.until(() => this.#frontEnd.unanswered > 0);
  }

  /** Waits until the device has taken every request that was sent once. */
  taken(): Promise<void> {
    return this.until(() => this.device.stats.requests >= this.#requests);
  }

  /** Waits until the front-end has answered everything. */
  answered(): Promise<void> {
    return this.until(() => this.host.transport.waiting === 0);
  }

  async turns(count: number): Promise<void> {
    for (let turn = 0; turn < count; turn++) await this.host.turn();
    this.collect();
  }

  /** Ends everything and checks that nothing stayed open. */
  [Symbol.dispose](): void {
    this.#close();
    this.#leaks.check();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = new Promise<void>((resolve) => {
      this.#helperGone = resolve;
    });
    this.#close();
    if (this.#offload !== undefined) await gone;
    // The thread of a guard closes what it has a moment later.
    await this.#leaks.settled();
  }

  #close(): void {
    this.#frontEnd[Symbol.dispose]();
    this.host[Symbol.dispose]();
    this.device[Symbol.dispose]();
    this.fs[Symbol.dispose]();
    for (const one of this.#dead) one[Symbol.dispose]();
    this.#offload?.[Symbol.dispose]();
    this.loop[Symbol.dispose]();
    this.dir[Symbol.dispose]();
  }

  #logger(): Logger {
    const note = (message: string): void => {
      this.lines.push(message);
    };
    return { error: note, warn: note, info: () => {}, debug: () => {}, trace: () => {} };
  }
}

/** A rig in a session with dax=always, that knows a file of `size` bytes. */
export async function withFile(size: number, options: RigOptions = {}): Promise<{ rig: Rig; nodeid: number }> {
  const rig = await Rig.mounted(ALWAYS, options);
  writeFileSync(rig.path('file'), Buffer.alloc(size, 'f'));
  return { rig, nodeid: await rig.lookup('file') };
}

/** How many descriptors this process has of a file, which may be a part of its name. */
export function descriptorsOf(name: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes(name);
    } catch {
      return false; // the one that listed the directory
    }
  }).length;
}

export function decode({ asked, reply }: Sent): ReplyDecoder {
  return new ReplyDecoder().take(asked, reply!.bytes, reply!.written);
}
