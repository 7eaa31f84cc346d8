/** The bench of the conformance kit: one device in one machine, the requests that it is tried with, and what a check is. */
import type { EventLoop, Sys } from '@oriel/sys';
import type { VirtioDevice } from '../device.ts';
import { MockHost, type MockHostOptions } from './mock-host.ts';

/** A request that the device answers with success. */
export interface SampleRequest {
  readonly queue: number;
  readonly readable: readonly Uint8Array[];
  readonly writable: readonly number[];
  /** Judges the answer. @throws when it is wrong */
  readonly verify?: (reply: { readonly written: number; readonly bytes: Uint8Array }) => void;
}

/** A request that the device holds until it is released, while it answers later ones of the same queue. */
export interface HeldRequest extends SampleRequest {
  /** Lets the device that was made last answer it, now or when a queue has it again. */
  readonly release: () => void;
}

/** What the checks need. */
export interface ConformanceOptions {
  readonly sys: Sys;
  readonly makeLoop: () => EventLoop;
  /** Requests that a fresh driver sends in this order (a session's opening first); each must be answered. */
  readonly requests?: readonly SampleRequest[];
  /** The device survives: it is killed, and another one goes on in its place; default false. */
  readonly survives?: boolean;
  /** For devices that keep chains over a pause; sent behind `requests`. Without it, that is not checked. */
  readonly held?: HeldRequest;
  /** Further options of the machine. */
  readonly host?: Omit<MockHostOptions, 'sys' | 'loop'>;
}

/** What is tried on a bench. `check` rejects when the device fails it. */
export interface BenchCheck {
  readonly name: string;
  /** The machine is one that survives kills. */
  readonly survives?: boolean;
  readonly check: (bench: Bench) => Promise<void>;
}

/** Turns after which a device that is going to do something has done it. */
export const PATIENT_TURNS = 20;

/** @throws Error with `claim` unless `condition` holds */
export function expect(condition: boolean, claim: string): void {
  if (!condition) {
    throw new Error(claim);
  }
}

/** One device in one machine, for the time of one check. */
export class Bench implements Disposable {
  readonly host: MockHost;
  readonly requests: readonly SampleRequest[];
  readonly #makeDevice: () => VirtioDevice;
  /** All that were made, the one in the machine last. */
  readonly #devices: VirtioDevice[];
  readonly #loop: EventLoop;

  constructor(makeDevice: () => VirtioDevice, options: ConformanceOptions) {
    this.#loop = options.makeLoop();
    if (this.#loop.driver === 'node') {
      this.#loop.run();
    }
    this.requests = options.requests ?? [];
    this.#makeDevice = makeDevice;
    this.#devices = [makeDevice()];
    this.host = new MockHost(this.device, { ...options.host, sys: options.sys, loop: this.#loop });
  }

  /** The one in the machine. */
  get device(): VirtioDevice {
    return this.#devices.at(-1)!;
  }

  /** A front-end comes, and its driver starts all queues. */
  begin(): void {
    this.host.attach();
    this.host.start();
  }

  /** The driver resets the device, and another one is answered. */
  async beginsAnew(): Promise<void> {
    this.host.reset();
    this.host.start();
    await this.exercise();
  }

  /** The process of the device is killed and started again, and the front-end comes back. */
  killAndRecover(): void {
    this.#devices.push(this.#makeDevice());
    this.host.kill(this.device);
    this.begin();
  }

  /** Sends the sample requests and judges the answers. */
  async exercise(): Promise<void> {
    for (const { queue, readable, writable, verify } of this.requests) {
      const reply = await this.host.request(queue, readable, writable);
      verify?.(reply);
    }
  }

  /** Sends one request and lets the device have it. */
  async send({ queue, readable, writable }: SampleRequest): Promise<void> {
    this.host.driver(queue).send(readable, writable);
    await this.turns(1);
  }

  /** Sends a request that is held, and those that are answered meanwhile. */
  async hold(held: HeldRequest): Promise<void> {
    await this.exercise();
    await this.send(held);
    await this.exercise();
  }

  /** Waits for the only chain that a queue has out, and judges the answer. */
  async answered({ queue, verify }: SampleRequest): Promise<void> {
    const driver = this.host.driver(queue);
    let reply = driver.take();
    await this.host.until(() => (reply ??= driver.take()) !== null);
    verify?.(reply!);
  }

  /** A held request is not answered before it is released, and then is. */
  async answersReleased(held: HeldRequest): Promise<void> {
    await this.turns(2);
    expect(this.host.driver(held.queue).take() === null, 'it came back by itself');
    held.release();
    await this.answered(held);
  }

  /** All was answered once. */
  nothingMore(): void {
    for (let index = 0; index < this.device.queueCount; index++) {
      expect(this.host.driver(index).take() === null, `queue ${index}: answered twice`);
    }
    expect(this.host.brokenQueues.length === 0, 'a queue broke');
  }

  async turns(count: number): Promise<void> {
    for (let turn = 0; turn < count; turn++) {
      await this.host.turn();
    }
  }

  [Symbol.dispose](): void {
    this.host[Symbol.dispose]();
    for (const device of this.#devices) {
      device[Symbol.dispose]();
    }
    this.#loop[Symbol.dispose]();
  }
}
