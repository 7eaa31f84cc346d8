/** What QEMU's vhost-user-gpu-pci says, in its order; hardly any of it is what other front-ends do. */
import { check, Fd } from '@oriel/sys';
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { driverOn, startRing } from '../src/testing/driver-on.ts';
import type { MockDriver } from '../src/testing/index.ts';
import { DisplayDevice, GREETING, heard } from './display-device.ts';
import { ECHO, HOLD } from './echo-device.ts';
import { Machine, socketPair, sys } from './machine.ts';

const QUEUES = [0, 1];
/** The device's bit 0, INDIRECT_DESC, EVENT_IDX, bit 30, VERSION_1, and RING_RESET, which nobody offered. */
const ACKED = [0x7000_0001, 0x101];
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const u32s = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);

/** A machine whose front-end has said nothing yet. */
class GpuMachine extends Machine {
  /** The front-end's end of the back channel. */
  back: Fd | null = null;
  readonly #eventfds: Fd[] = [];

  constructor(device: DisplayDevice) {
    super(device, {}, {}, undefined, () => {});
  }

  say(name: string, payload: Uint8Array = new Uint8Array(0), fds: readonly number[] = []): Uint8Array {
    return this.mock.frontend.wait<Uint8Array>((done) =>
      this.mock.frontend.request(name, payload, fds, (error, reply) => done(error, reply?.payload)),
    );
  }

  /** Until the guest runs: every protocol feature on offer is accepted, GET_SHMEM_CONFIG never asked. */
  realize(): void {
    this.say('GET_FEATURES');
    this.say('SET_PROTOCOL_FEATURES', this.say('GET_PROTOCOL_FEATURES'));
    this.say('GET_QUEUE_NUM');
    this.say('GET_MAX_MEM_SLOTS');
    const [theirs, back] = socketPair();
    this.back = back;
    this.say('SET_BACKEND_REQ_FD', u32s(), [theirs]);
    sys.fd.close(theirs);
    this.say('SET_OWNER');
    this.say('GET_FEATURES');
    for (const queue of QUEUES) {
      for (const name of ['SET_VRING_CALL', 'SET_VRING_ERR']) {
        const fd = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd'));
        this.#eventfds.push(fd);
        this.say(name, u32s(queue, 0), [fd.fd]);
      }
    }
    this.say('RESET_DEVICE');
    this.say('RESET_DEVICE');
  }

  /** The driver says DRIVER_OK. @returns the display */
  begin(drivers: readonly MockDriver[], bases: readonly number[] = [0, 0]): Fd {
    const display = this.mock.openDisplay();
    this.say('SET_FEATURES', u32s(...ACKED));
    this.say('GET_STATUS');
    this.say('SET_STATUS', u32s(8, 0));
    for (const queue of QUEUES) {
      startRing(this.mock, queue, drivers[queue]!, bases[queue]);
    }
    for (const queue of QUEUES) {
      this.say('SET_VRING_ENABLE', u32s(queue, 1));
    }
    return display;
  }

  /** The rings stop. @returns their bases */
  end(): number[] {
    for (const queue of QUEUES) {
      this.say('SET_VRING_ENABLE', u32s(queue, 0));
    }
    return QUEUES.map((queue) => new Uint32Array(this.say('GET_VRING_BASE', u32s(queue, 0)).slice().buffer)[1]!);
  }

  drivers(): MockDriver[] {
    return QUEUES.map((queue) => driverOn(this.mock, queue));
  }

  echo(driver: MockDriver, value: number): number {
    driver.send([bytes(ECHO, value)], [2]);
    return this.answer(driver).bytes[1]!;
  }

  override [Symbol.dispose](): void {
    this.back?.close();
    for (const fd of this.#eventfds) {
      fd.close();
    }
    super[Symbol.dispose]();
  }
}

describe('the order of vhost-user-gpu-pci', () => {
  let device: DisplayDevice;
  let leaks: LeakCheck;

  beforeEach(() => {
    leaks = leakCheck();
    device = new DisplayDevice();
  });
  afterEach(() => leaks.check());

  it('brings the device up: two resets, the display, features with bits that were never offered, then the queues', () => {
    using machine = new GpuMachine(device);
    machine.realize();
    expect(device.log).to.deep.equal(['attach', 'reset', 'reset']);
    machine.mock.shareRam();
    const drivers = machine.drivers();
    using display = machine.begin(drivers);
    expect(device.log.slice(3)).to.deep.equal(['display', 'features 0', 'start 0 fresh', 'start 1 fresh']);
    expect(heard(display)).to.deep.equal([GREETING]);
    expect([machine.echo(drivers[0]!, 3), machine.echo(drivers[1]!, 4)]).to.deep.equal([3, 4]);
    expect(machine.server.stats['resets']).to.equal(2);
  });

  it('reads a configuration that is longer than the device has, and writes it whole', () => {
    using machine = new GpuMachine(device);
    machine.realize();
    const header = u32s(0, 20, 0);
    const config = machine.say('GET_CONFIG', new Uint8Array([...header, ...new Uint8Array(20)]));
    expect([...config.subarray(12)]).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8, ...new Uint8Array(12)]);
    machine.say('SET_CONFIG', new Uint8Array([...header, 9, ...config.subarray(13)]));
    expect(machine.say('GET_CONFIG', config)[12]).to.equal(9);
    expect([...device.config]).to.deep.equal([9, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('starts again after a stop that ends in a reset: memory, call eventfds and back channel stay', () => {
    using machine = new GpuMachine(device);
    machine.realize();
    machine.mock.shareRam();
    for (let round = 0; round < 3; round++) {
      const drivers = machine.drivers();
      const before = device.log.length;
      using display = machine.begin(drivers);
      expect(device.log.slice(before).filter((line) => !line.startsWith('features'))).to.deep.equal([
        ...['display', 'start 0 fresh', 'start 1 fresh'],
      ]);
      expect(heard(display)).to.deep.equal([GREETING]);
      expect([machine.echo(drivers[0]!, round), machine.echo(drivers[1]!, round)]).to.deep.equal([round, round]);
      expect(machine.end()).to.deep.equal([1, 1]);
      machine.say('RESET_DEVICE');
      expect(device.log.slice(-4)).to.deep.equal(['stop 0', 'stop 1', 'reset', 'features 0']);
    }
    expect([device.host!.memory.regions.length, machine.server.stats['resets']]).to.deep.equal([1, 5]);
  });

  it('keeps no chain over the reset at a stop, also where the bases go on', () => {
    using machine = new GpuMachine(device);
    machine.realize();
    machine.mock.shareRam();
    const drivers = machine.drivers();
    using _first = machine.begin(drivers);
    drivers[0]!.send([bytes(HOLD, 7)], [2]);
    machine.mock.runUntil(() => device.held === 1);
    machine.echo(drivers[0]!, 1);
    const bases = machine.end();
    expect([bases, device.kept[0]]).to.deep.equal([[2, 0], [0]]);
    machine.say('RESET_DEVICE');
    expect(device.kept[0]).to.deep.equal([]);
    using _second = machine.begin(drivers, bases);
    device.release();
    expect([machine.echo(drivers[0]!, 2), device.held, drivers[0]!.outstanding]).to.deep.equal([2, 0, 1]);
  });

  it('gives kept chains back after a pause, which has no reset', () => {
    using machine = new GpuMachine(device);
    machine.realize();
    machine.mock.shareRam();
    const drivers = machine.drivers();
    using _first = machine.begin(drivers);
    drivers[0]!.send([bytes(HOLD, 7)], [2]);
    machine.mock.runUntil(() => device.held === 1);
    machine.echo(drivers[0]!, 1);
    const bases = machine.end();
    using display = machine.begin(drivers, bases);
    expect([heard(display), device.held, device.log.filter((line) => line === 'reset').length]).to.deep.equal([
      [GREETING],
      1,
      2,
    ]);
    device.release();
    expect([...machine.answer(drivers[0]!).bytes]).to.deep.equal([HOLD, 7]);
  });

  it('goes on when a change of the configuration is refused', () => {
    using machine = new GpuMachine(device);
    machine.realize();
    machine.mock.shareRam();
    const drivers = machine.drivers();
    using _display = machine.begin(drivers);
    for (let round = 0; round < 2; round++) {
      device.host!.configChanged();
      machine.settle();
      const message = new Uint8Array(64);
      expect(sys.fd.read(machine.back!.fd, message, message.length)).to.equal(12);
      expect([...new Uint32Array(message.buffer, 0, 3)]).to.deep.equal([2, 9, 0]);
      expect(sys.fd.write(machine.back!.fd, u32s(2, 5, 8, 1, 0), 20)).to.equal(20);
      machine.settle();
    }
    expect([machine.echo(drivers[1]!, 6), machine.server.connected]).to.deep.equal([6, true]);
  });

  it('stops what runs when a reset comes first', () => {
    using machine = new GpuMachine(device);
    machine.realize();
    machine.mock.shareRam();
    const drivers = machine.drivers();
    using _first = machine.begin(drivers);
    machine.echo(drivers[0]!, 1);
    machine.say('RESET_DEVICE');
    expect(device.log.slice(-4)).to.deep.equal(['stop 0', 'stop 1', 'reset', 'features 0']);
    expect(machine.end()).to.deep.equal([0, 0]);
    const fresh = machine.drivers();
    using _second = machine.begin(fresh);
    expect(machine.echo(fresh[0]!, 8)).to.equal(8);
  });
});
