/** A virtio-gpu device over several processes, with a guest and a front-end that outlive them. */
import { createHash } from 'node:crypto';
import { testLimits } from '@oriel/shm-region/testing';
import { BlockingLoop, EEXIST, EIO, silentLogger } from '@oriel/sys';
import { MockHost } from '@oriel/virtio-device/testing';
import {
  type Context,
  type ContextHost,
  CtrlHdr,
  GpuDevice,
  HeadlessSink,
  MemoryContextType,
} from '../../src/index.ts';
import { Records } from '../../src/survival/records.ts';
import { replySize, typeOf } from '../../src/testing/index.ts';
import { PAGE, SlowContext, sys, WINDOW } from '../device/rig.ts';
import { Afterlife, isDeath, MortalSys, Steps, withState } from './mortal.ts';

const STATE_BYTES = 64 * 1024;
/** A type whose fences wait until the test says so. */
export const SLOW_CAPSET = 9;
/** One that cannot go on in another process. */
export const LOST_CAPSET = 10;

/** One process. */
class Life implements Disposable {
  readonly mortal: MortalSys;
  readonly memory: MemoryContextType;
  readonly sink = new HeadlessSink();
  readonly slow: SlowContext[] = [];
  readonly device: GpuDevice;

  constructor(steps: Steps, afterlife: Afterlife, warn: (line: string) => void) {
    this.mortal = new MortalSys(steps);
    const own = this.mortal.sys;
    this.memory = new MemoryContextType({ sys: own });
    const create = (host: ContextHost): Context => {
      const context = new SlowContext(host);
      this.slow.push(context);
      return context;
    };
    const rest = { maxVersion: 0, capset: new Uint8Array(0), create };
    this.device = new GpuDevice({
      sys: own,
      hostVisible: WINDOW,
      contextTypes: [
        this.memory,
        { ...rest, capsetId: SLOW_CAPSET, name: 'slow', restore: create },
        { ...rest, capsetId: LOST_CAPSET, name: 'lost' },
      ],
      sink: this.sink,
      outputs: [
        { width: 64, height: 64 },
        { width: 64, height: 64 },
      ],
      log: { ...silentLogger, warn },
      survive: true,
      stateBytes: STATE_BYTES,
    });
    const attach = this.device.attach.bind(this.device);
    this.device.attach = (host) => attach(withState(host, afterlife.lend(steps, own)));
  }

  [Symbol.dispose](): void {
    this.device[Symbol.dispose]();
    this.sink[Symbol.dispose]();
    this.mortal[Symbol.dispose]();
  }
}

export class Survivor implements Disposable {
  readonly loop = new BlockingLoop(sys);
  readonly steps = new Steps();
  readonly afterlife = new Afterlife(STATE_BYTES);
  readonly host: MockHost;
  /** What the front-end has in the window: bytes by offset. */
  readonly window = new Map<number, number>();
  /** Maps that the front-end refused: a device that knows what is there asks for none. */
  refusedMaps = 0;
  /** Warnings of all processes. */
  readonly warnings: string[] = [];
  /** The last process but one did not get to serve. */
  diedInStart = false;
  #life: Life;
  readonly #dead: Life[] = [];

  constructor({ packed = false } = {}) {
    this.#life = this.#begin();
    this.host = new MockHost(this.#life.device, {
      sys,
      loop: this.loop,
      survive: true,
      packed,
      limits: testLimits({ pageSize: PAGE }),
    });
    this.host.transport.behaviour.answer = (kind, { shmOffset, len }) =>
      kind === 'map' ? this.#map(shmOffset, len) : this.#unmap(shmOffset, len);
    this.host.attach();
    this.host.start();
  }

  get life(): Life {
    return this.#life;
  }

  /** Sends a command. @returns its head */
  send(command: Uint8Array, queue = 0): number {
    return this.host.driver(queue).send([command], queue === 0 ? [replySize(typeOf(command), 4096)] : []);
  }

  /** Waits for the answer of the only command that is out. */
  async answer(queue = 0): Promise<Uint8Array> {
    let reply = this.host.driver(queue).take();
    await this.host.until(() => (reply ??= this.host.driver(queue).take()) !== null);
    return reply!.bytes.subarray(0, reply!.written);
  }

  async ask(command: Uint8Array, queue = 0): Promise<Uint8Array> {
    this.send(command, queue);
    return await this.answer(queue);
  }

  async status(command: Uint8Array): Promise<number> {
    return CtrlHdr.type.get(new DataView((await this.ask(command)).slice().buffer), 0);
  }

  /**
   * Sends commands at once and waits for all answers, the process dying at a step.
   * @param second - the step at which the next process dies
   * @returns the answers in the order sent
   */
  async killedAt(
    step: number,
    commands: readonly Uint8Array[],
    queue = 0,
    second = Number.POSITIVE_INFINITY,
  ): Promise<readonly string[]> {
    const replies = new Map<number, string>();
    const take = (): boolean => {
      const driver = this.host.driver(queue);
      for (let reply = driver.take(); reply !== null; reply = driver.take()) {
        if (replies.has(reply.head)) throw new Error(`answered twice: ${reply.head}`);
        replies.set(reply.head, Buffer.from(reply.bytes.subarray(0, reply.written)).toString('hex'));
      }
      return replies.size === commands.length;
    };
    const finish = async (): Promise<void> => {
      await this.host.until(() => this.steps.outside(take) && this.host.transport.waiting === 0);
      // What comes behind the answer.
      await this.host.turn();
    };
    const heads = commands.map((command) => this.send(command, queue));
    const died = await this.#diesDuring(step, finish);
    const diedAgain =
      died &&
      (await this.#diesDuring(second, async () => {
        this.diedInStart = true;
        this.rebirth();
        this.diedInStart = false;
        await finish();
      }));
    if (diedAgain) this.rebirth();
    await finish();
    return heads.map((head) => replies.get(head)!);
  }

  /** The process ends where it is, and another one takes over. */
  rebirth(): void {
    // What the dead one would do from here on reaches nobody.
    const { bytes, kept } = this.afterlife;
    const left = bytes.slice();
    const names = new Map([...kept].map(([name, fd]) => [name, fd.dup()]));
    const dead = this.#life;
    this.#dead.push(dead);
    this.#life = this.#begin();
    this.steps.afterDeath(() => this.host.kill(this.#life.device));
    this.afterlife[Symbol.dispose]();
    for (const [name, fd] of names) kept.set(name, fd);
    this.afterlife.bytes = left;
    this.host.attach();
    this.host.start();
  }

  /** All that a guest can see, and what is held for it. */
  picture(): unknown {
    const { device, memory, sink } = this.#life;
    const { resources, contexts, mappings, hostmem, waiting } = device.stats;
    const list = [...device.resources.values()].map((resource) => ({
      id: resource.id,
      kind: resource.kind,
      size: resource.size,
      backing: resource.backing?.size ?? -1,
      mapped: device.mappings.offsetOf(resource),
      uuid: resource.uuid === null ? '' : 'has one',
      bytes: digest(resource.pixels?.u8),
      file: fileDigest(resource.host?.fd, resource.host?.size),
    }));
    return {
      stats: { resources, contexts, mappings, hostmem, waiting },
      resources: list.sort((a, b) => a.id - b.id),
      window: [...this.window].sort(([a], [b]) => a - b),
      objects: memory.objects().map(({ blobIdLo, size, blobs }) => ({ blobIdLo, size, blobs })),
      scanouts: [0, 1].map((scanout) => digest(sink.frame(scanout)?.pixels)),
      cursors: [0, 1].map((scanout) => {
        const cursor = sink.cursor(scanout);
        return cursor?.visible === true ? { x: cursor.x, y: cursor.y, image: digest(cursor.image) } : 'none';
      }),
      kept: this.afterlife.kept.size,
    };
  }

  /** Records in the state memory, as another process would find them. */
  records(): number {
    return new Records(this.afterlife.bytes.slice()).recover()!.length;
  }

  [Symbol.dispose](): void {
    this.host[Symbol.dispose]();
    for (const life of [...this.#dead, this.#life]) life[Symbol.dispose]();
    this.afterlife[Symbol.dispose]();
    this.loop[Symbol.dispose]();
  }

  #begin(): Life {
    return new Life(this.steps, this.afterlife, (line) => this.warnings.push(line));
  }

  /** @returns true when it died */
  async #diesDuring(step: number, act: () => Promise<void>): Promise<boolean> {
    try {
      await this.steps.during(step, act);
      return false;
    } catch (error) {
      if (!isDeath(error)) throw error;
      return true;
    }
  }

  #map(shmOffset: number, len: number): number {
    for (const [at, size] of this.window) {
      if (at < shmOffset + len && shmOffset < at + size) {
        this.refusedMaps++;
        return -EEXIST;
      }
    }
    this.window.set(shmOffset, len);
    return 0;
  }

  #unmap(shmOffset: number, len: number): number {
    if (this.window.get(shmOffset) !== len) return -EIO;
    this.window.delete(shmOffset);
    return 0;
  }
}

function digest(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? '' : createHash('sha1').update(bytes).digest('hex');
}

function fileDigest(fd: number | undefined, size = 0): string {
  if (fd === undefined) return '';
  const bytes = new Uint8Array(size);
  sys.fd.pread(fd, bytes, size, 0);
  return digest(bytes);
}
