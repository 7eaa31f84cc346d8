import { ECANCELED, EIO } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { type FrontendProfile, profiles } from '../src/index.ts';
import { BackSetup, mmapPayload } from './support/back-peer.ts';
import { bare } from './support/golden.ts';
import { USER, u32s, u64s } from './support/prelude.ts';
import { MockSetup } from './support/setup.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const ENABLE = 18;

/** Never gives up waiting within a test. */
const patient: FrontendProfile = { ...profiles.qemu, fenceTimeoutMs: 60_000 };

describe('mapTransport', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  describe('on the wire', () => {
    it('sends SHMEM_MAP with one descriptor and SHMEM_UNMAP with none, each wanting an answer', () => {
      using setup = new BackSetup({ profile: profiles.crosvm });
      setup.map(0x2000, 0x1000, 0x3000);
      const map = setup.back.receive();
      expect([map.id, map.flags, map.fds.length]).to.deep.equal([9, 9, 1]);
      expect(hex(map.payload)).to.equal(
        bare('0000000000000000 0010000000000000 0020000000000000 0030000000000000 0100000000000000'),
      );
      expect(setup.sys.fd.close(map.fds[0]!)).to.equal(0);
      setup.back.send(9, 5, u64s(0));
      setup.settle();
      setup.unmap(0x2000, 0x3000);
      const unmap = setup.back.receive();
      expect([unmap.id, unmap.flags, unmap.fds.length]).to.deep.equal([10, 9, 0]);
      expect(hex(unmap.payload)).to.equal(hex(mmapPayload(0, 0, 0x2000, 0x3000, 1)));
      setup.back.send(10, 5, u64s(0));
      setup.settle();
      expect(setup.outcomes).to.deep.equal(['map 0x2000 = 0', 'unmap 0x2000 = 0']);
    });

    it('leaves the write flag out for a read-only mapping', () => {
      using setup = new BackSetup({ profile: profiles.crosvm });
      const request = { shmid: 0, fdOffset: 0, shmOffset: 0, len: 0x1000, writable: false };
      setup.backend.mapTransport.map(request, setup.file.fd, () => {});
      expect(setup.answer(0)).to.equal(`9 ${hex(mmapPayload(0, 0, 0, 0x1000, 0))}`);
    });

    it('has one request out at a time, and sends the others in order', () => {
      using setup = new BackSetup({ profile: profiles.crosvm });
      setup.map(0);
      setup.map(0x1000);
      setup.unmap(0);
      expect(setup.answer(0)).to.match(/^9 /);
      expect(setup.answer(1)).to.match(/^9 /);
      expect(setup.answer(0)).to.match(/^10 /);
      expect(setup.back.receiveHex()).to.equal('null');
      expect(setup.outcomes).to.deep.equal(['map 0x0 = 0', `map 0x1000 = ${-EIO}`, 'unmap 0x0 = 0']);
    });

    for (const [what, id, flags, payload] of [
      ['another message', 10, 5, u64s(0)],
      ['no reply flag', 9, 1, u64s(0)],
      ['NEED_REPLY', 9, 13, u64s(0)],
      ['four bytes', 9, 5, u32s(0)],
    ] as const) {
      it(`ends the connection at an answer with ${what}`, () => {
        using setup = new BackSetup();
        setup.map(0);
        setup.sys.fd.close(setup.back.receive().fds[0]!);
        setup.back.send(id, flags, payload);
        setup.settle();
        expect(setup.backend.closed).to.equal(true);
        expect(setup.handler.calls.at(-1)).to.include('ERR_VU_REPLY');
        expect(setup.outcomes).to.deep.equal([`map 0x0 = ${-ECANCELED}`]);
      });
    }

    it('ends the connection at an answer that nothing asked for', () => {
      using setup = new BackSetup();
      setup.back.send(9, 5, u64s(0));
      setup.settle();
      expect(setup.handler.calls.at(-1)).to.include('ERR_VU_REPLY');
    });

    it('fails what is out when the front-end closes the back channel, and keeps the connection', () => {
      using setup = new BackSetup();
      setup.map(0);
      setup.map(0x1000);
      setup.settle();
      setup.closeBack();
      setup.settle();
      expect(setup.outcomes).to.deep.equal([`map 0x0 = ${-EIO}`, `map 0x1000 = ${-EIO}`]);
      expect(setup.backend.mapTransport.ready).to.equal(false);
      expect(setup.backend.closed).to.equal(false);
    });

    it('fails what is out when the front-end sets a new back channel, and uses that', () => {
      using setup = new BackSetup({ profile: profiles.crosvm });
      setup.map(0);
      const [socket, back] = setup.openBack(setup.sys);
      expect(setup.outcomes).to.deep.equal([`map 0x0 = ${-EIO}`]);
      setup.unmap(0);
      expect(back.receive().id).to.equal(10);
      socket.close();
      setup.settle();
    });

    it('refuses a back channel that is no connected socket', () => {
      using setup = new BackSetup();
      expect(setup.peer.ask(21, [], [setup.file.fd])).to.equal(1);
      expect(setup.lines.at(-1)).to.include('ERR_VU_DESCRIPTOR');
      expect(setup.backend.mapTransport.ready).to.equal(true);
    });
  });

  describe('readiness', () => {
    it('is there only between start and stop of the rings', () => {
      using setup = new BackSetup();
      expect(setup.backend.mapTransport.ready).to.equal(true);
      setup.peer.ask(ENABLE, u32s(0, 0));
      expect(setup.backend.mapTransport.ready).to.equal(false);
      setup.map(0);
      setup.settle();
      expect(setup.outcomes).to.deep.equal([`map 0x0 = ${-ECANCELED}`]);
      expect(setup.back.receiveHex()).to.equal('null');
      setup.peer.ask(ENABLE, u32s(0, 1));
      expect(setup.backend.mapTransport.ready).to.equal(true);
    });

    for (const [what, bits] of [
      ['SHMEM', 0x41a629 & ~(1 << 22)],
      ['REPLY_ACK', 0x41a629 & ~(1 << 3)],
      ['BACKEND_REQ', 0x41a629 & ~(1 << 5)],
    ] as const) {
      it(`is not there without ${what}`, () => {
        using setup = new BackSetup();
        setup.peer.send(ENABLE, 1, u32s(0, 0));
        setup.settle();
        if (what === 'BACKEND_REQ') {
          setup.closeBack();
        }
        setup.peer.send(16, 1, u64s(bits));
        setup.peer.send(ENABLE, 1, u32s(0, 1));
        setup.settle();
        expect(setup.backend.running).to.equal(true);
        expect(setup.backend.mapTransport.ready).to.equal(false);
      });
    }

    it('uses the SHMEM bit of the profile', () => {
      using setup = new MockSetup({ profile: profiles.alioth }, { shmemBit: 21 });
      setup.mock.connect();
      expect(setup.mock.frontend.shmRegions).to.deep.equal([{ shmid: 0, size: 0x10000 }]);
      setup.mock.startRing(0);
      expect(setup.backend.acceptedProtocolFeatures.has(22)).to.equal(false);
      expect(setup.backend.mapTransport.ready).to.equal(true);
    });
  });

  describe('at a stop', () => {
    it('finishes what was answered before the device loses its ring', () => {
      using setup = new BackSetup({ profile: patient });
      setup.map(0);
      setup.answer(0);
      const seen: string[][] = [];
      setup.handler.on.stop = () => seen.push([...setup.outcomes]);
      setup.peer.ask(ENABLE, u32s(0, 0));
      expect(seen).to.deep.equal([['map 0x0 = 0']]);
    });

    it('finishes a request whose answer comes after the stop', () => {
      using setup = new BackSetup({ profile: patient });
      setup.map(0);
      setup.settle();
      setup.peer.ask(ENABLE, u32s(0, 0));
      expect(setup.outcomes).to.deep.equal([]);
      setup.answer(0);
      expect(setup.outcomes).to.deep.equal(['map 0x0 = 0']);
    });

    it('finishes a refused request whose answer comes after the stop', () => {
      using setup = new BackSetup({ profile: patient });
      setup.map(0);
      setup.settle();
      setup.peer.ask(ENABLE, u32s(0, 0));
      setup.answer(1);
      expect(setup.outcomes).to.deep.equal([`map 0x0 = ${-EIO}`]);
    });

    it('gives up what was not sent, after the ring has stopped', () => {
      using setup = new BackSetup({ profile: patient });
      setup.map(0);
      setup.map(0x1000);
      setup.settle();
      setup.handler.on.suspended = () => setup.outcomes.push('suspended');
      setup.handler.on.stop = () => setup.outcomes.push('stop');
      setup.peer.ask(ENABLE, u32s(0, 0));
      expect(setup.outcomes).to.deep.equal(['stop', `map 0x1000 = ${-ECANCELED}`, 'suspended']);
      setup.answer(0);
      expect(setup.back.receiveHex()).to.equal('null');
    });

    it('keeps quiet from the first of several rings on, where they all stop', () => {
      using setup = new BackSetup({ profile: patient });
      startSecondRing(setup);
      setup.peer.ask(ENABLE, u32s(0, 0));
      expect(setup.backend.running).to.equal(true);
      expect(setup.backend.mapTransport.ready).to.equal(false);
      setup.peer.ask(ENABLE, u32s(1, 0));
      setup.peer.ask(ENABLE, u32s(0, 1));
      expect(setup.backend.mapTransport.ready).to.equal(true);
    });

    it('goes on while another ring runs, where rings stop one by one', () => {
      using setup = new BackSetup({ profile: profiles.crosvm });
      startSecondRing(setup);
      setup.peer.ask(ENABLE, u32s(0, 0));
      expect(setup.backend.mapTransport.ready).to.equal(true);
    });

    it('ends everything with -ECANCELED when the front-end leaves', () => {
      using setup = new BackSetup({ profile: patient });
      setup.map(0);
      setup.map(0x1000);
      setup.settle();
      setup.handler.on.suspended = () => setup.outcomes.push('suspended');
      setup.peer.close();
      setup.settle();
      expect(setup.outcomes).to.deep.equal([`map 0x1000 = ${-ECANCELED}`, 'suspended', `map 0x0 = ${-ECANCELED}`]);
      expect(setup.handler.calls.at(-1)).to.match(/^disconnected/);
    });
  });
});

function startSecondRing(setup: BackSetup): void {
  setup.peer.ask(8, u32s(1, 16));
  setup.peer.ask(9, new Uint8Array([...u32s(1, 0), ...u64s(USER + 0x1000, USER + 0x1200, USER + 0x1100, 0)]));
  setup.peer.ask(12, u64s(0x101));
  setup.peer.ask(ENABLE, u32s(1, 1));
}
