import type { RegionFile } from '@oriel/guest-memory';
import { check, EIO, Fd, MFD_CLOEXEC } from '@oriel/sys';
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { type FrontendHandlers, profileFor } from '@oriel/vhost-user';
import { expect } from 'chai';
import { startRing } from '../src/testing/driver-on.ts';
import { EchoDevice, MAP } from './echo-device.ts';
import { Machine, sys } from './machine.ts';

const WINDOW_GPA = 0x2_0000_0000;
const WINDOW_USER = 0x7e00_0000_0000;
const REQUEST = Uint8Array.of(MAP, 0);

describe('shared memory regions of a served device', () => {
  let device: EchoDevice;
  let leaks: LeakCheck;
  let file: Fd;
  let maps: number;
  let unmaps: number;
  let answer: number;
  let handlers: FrontendHandlers;

  beforeEach(() => {
    leaks = leakCheck();
    device = new EchoDevice();
    file = new Fd(sys.fd, check(sys.mem.memfdCreate('page', MFD_CLOEXEC), 'memfd_create'));
    check(sys.file.ftruncate(file.fd, 65536), 'ftruncate');
    device.mapFd = file.fd;
    maps = 0;
    unmaps = 0;
    answer = 0;
    handlers = {
      shmemMap(_request, fd) {
        fd.close();
        maps++;
        return answer;
      },
      shmemUnmap() {
        unmaps++;
        return answer;
      },
    };
  });
  afterEach(() => {
    file.close();
    leaks.check();
  });

  const announce = () => ({ gpa: WINDOW_GPA, userAddr: WINDOW_USER });

  it('maps, answers when the memory update came, and has it in the ledger', () => {
    using machine = new Machine(device, {}, { handlers, announce });
    const reply = machine.ask(machine.start(1), REQUEST, 1);
    expect(reply.bytes[0]).to.equal(0);
    expect(maps).to.equal(1);
    expect(device.host!.region(0).entries()).to.have.length(1);
    expect(device.host!.memory.find(WINDOW_GPA)).not.to.equal(null);
    expect(machine.server.stats['region.mapped']).to.equal(1);
  });

  it('sees its mapping come and go in the table, though it has no need of the file there', () => {
    class Frugal extends EchoDevice {
      needsMemory({ sealed }: RegionFile): boolean {
        return sealed;
      }
    }
    device = new Frugal();
    device.mapFd = file.fd;
    using machine = new Machine(device, {}, { handlers, announce });
    const driver = machine.start(1);
    const kept = leakCheck();
    expect(machine.ask(driver, REQUEST, 1).bytes[0]).to.equal(0);
    kept.check();
    const { memory } = device.host!;
    expect([memory.find(WINDOW_GPA)!.foreign, machine.server.stats['region.mapped']]).to.deep.equal([true, 1]);
    const outcomes: number[] = [];
    device.host!.region(0).unmap(0, 4096, (error) => outcomes.push(error));
    machine.mock.runUntil(() => outcomes.length === 1);
    expect([outcomes, memory.find(WINDOW_GPA), unmaps]).to.deep.equal([[0], null, 1]);
  });

  it('waits for the fence of a front-end that announces nothing, and answers others meanwhile', () => {
    using machine = new Machine(device, {}, { handlers });
    const mapping = machine.start(1);
    const other = machine.start(2);
    mapping.send([REQUEST], [1]);
    machine.mock.runUntil(() => maps === 1);
    expect(mapping.take()).to.equal(null);
    expect(machine.ask(other, Uint8Array.of(1, 5), 2).bytes[1]).to.equal(5);
    expect(machine.answer(mapping).bytes[0]).to.equal(0);
  });

  it('hands a refusal to the device', () => {
    answer = -EIO;
    using machine = new Machine(device, {}, { handlers, announce });
    expect(machine.ask(machine.start(1), REQUEST, 1).bytes[0]).to.equal(EIO);
    expect(device.host!.region(0).entries()).to.have.length(0);
  });

  it('refuses a device more mappings than its share', () => {
    using machine = new Machine(device, { maxMappings: 7 }, { handlers, announce });
    expect(machine.server.connected).to.equal(true);
    expect(device.host!.region(0).limits.maxMappings).to.equal(7);
  });

  it('knows no region that the device did not declare', () => {
    using machine = new Machine(device, {}, { handlers, announce });
    expect(machine.server.connected).to.equal(true);
    expect(() => device.host!.region(1)).to.throw(RangeError);
  });

  it('keeps mappings through a pause', () => {
    using machine = new Machine(device, {}, { handlers, announce });
    const driver = machine.start(1);
    machine.ask(driver, REQUEST, 1);
    const base = machine.mock.stopRing(1);
    startRing(machine.mock, 1, driver, base);
    expect(device.host!.region(0).entries()).to.have.length(1);
    expect(unmaps).to.equal(0);
  });

  it('forgets mappings at a reset where the front-end drops them, with no message', () => {
    using machine = new Machine(device, {}, { handlers, announce });
    machine.ask(machine.start(1), REQUEST, 1);
    machine.mock.stopRing(1);
    const driver = machine.start(1);
    expect(device.host!.region(0).entries()).to.have.length(0);
    expect(unmaps).to.equal(0);
    expect(machine.ask(driver, REQUEST, 1).bytes[0]).to.equal(0);
  });

  it('keeps the ledger at a reset where the front-end keeps its mappings', () => {
    const profile = profileFor('crosvm', sys.mem.pageSize);
    using machine = new Machine(device, { profile }, { handlers });
    machine.ask(machine.start(1), REQUEST, 1);
    machine.mock.stopRing(1);
    machine.start(1);
    expect(device.log).to.include('reset');
    expect(device.host!.region(0).entries()).to.have.length(1);
  });

  it('sends nothing for what waits at a stop, and asks again when the queue goes on', () => {
    using machine = new Machine(device, {}, { handlers });
    const driver = machine.start(1);
    driver.send([Uint8Array.of(MAP, 0)], [1]);
    driver.send([Uint8Array.of(MAP, 1)], [1]);
    machine.mock.runUntil(() => maps === 1);
    const base = machine.mock.stopRing(1);
    machine.settle();
    expect(base).to.equal(1);
    expect(maps).to.equal(1);
    expect(driver.take()?.bytes[0]).to.equal(0);
    expect(driver.take()).to.equal(null);
    startRing(machine.mock, 1, driver, base);
    expect(machine.answer(driver).bytes[0]).to.equal(0);
    expect(maps).to.equal(2);
    const mapped = device.host!.region(0).entries();
    expect(mapped.map(({ shmOffset, state }) => [shmOffset, state])).to.deep.equal([
      [0, 'live'],
      [4096, 'live'],
    ]);
  });

  it('ends a mapping that waits when the front-end leaves', () => {
    using machine = new Machine(device, {}, { handlers });
    const driver = machine.start(1);
    driver.send([REQUEST], [1]);
    machine.mock.runUntil(() => maps === 1);
    const region = device.host!.region(0);
    machine.mock.frontend[Symbol.dispose]();
    machine.mock.runUntil(() => device.log.includes('detach'));
    expect(region.entries()).to.have.length(0);
  });
});
