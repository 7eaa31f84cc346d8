/** A connection that moves to another process: here to another connection object, as bytes that went through JSON. */
import { check, Fd, Mapping, PROT_READ, PROT_WRITE } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { BackendConnection, type FrozenConnection, profiles, VhostUserError } from '../src/index.ts';
import { MockFrontend } from '../src/testing/index.ts';
import { FullSetup, KeepingHandler } from './support/full-setup.ts';
import { GPA, PROTOCOL_FEATURES, prelude, SentFds, USER, u32s, u64s } from './support/prelude.ts';
import { RecordingHandler } from './support/recording-handler.ts';
import { MockSetup, RawSetup } from './support/setup.ts';

const CALL = 13;
const GET_BASE = 11;
const ACCEPTED = PROTOCOL_FEATURES | (1 << 12) | 2;

/** What goes from process to process: the state as text, the descriptors as new numbers. */
function carried(setup: RawSetup, frozen: FrozenConnection): FrozenConnection {
  const fds = frozen.fds.map((fd) => new Fd(setup.sys.fd, check(setup.sys.fd.dup(fd.fd), 'dup')));
  for (const fd of frozen.fds) fd.close();
  return { state: JSON.parse(JSON.stringify(frozen.state)), fds };
}

describe('BackendConnection, freeze and thaw', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('goes on in another connection: rings at their bases, with all they had, and the front-end hears nothing', () => {
    using setup = new FullSetup();
    const frozen = setup.backend.freeze();
    expect(setup.handler.take()).to.deep.equal(['stop 0', 'suspended']);
    expect([setup.backend.closed, setup.backend.memory.regions.length]).to.deep.equal([true, 0]);
    // Socket, back channel, memory, in-flight, log, kick, two calls, err.
    expect(frozen.fds.length).to.equal(9);
    const handler = new KeepingHandler();
    using backend = setup.thaw(carried(setup, frozen), handler);
    expect(handler.take()).to.deep.equal([]);
    expect(backend.memory.find(GPA)?.size).to.equal(0x10000);
    expect(backend.acceptedProtocolFeatures.lo).to.equal(ACCEPTED);
    expect(setup.peer.receiveHex()).to.equal('null');
    const told = ['features 0x120000001', 'memory', 'call 0 fd', 'resumed', 'start 0 base 9', 'call 1 fd'];
    expect(handler.take()).to.deep.equal(told);
    const ring = handler.rings.get(0)!;
    expect([ring.size, ring.desc, ring.avail, ring.used]).to.deep.equal([16, USER, USER + 0x100, USER + 0x200]);
    const [kick, call, err, call1] = setup.events.numbers as [number, number, number, number];
    setup.sys.loop.eventfdSignal(kick);
    expect(setup.sys.loop.eventfdDrain(ring.kickFd)).to.equal(1);
    for (const [index, fd] of [call, call1].entries()) {
      setup.sys.loop.eventfdSignal(handler.callFds.get(index)!);
      expect(setup.sys.loop.eventfdDrain(fd)).to.equal(1);
    }
    backend.ringError(0);
    expect(setup.sys.loop.eventfdDrain(err)).to.equal(1);
    using area = Mapping.shared(setup.sys.mem, setup.inflight.fd, 0x1000, 0, PROT_READ | PROT_WRITE);
    ring.inflight![3] = 7;
    expect(area.u8[3]).to.equal(7);
    using log = Mapping.shared(setup.sys.mem, setup.log.fd, 0x9000, 0, PROT_READ | PROT_WRITE);
    ring.dirty!.markRingAt(GPA, 1);
    expect(log.u8[0x8000]).to.equal(1);
    // Both channels live on.
    backend.configChanged();
    expect(setup.back.receiveHex()).to.equal('020000000900000000000000');
    setup.back.send(2, 5, u64s(0));
    setup.peer.send(40, 1);
    expect(setup.peer.receiveHex()).to.equal('28000000050000000800000' + '00f00000000000000');
    setup.peer.send(GET_BASE, 1, u32s(0, 0));
    expect(setup.peer.receiveHex()).to.equal('0b00000005000000080000000000000009000000');
    expect(setup.peer.ask(3)).to.equal(0);
  });

  it('keeps the first bytes of a message, and its descriptors', () => {
    using setup = new FullSetup();
    using event = new SentFds(setup.sys, ['event']);
    setup.peer.sendBytes(new Uint8Array([...u32s(CALL, 9, 8), 1, 0, 0]), event.numbers);
    setup.settle();
    const frozen = setup.backend.freeze();
    expect(frozen.fds.length).to.equal(10);
    const handler = new KeepingHandler();
    using _backend = setup.thaw(carried(setup, frozen), handler);
    setup.peer.sendBytes(new Uint8Array(5));
    expect(setup.peer.receiveHex()).to.equal('0d00000005000000080000000000000000000000');
    setup.sys.loop.eventfdSignal(handler.callFds.get(1)!);
    expect(setup.sys.loop.eventfdDrain(event.numbers[0]!)).to.equal(1);
  });

  it('remembers regions whose memory was not needed, so that they can be taken away', () => {
    using setup = new FullSetup();
    using fds = new SentFds(setup.sys, ['memory']);
    setup.keeping.needsMemory = () => false;
    const region = u64s(0, 0x9000_0000, 0x1000, 0x7100_0000_0000, 0);
    expect(setup.peer.ask(37, region, fds.numbers)).to.equal(0);
    using backend = setup.thaw(carried(setup, setup.backend.freeze()));
    expect(backend.memory.regions.map(({ gpa, foreign }) => [gpa, foreign])).to.deep.equal([
      [GPA, false],
      [0x9000_0000, true],
    ]);
    expect(setup.peer.ask(38, region)).to.equal(0);
    expect(backend.memory.regions.length).to.equal(1);
  });

  it('leaves nothing open when there are no descriptors left in the middle of a thaw', () => {
    using setup = new FullSetup();
    using fds = new SentFds(setup.sys, ['memory']);
    setup.keeping.needsMemory = () => false;
    expect(setup.peer.ask(37, u64s(0, 0x9000_0000, 0x1000, 0x7100_0000_0000, 0), fds.numbers)).to.equal(0);
    const frozen = carried(setup, setup.backend.freeze());
    const { memfdCreate } = setup.sys.mem;
    setup.sys.mem.memfdCreate = () => -24;
    try {
      expect(() => setup.thaw(frozen)).to.throw('EMFILE');
    } finally {
      setup.sys.mem.memfdCreate = memfdCreate;
    }
    expect(setup.peer.receiveHex()).to.equal('eof');
  });

  it('goes back and forth', () => {
    using setup = new FullSetup();
    let { backend } = setup;
    const handler = new KeepingHandler();
    for (let count = 0; count < 5; count++) {
      backend = setup.thaw(carried(setup, backend.freeze()), handler);
      setup.settle();
      expect(setup.peer.ask(3)).to.equal(0);
    }
    expect(handler.rings.get(0)?.base).to.equal(9);
    backend[Symbol.dispose]();
  });

  it('takes a connection on that has only begun', () => {
    using setup = new RawSetup();
    const frozen = setup.backend.freeze();
    const handler = new RecordingHandler();
    const { sys, loop } = setup;
    using backend = BackendConnection.thaw({ sys, loop, profile: profiles.qemu, handler }, carried(setup, frozen));
    prelude(setup);
    setup.settle();
    expect(backend.memory.regions.length).to.equal(1);
  });

  it('moves under a front-end that drives a ring', () => {
    using setup = new MockSetup({ handler: new KeepingHandler() });
    const { mock, sys, loop } = setup;
    mock.connect();
    mock.startRing(0, { base: 3 });
    const handler = new KeepingHandler();
    const frozen = setup.backend.freeze();
    using backend = BackendConnection.thaw({ sys, loop, profile: profiles.qemu, handler }, frozen);
    setup.settle();
    mock.kick(0);
    expect(sys.loop.eventfdDrain(handler.rings.get(0)!.kickFd)).to.equal(1);
    mock.ram.u8[7] = 9;
    expect(backend.memory.find(MockFrontend.RAM_GPA)!.u8[7]).to.equal(9);
    expect(mock.stopRing(0)).to.equal(3);
  });

  it('does not freeze while an answer is awaited, or twice', () => {
    using setup = new FullSetup();
    setup.backend.configChanged();
    expect(() => setup.backend.freeze()).to.throw(VhostUserError, 'ERR_VU_STATE');
    expect(setup.backend.running).to.equal(true);
    setup.back.receive();
    setup.back.send(2, 5, u64s(0));
    setup.settle();
    for (const fd of setup.backend.freeze().fds) fd.close();
    expect(() => setup.backend.freeze()).to.throw(VhostUserError, 'ERR_VU_CLOSED');
  });

  it('goes on where it was when there are no descriptors left', () => {
    using setup = new FullSetup();
    const { dup } = setup.sys.fd;
    setup.sys.fd.dup = () => -24;
    expect(() => setup.backend.freeze()).to.throw('EMFILE');
    setup.sys.fd.dup = dup;
    expect(setup.backend.running).to.equal(true);
    expect(setup.peer.ask(3)).to.equal(0);
    for (const fd of setup.backend.freeze().fds) fd.close();
  });

  it('ends when the device does not take the rings', () => {
    using setup = new FullSetup();
    const handler = new KeepingHandler();
    handler.on.start = () => {
      throw new Error('no');
    };
    const backend = setup.thaw(carried(setup, setup.backend.freeze()), handler);
    expect(setup.peer.receiveHex()).to.equal('eof');
    expect([backend.closed, handler.calls.at(-1)?.startsWith('disconnected')]).to.deep.equal([true, true]);
    expect(setup.lines.join()).to.include('ERR_VU_DEVICE');
  });

  type Change = (state: Record<string, unknown>, fds: Fd[]) => void;
  const ring = (state: Record<string, unknown>) => (state.rings as Record<string, unknown>[])[0]!;
  const cases: [string, Change, string][] = [
    ['of another version', (state) => (state.version = 2), 'ERR_VU_FROZEN'],
    ['of another front-end', (state) => (state.profile = 'crosvm'), 'ERR_VU_FROZEN'],
    ['with features never offered', (state) => (state.features = [0, 0xff]), 'ERR_VU_FROZEN'],
    ['with protocol features never offered', (state) => (state.protocolFeatures = [4, 0]), 'ERR_VU_FROZEN'],
    ['with a descriptor in two places', (state) => (ring(state).kick = state.socket), 'ERR_VU_FROZEN'],
    ['with a descriptor that is not there', (state) => (state.socket = 99), 'ERR_VU_FROZEN'],
    ['with a descriptor too many', (_state, fds) => fds.push(fds[0]!.dup()), 'ERR_VU_FROZEN'],
    ['with a descriptor too few', (_state, fds) => fds.pop()!.close(), 'ERR_VU_FROZEN'],
    ['with fewer rings', (state) => (state.rings as unknown[]).pop(), 'ERR_VU_FROZEN'],
    ['with half a byte', (state) => (state.received = { hex: '0', fds: [] }), 'ERR_VU_FROZEN'],
    [
      'with more bytes than a message has',
      (state) => (state.received = { hex: '00'.repeat(9999), fds: [] }),
      'ERR_VU_FROZEN',
    ],
    [
      'with a ring outside of memory',
      (state) => (ring(state).addresses = { desc: 0, avail: 0, used: 0 }),
      'ERR_VU_RING',
    ],
    ['with a ring of 3 entries', (state) => (ring(state).size = 3), 'ERR_VU_RING'],
    ['with a base beyond 16 bits', (state) => (ring(state).base = 0x10000), 'ERR_VU_RING'],
    [
      'with memory behind the end of its file',
      (state) => ((state.regions as { size: number }[])[0]!.size *= 16),
      'ERR_VU_MEMORY',
    ],
    [
      'with too small in-flight memory',
      (state) => ((state.inflight as { mmapSize: number }).mmapSize = 1),
      'ERR_VU_INFLIGHT',
    ],
    [
      'with a log longer than its file',
      (state) => ((state.log as { mmapSize: number }).mmapSize = 0x10000),
      'ERR_VU_LOG',
    ],
    [
      'with a kick that is no eventfd',
      (state) => ([ring(state).kick, state.backChannel] = [state.backChannel, ring(state).kick]),
      'ERR_VU_DESCRIPTOR',
    ],
  ];
  for (const [what, change, code] of cases) {
    it(`refuses a state ${what}, and closes everything`, () => {
      using setup = new FullSetup();
      const { state, fds } = carried(setup, setup.backend.freeze());
      const list = [...fds];
      change(state as Record<string, unknown>, list);
      const handler = new KeepingHandler();
      expect(() => setup.thaw({ state, fds: list }, handler)).to.throw(VhostUserError, code);
      expect(list.every((fd) => fd.closed)).to.equal(true);
      setup.settle();
      expect(handler.calls).to.deep.equal([]);
      expect(setup.peer.receiveHex()).to.equal('eof');
    });
  }

  it('survives any state (property)', () => {
    using setup = new FullSetup();
    const { state, fds } = carried(setup, setup.backend.freeze());
    const value = fc.oneof(
      fc.constantFrom(null, -1, 0, 1, 2 ** 53, 1.5, '', '00', [], {}, [0, 0], true),
      fc.integer(),
      fc.jsonValue(),
    );
    const paths: string[][] = [];
    const walk = (at: unknown, path: string[]): void => {
      if (path.length > 0) paths.push(path);
      if (typeof at === 'object' && at !== null) {
        for (const [key, inner] of Object.entries(at)) walk(inner, [...path, key]);
      }
    };
    walk(state, []);
    fc.assert(
      fc.property(fc.constantFrom(...paths), value, (path, fresh) => {
        const changed = structuredClone(state) as Record<string, unknown>;
        let at: Record<string, unknown> = changed;
        for (const key of path.slice(0, -1)) at = at[key] as Record<string, unknown>;
        at[path.at(-1)!] = fresh;
        const copies = fds.map((fd) => fd.dup());
        try {
          setup.thaw({ state: changed, fds: copies })[Symbol.dispose]();
        } catch (error) {
          expect(error).to.be.instanceOf(VhostUserError);
        }
        expect(copies.every((fd) => fd.closed)).to.equal(true);
        setup.settle();
      }),
      { seed: 20261122, numRuns: 300 },
    );
    for (const fd of fds) fd.close();
  });
});
