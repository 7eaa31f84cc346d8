/** A served device that moves to another host: its state, and the log of what it writes. */
import type { Fd } from '@oriel/sys';
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import {
  DirtyBitmap,
  FeatureSet,
  VHOST_USER_PROTOCOL_F_DEVICE_STATE,
  VHOST_USER_PROTOCOL_F_LOG_SHMFD,
} from '@oriel/vhost-user';
import { MockFrontend } from '@oriel/vhost-user/testing';
import { VIRTIO_F_RING_PACKED } from '@oriel/virtqueue';
import { expect } from 'chai';
import { receiveState, type ServeOptions, sendState } from '../src/index.ts';
import { startRing } from '../src/testing/driver-on.ts';
import { ECHO, EchoDevice, HOLD } from './echo-device.ts';
import { Machine, sys } from './machine.ts';

const PAGE = 4096;
const STATE_LEN = 300_000;

/** Its state is bytes of its own, far more than a pipe or socket holds. */
class MovingDevice extends EchoDevice {
  override readonly shmRegions = [];
  told = Buffer.alloc(STATE_LEN, 'state');
  readonly taken: Uint8Array[] = [];
  /** What is said of the state, once it is there. */
  verdict = 0;
  disposed = 0;
  /** The loop turned that often meanwhile. */
  pieces = 0;

  saveState(to: Fd, done: (ok: boolean) => void): void {
    this.log.push('save');
    let at = 0;
    const read = (into: Uint8Array): number => {
      const part = this.told.subarray(at, at + 10_000);
      into.set(part);
      at += part.length;
      this.pieces++;
      return part.length;
    };
    sendState(this.host!, to, { read, [Symbol.dispose]: () => this.disposed++ }, done);
  }

  loadState(from: Fd, done: (ok: boolean) => void): void {
    this.log.push('load');
    const write = (bytes: Uint8Array): number => {
      this.taken.push(bytes.slice());
      return 0;
    };
    const sink = { write, end: () => this.verdict, [Symbol.dispose]: () => this.disposed++ };
    receiveState(this.host!, from, sink, done);
  }
}

const serve = (options: Partial<ServeOptions>): Partial<ServeOptions> => options;

for (const packed of [false, true]) {
  const ringFeatures = packed ? FeatureSet.of(VIRTIO_F_RING_PACKED) : new FeatureSet();
  describe(`a served device that moves (${packed ? 'packed' : 'split'})`, () => {
    let leaks: LeakCheck;
    beforeEach(() => {
      leaks = leakCheck();
    });
    afterEach(() => leaks.check());

    const save = ({ mock }: Machine): Uint8Array =>
      mock.frontend.wait<Uint8Array>((done) => mock.frontend.saveState(done));
    const load = ({ mock }: Machine, state: Uint8Array): void =>
      mock.frontend.wait((done) => mock.frontend.loadState(state, done));

    it('tells its state and takes it, in pieces; its rings go on where they were', () => {
      const device = new MovingDevice();
      using machine = new Machine(device, serve({ ringFeatures }));
      const driver = machine.start(1);
      machine.ask(driver, Uint8Array.of(ECHO), 1);
      const base = machine.mock.stopRing(1);
      expect(Buffer.from(save(machine)).equals(device.told)).to.equal(true);
      expect([device.pieces, device.disposed]).to.deep.equal([31, 1]);
      device.log.length = 0;
      load(machine, device.told.subarray(0, 100_000));
      expect(Buffer.concat(device.taken).equals(device.told.subarray(0, 100_000))).to.equal(true);
      expect([device.log.includes('reset'), device.log.at(-1), device.disposed]).to.deep.equal([true, 'load', 2]);
      device.log.length = 0;
      startRing(machine.mock, 1, driver, base);
      expect([...machine.ask(driver, Uint8Array.of(ECHO, 3), 2).bytes]).to.deep.equal([ECHO, 3]);
      expect(device.log).to.deep.equal(['start 1']);
    });

    it('is refused by its front-end where the device says so', () => {
      const device = new MovingDevice();
      device.verdict = -5;
      using machine = new Machine(device, serve({ ringFeatures }));
      expect(() => load(machine, device.told)).to.throw();
      expect(device.disposed).to.equal(1);
    });

    it('stays where chains are kept that only this host could take back', () => {
      const device = new MovingDevice();
      using machine = new Machine(device, serve({ ringFeatures }));
      const driver = machine.start(1);
      driver.send([Uint8Array.of(HOLD)], [2]);
      machine.mock.runUntil(() => device.held === 1);
      machine.ask(driver, Uint8Array.of(ECHO), 1);
      machine.mock.stopRing(1);
      expect(() => save(machine)).to.throw();
      expect(device.log).to.not.include('save');
    });

    it('has what it wrote in the log, as far as it may have written, without a stop of its queues', () => {
      const device = new MovingDevice();
      using machine = new Machine(device, serve({ ringFeatures }));
      const { mock } = machine;
      using bitmap = new DirtyBitmap(sys, MockFrontend.RAM_GPA + mock.ram.len);
      const driver = machine.start(1);
      machine.ask(driver, Uint8Array.of(ECHO), 1);
      device.log.length = 0;
      mock.frontend.wait((done) => mock.frontend.startLog(bitmap, done));
      expect(device.log).to.deep.equal([]);
      // Room for far more than the answer.
      machine.ask(driver, Uint8Array.of(ECHO, 7), 4 * PAGE);
      const dirty = new Set<number>();
      bitmap.take((gpa) => dirty.add(gpa));
      expect(dirty.size).to.be.within(4, 7);
      const pages = [...dirty].sort((one, other) => one - other);
      // The whole room, and nothing but its pages and the ring's.
      expect(pages.some((gpa) => [1, 2, 3].every((n) => dirty.has(gpa + n * PAGE)))).to.equal(true);
      mock.frontend.wait((done) => mock.frontend.stopLog(done));
      machine.ask(driver, Uint8Array.of(ECHO), 1);
      expect(bitmap.take(() => {})).to.equal(0);
      expect(device.log).to.deep.equal([]);
    });
  });
}

describe('DEVICE_STATE', () => {
  it('is offered by devices that tell and take their state, and have no shared memory', () => {
    const device = new MovingDevice();
    const offered = (of: EchoDevice): readonly boolean[] => {
      using machine = new Machine(of);
      const { protocolFeatures } = machine.mock.frontend;
      return [VHOST_USER_PROTOCOL_F_LOG_SHMFD, VHOST_USER_PROTOCOL_F_DEVICE_STATE].map((bit) =>
        protocolFeatures.has(bit),
      );
    };
    expect(offered(device)).to.deep.equal([true, true]);
    const region = Object.assign(new MovingDevice(), { shmRegions: [{ shmid: 0, size: 65_536 }] });
    expect(offered(region)).to.deep.equal([false, false]);
    const silent = Object.assign(new MovingDevice(), { loadState: undefined });
    expect(offered(silent)).to.deep.equal([true, false]);
  });
});
