import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { type FrontendHandlers, profiles } from '../src/index.ts';
import { memfd } from './support/prelude.ts';
import { RecordingHandler } from './support/recording-handler.ts';
import { MockSetup } from './support/setup.ts';

/** A front-end that takes every mapping. */
const willing: FrontendHandlers = {
  shmemMap: (_request, fd) => {
    fd.close();
    return 0;
  },
  shmemUnmap: () => 0,
};
const announce = () => ({ gpa: 0xf000_0000, userAddr: 0x7200_0000_0000 });

describe('BackendConnection with MockFrontend', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('negotiates, shares memory, starts and stops rings', () => {
    using setup = new MockSetup();
    const { mock, handler, backend } = setup;
    mock.connect();
    expect(mock.frontend.queueCount).to.equal(2);
    expect(mock.frontend.shmRegions).to.deep.equal([{ shmid: 0, size: 0x10000 }]);
    expect(mock.frontend.features.bits()).to.deep.equal([0, 29, 32]);
    expect(mock.frontend.protocolFeatures.bits()).to.deep.equal([0, 3, 5, 9, 10, 13, 15, 16, 22]);
    const ring = mock.startRing(0, { base: 3 });
    expect(backend.memory.findUser(handler.rings.get(0)!.desc, 1)?.gpa).to.equal(ring.desc);
    expect(backend.running && backend.mapTransport.ready).to.equal(true);
    handler.bases.set(0, 7);
    expect(mock.stopRing(0)).to.equal(7);
    expect(handler.take()).to.deep.equal([
      'features 0x120000001',
      'memory',
      'call 0 fd',
      'resumed',
      'start 0 base 3',
      'stop 0',
      'suspended',
    ]);
  });

  it('shares RAM: bytes written at one side are read at the other', () => {
    using setup = new MockSetup();
    setup.mock.connect();
    setup.mock.ram.u8[0x1234] = 0x5a;
    const region = setup.backend.memory.find(0x4000_0000)!;
    expect(region.u8[0x1234]).to.equal(0x5a);
    setup.mock.withdrawRam();
    expect(setup.backend.memory.regions).to.deep.equal([]);
  });

  it('carries kicks and calls', () => {
    using setup = new MockSetup();
    const { mock, handler, sys } = setup;
    mock.connect();
    mock.startRing(1);
    mock.kick(1);
    expect(sys.loop.eventfdDrain(handler.rings.get(1)!.kickFd)).to.equal(1);
    expect(mock.takeCalls(1)).to.equal(0);
    sys.loop.eventfdSignal(handler.callFds.get(1)!);
    expect(mock.takeCalls(1)).to.equal(1);
  });

  it('reads and writes configuration and status, and resets', () => {
    using setup = new MockSetup();
    const { frontend } = setup.mock;
    setup.mock.connect();
    frontend.wait((done) => frontend.setConfig(2, Uint8Array.of(9, 8), done));
    const config = frontend.wait<Uint8Array>((done) => frontend.getConfig(0, 4, done));
    expect([...config]).to.deep.equal([1, 2, 9, 8]);
    frontend.wait((done) => frontend.setStatus(0xf, done));
    expect(frontend.wait<number>((done) => frontend.getStatus(done))).to.equal(0xf);
    frontend.wait((done) => frontend.resetDevice(done));
    expect(setup.handler.take().at(-1)).to.equal('reset');
  });

  it('throws what the back-end refused', () => {
    using setup = new MockSetup();
    setup.mock.connect();
    expect(() => setup.mock.startRing(0, { size: 3 })).to.throw('ERR_VU_REFUSED');
    expect(() => setup.mock.startRing(2)).to.throw('ERR_VU_REFUSED');
  });

  it('maps and unmaps with a front-end that tells of it by the memory table', () => {
    using setup = new MockSetup(
      { profile: { ...profiles.qemu, fenceTimeoutMs: 60_000 } },
      { handlers: willing, announce },
    );
    const { mock, backend, sys } = setup;
    mock.connect();
    mock.startRing(0);
    using file = memfd(sys, 0x8000);
    const request = { shmid: 0, fdOffset: 0x1000, shmOffset: 0x2000, len: 0x3000, writable: true };
    const outcomes: number[] = [];
    backend.mapTransport.map(request, file.fd, (error) => outcomes.push(error));
    mock.runUntil(() => outcomes.length === 1);
    const region = backend.memory.find(0xf000_2000)!;
    expect([region.size, region.mmapOffset]).to.deep.equal([0x3000, 0x1000]);
    backend.mapTransport.unmap(request, (error) => outcomes.push(error));
    mock.runUntil(() => outcomes.length === 2);
    expect(outcomes).to.deep.equal([0, 0]);
    expect(backend.memory.find(0xf000_2000)).to.equal(null);
  });

  it('maps with a front-end that has no slots, by the barrier', () => {
    using setup = new MockSetup(
      { profile: { ...profiles.qemu, fenceTimeoutMs: 1 } },
      { handlers: willing, announce: () => null },
    );
    const { mock, backend, sys } = setup;
    mock.connect();
    mock.startRing(0);
    using file = memfd(sys, 0x8000);
    const request = { shmid: 0, fdOffset: 0, shmOffset: 0, len: 0x1000, writable: false };
    const outcomes: number[] = [];
    backend.mapTransport.map(request, file.fd, (error) => outcomes.push(error));
    mock.runUntil(() => outcomes.length === 1);
    expect(outcomes).to.deep.equal([0]);
  });

  it('hears of a changed configuration', () => {
    let changes = 0;
    const handlers = { configChange: () => changes++ };
    using setup = new MockSetup({}, { handlers });
    setup.mock.connect();
    setup.backend.configChanged();
    setup.settle();
    expect(changes).to.equal(0);
    setup.mock.startRing(0);
    setup.mock.runUntil(() => changes === 1);
  });

  it('tells the front-end when the back-end ends', () => {
    let reason = '';
    using setup = new MockSetup({}, { handlers: { disconnected: (text) => (reason = text) } });
    setup.mock.connect();
    setup.backend[Symbol.dispose]();
    setup.settle();
    expect(reason).to.match(/ERR_VU_CLOSED/);
    expect(() => setup.mock.startRing(0)).to.throw('ERR_VU_CLOSED');
  });

  it('serves one front-end after the other', () => {
    const handler = new RecordingHandler();
    for (let round = 0; round < 3; round++) {
      using setup = new MockSetup({ handler });
      setup.mock.connect();
      setup.mock.startRing(0);
      setup.mock.frontend[Symbol.dispose]();
      setup.settle();
      expect(handler.take().slice(-3)).to.deep.equal([
        'stop 0',
        'suspended',
        'disconnected: the front-end closed the connection',
      ]);
    }
  });
});
