/** A device in a process of its own, killed by SIGKILL wherever it is, with compiled code: the records as they are in earnest. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { TestMemory } from '@oriel/guest-memory/testing';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { inflightBytes } from '../src/index.ts';
import { MockDriver, type MockQueue } from '../src/testing/index.ts';
import type { KilledDeviceWork } from './killed-device.ts';
import { sys } from './stage.ts';

const DEVICE = new URL('./killed-device.ts', import.meta.url).pathname;
const KILLS = 12;
const SIZE = 16;
const RUNS = 4_000_000;
const PATIENCE_MS = 20_000;
const SEED = Number(process.env['ORIEL_SEED'] ?? randomInt(2 ** 31));
/** How long the devices live, ms from their first answer. */
const LIVES = fc.sample(fc.noBias(fc.integer({ min: 3, max: 63 })), { seed: SEED, numRuns: KILLS });

/** Sends numbers as fast as the ring takes them; each must come back once. */
class Numbers {
  sent = 0;
  answered = 0;
  readonly #end: MockQueue;
  readonly #waiting = new Map<number, number>();

  constructor(end: MockQueue) {
    this.#end = end;
  }

  /** @returns how many came back */
  exchange(): number {
    while (this.#waiting.size < SIZE && this.sent < RUNS) {
      const number = Buffer.alloc(4);
      number.writeUInt32LE(this.sent);
      this.#waiting.set(this.#end.send([number], [4]), this.sent++);
    }
    return this.receive();
  }

  receive(): number {
    const replies = this.#end.receiveAll();
    for (const { head, data } of replies) {
      // What the driver does not wait for, it has refused before.
      expect(Buffer.from(data).readUInt32LE()).to.equal(this.#waiting.get(head));
      this.#waiting.delete(head);
    }
    this.answered += replies.length;
    return replies.length;
  }
}

async function killed(packed: boolean): Promise<void> {
  using _leaks = leakCheck();
  using driver = new MockDriver(sys, { packed, size: SIZE, ramBytes: 0x4_0000 });
  const areaBytes = inflightBytes(packed, SIZE);
  using state = new TestMemory(sys, { size: areaBytes + RUNS * 4 });
  const end = driver.queue(0);
  const { ram } = driver;
  const { call: _call, onError: _onError, ...config } = end.config({ addressSpace: 'gpa' });
  const work: KilledDeviceWork = {
    packed,
    gpa: ram.gpa,
    ramBytes: ram.size,
    areaBytes,
    runs: RUNS,
    config: { ...config, desc: end.desc, avail: end.avail, used: end.used },
  };
  const numbers = new Numbers(end);
  const start = (): ChildProcess =>
    spawn(process.execPath, [...process.execArgv, DEVICE, JSON.stringify(work)], {
      stdio: ['ignore', 'inherit', 'inherit', ram.file.fd, state.file.fd],
    });
  const until = (what: string, done: () => boolean): void => {
    const end = performance.now() + PATIENCE_MS;
    while (!done()) if (performance.now() > end) throw new Error(`no answer while waiting for ${what}`);
  };
  for (const life of LIVES) {
    const device = start();
    until('the first answer', () => numbers.exchange() > 0);
    const last = performance.now() + life;
    while (performance.now() < last) numbers.exchange();
    const exit = once(device, 'exit');
    device.kill('SIGKILL');
    expect(await exit).to.deep.equal([null, 'SIGKILL']);
  }
  const device = start();
  until('the rest', () => numbers.receive() >= 0 && numbers.answered === numbers.sent);
  const exit = once(device, 'exit');
  device.kill('SIGKILL');
  expect(await exit).to.deep.equal([null, 'SIGKILL']);
  const runs = new Uint32Array(state.u8.buffer, state.u8.byteOffset + areaBytes, numbers.sent);
  expect([runs.indexOf(0), numbers.receive(), end.errors]).to.deep.equal([-1, 0, []]);
  expect(runs.filter((count) => count > 1).length).to.be.at.most(KILLS * SIZE);
}

describe('a device that is killed', () => {
  for (const packed of [false, true]) {
    it(`answers each of its requests once, all the same (${packed ? 'packed' : 'split'}, ORIEL_SEED=${SEED})`, () =>
      killed(packed)).timeout(120_000);
  }
});
