import { EIO, openSys, Statx, type Sys } from '@oriel/sys';
import { leakCheck, mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { type FrontendProfile, profiles } from '../src/index.ts';
import { BackSetup, mmapPayload, WINDOW_GPA, WINDOW_USER } from './support/back-peer.ts';
import { GPA, memfd, RAM_SIZE, USER, u32s, u64s } from './support/prelude.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const BARRIER = `10 ${hex(mmapPayload(0, 0, 0, 0, 0))}`;

/** Never waits long for an update that a test does not send. */
const quick: FrontendProfile = { ...profiles.qemu, fenceTimeoutMs: 1 };
/** Never gives up waiting within a test. */
const patient: FrontendProfile = { ...profiles.qemu, fenceTimeoutMs: 60_000 };

describe('mapTransport', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  describe('visibility fence', () => {
    it('is the answer itself for a front-end that maps before it answers', () => {
      using setup = new BackSetup({ profile: profiles.crosvm });
      setup.map(0);
      setup.answer(0);
      expect(setup.outcomes).to.deep.equal(['map 0x0 = 0']);
    });

    it('waits for the ADD_MEM_REG that holds the mapping, and its ack', () => {
      using setup = new BackSetup({ profile: patient });
      setup.map(0x2000, 0x3000, 0x1000);
      setup.answer(0);
      expect(setup.outcomes).to.deep.equal([]);
      expect(setup.addRegion(0x2000, 0x3000, 0x1000)).to.equal(0);
      expect(setup.outcomes).to.deep.equal(['map 0x2000 = 0']);
    });

    it('takes an update that is read before the answer', () => {
      using setup = new BackSetup({ profile: patient });
      setup.map(0);
      setup.sys.fd.close(setup.back.receive().fds[0]!);
      setup.addRegion(0);
      expect(setup.outcomes).to.deep.equal([]);
      setup.back.send(9, 5, u64s(0));
      setup.settle();
      expect(setup.outcomes).to.deep.equal(['map 0x0 = 0']);
    });

    it('takes SET_MEM_TABLE as well', () => {
      using setup = new BackSetup({ profile: patient });
      setup.map(0, 0x4000, 0x2000);
      setup.answer(0);
      using ram = memfd(setup.sys, RAM_SIZE);
      const table = [...u32s(2, 0), ...u64s(GPA, RAM_SIZE, USER, 0), ...u64s(WINDOW_GPA, 0x2000, WINDOW_USER, 0x4000)];
      expect(setup.peer.ask(5, new Uint8Array(table), [ram.fd, setup.file.fd])).to.equal(0);
      expect(setup.outcomes).to.deep.equal(['map 0x0 = 0']);
    });

    it('is not fooled by other files, offsets or sizes, nor by a region that was there before', () => {
      using setup = new BackSetup({ profile: patient });
      using other = memfd(setup.sys, 0x10000);
      setup.addRegion(0x8000, 0, 0x1000);
      setup.map(0, 0, 0x1000);
      setup.answer(0);
      setup.addRegion(0x1000, 0, 0x1000, other.fd);
      setup.addRegion(0x2000, 0x1000, 0x1000);
      setup.addRegion(0x3000, 0, 0x2000);
      expect(setup.outcomes).to.deep.equal([]);
      setup.addRegion(0, 0, 0x1000);
      expect(setup.outcomes).to.deep.equal(['map 0x0 = 0']);
    });

    it('is not fooled by a file of the same number on another device', () => {
      const real = openSys();
      let elsewhere = false;
      const statx: Sys['file']['statx'] = (dirfd, path, flags, mask, buf) => {
        const result = real.file.statx(dirfd, path, flags, mask, buf);
        if (elsewhere) {
          const { buffer, byteOffset } = buf as Uint8Array;
          const view = new DataView(buffer, byteOffset);
          Statx.stxDevMinor.set(view, 0, Statx.stxDevMinor.get(view, 0) + 1);
        }
        return result;
      };
      using setup = new BackSetup({ profile: patient, sys: mockSys({ file: { statx } }, real) });
      elsewhere = true;
      setup.map(0);
      elsewhere = false;
      setup.answer(0);
      setup.addRegion(0);
      expect(setup.outcomes).to.deep.equal([]);
    });

    it('tells two mappings of the same file range apart by their order', () => {
      using setup = new BackSetup({ profile: patient });
      setup.map(0);
      setup.answer(0);
      setup.addRegion(0);
      setup.map(0x1000);
      setup.answer(0);
      expect(setup.outcomes).to.deep.equal(['map 0x0 = 0']);
      setup.addRegion(0x1000);
      expect(setup.outcomes).to.deep.equal(['map 0x0 = 0', 'map 0x1000 = 0']);
      setup.unmap(0x1000);
      setup.answer(0);
      setup.removeRegion(0);
      expect(setup.outcomes.length).to.equal(2);
      setup.removeRegion(0x1000);
      expect(setup.outcomes.at(-1)).to.equal('unmap 0x1000 = 0');
    });

    it('waits for the removal after UNMAP', () => {
      using setup = new BackSetup({ profile: patient });
      setup.map(0);
      setup.answer(0);
      setup.addRegion(0);
      setup.unmap(0);
      setup.answer(0);
      expect(setup.outcomes).to.deep.equal(['map 0x0 = 0']);
      setup.removeRegion(0);
      expect(setup.outcomes).to.deep.equal(['map 0x0 = 0', 'unmap 0x0 = 0']);
    });

    it('serves REM_MEM_REG of one mapping while the answer to the next is out', () => {
      using setup = new BackSetup({ profile: patient });
      setup.map(0);
      setup.answer(0);
      setup.addRegion(0);
      setup.unmap(0);
      setup.map(0x1000, 0x1000);
      setup.answer(0);
      expect(setup.back.receive().fds.map((fd) => setup.sys.fd.close(fd))).to.deep.equal([0]);
      expect(setup.removeRegion(0)).to.equal(0);
      expect(setup.outcomes).to.deep.equal(['map 0x0 = 0', 'unmap 0x0 = 0']);
      setup.back.send(9, 5, u64s(0));
      setup.addRegion(0x1000, 0x1000);
      expect(setup.outcomes.at(-1)).to.equal('map 0x1000 = 0');
    });

    it('takes a later answer as proof: the front-end works one request after the other', () => {
      using setup = new BackSetup({ profile: patient });
      setup.map(0);
      setup.map(0x1000);
      setup.answer(0);
      expect(setup.outcomes).to.deep.equal([]);
      setup.answer(0);
      expect(setup.outcomes).to.deep.equal(['map 0x0 = 0']);
    });

    it('asks for a round trip that changes nothing when no update comes', () => {
      using setup = new BackSetup({ profile: quick });
      setup.map(0);
      setup.answer(0);
      let barrier = '';
      setup.runUntil(() => {
        const request = setup.back.next();
        if (request !== null && request !== 'eof') {
          barrier = `${request.id} ${hex(request.payload)}`;
          setup.back.send(request.id, 5, u64s(1));
        }
        return barrier !== '';
      });
      setup.settle();
      expect(barrier).to.equal(BARRIER);
      expect(setup.outcomes).to.deep.equal(['map 0x0 = 0']);
    });

    it('does not wait to unmap what was never seen in the table', () => {
      using setup = new BackSetup({ profile: patient });
      for (const shmOffset of [0, 0x1000]) {
        setup.unmap(shmOffset);
        setup.answer(0);
        expect(setup.answer(1)).to.equal(BARRIER);
      }
      expect(setup.outcomes).to.deep.equal(['unmap 0x0 = 0', 'unmap 0x1000 = 0']);
    });

    it('sends nothing that may be refused where refusal is fatal', () => {
      using setup = new BackSetup({ profile: { ...quick, refusalIsFatal: true } });
      setup.map(0);
      setup.answer(0);
      setup.runUntil(() => setup.outcomes.length > 0);
      expect(setup.outcomes).to.deep.equal(['map 0x0 = 0']);
      expect(setup.back.receiveHex()).to.equal('null');
      expect(setup.lines.at(-1)).to.match(/^warn: no memory-table update/);
    });

    it('fails a refused request at once, and forgets it', () => {
      using setup = new BackSetup({ profile: patient });
      setup.map(0);
      setup.answer(1);
      expect(setup.outcomes).to.deep.equal([`map 0x0 = ${-EIO}`]);
      setup.map(0);
      setup.answer(0);
      setup.addRegion(0);
      expect(setup.outcomes.at(-1)).to.equal('map 0x0 = 0');
    });
  });
});
