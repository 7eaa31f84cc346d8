import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { DirtyBitmap, type VhostUserError } from '../src/index.ts';
import { EVERYTHING, everything } from './support/everything.ts';
import { FrontendSetup } from './support/frontend-setup.ts';
import { u32s, u64s } from './support/prelude.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const code = (error: Error | null) => (error === null ? 'none' : (error as VhostUserError).code);

describe('FrontendConnection, dirty logging', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  for (const [what, answer] of [
    ['a u64', u64s(0)],
    ['nothing', new Uint8Array(0)],
    ['the request', u64s(8, 0)],
  ] as const) {
    it(`starts with ${what} as the answer, and stops`, () => {
      using setup = everything();
      using bitmap = new DirtyBitmap(setup.sys, 0x20_0000);
      const outcomes: string[] = [];
      setup.frontend.startLog(bitmap, (error) => outcomes.push(code(error)));
      const base = setup.peer.receive();
      expect([base.id, hex(base.payload), base.fds.length]).to.deep.equal([6, hex(u64s(64, 0)), 1]);
      setup.sys.fd.close(base.fds[0]!);
      setup.peer.send(6, 5, answer);
      const on = setup.peer.receive();
      expect([on.id, hex(on.payload)]).to.deep.equal([2, hex(u64s(0x3_4400_0001))]);
      setup.peer.send(2, 5, u64s(0));
      setup.frontend.stopLog((error) => outcomes.push(code(error)));
      const off = setup.peer.receive();
      expect([off.id, hex(off.payload)]).to.deep.equal([2, hex(u64s(0x3_4000_0001))]);
      setup.peer.send(2, 5, u64s(0));
      setup.settle();
      expect(outcomes).to.deep.equal(['none', 'none']);
    });
  }

  it('does not start when the back-end refuses the log, or offers no LOG_ALL', () => {
    using setup = everything();
    using bitmap = new DirtyBitmap(setup.sys, 0x1000);
    const outcomes: string[] = [];
    setup.frontend.startLog(bitmap, (error) => outcomes.push(code(error)));
    setup.reply(u64s(1));
    expect(setup.peer.next()).to.equal(null);
    using plain = new FrontendSetup();
    plain.negotiate(EVERYTHING);
    plain.frontend.startLog(bitmap, (error) => outcomes.push(code(error)));
    plain.settle();
    expect(plain.peer.next()).to.equal(null);
    expect(outcomes).to.deep.equal(['ERR_VU_REFUSED', 'ERR_VU_GATE']);
  });

  it("names the log of a running ring's used part", () => {
    using setup = everything();
    const ring = { index: 2, size: 16, base: 0, desc: 0x1000, avail: 0x2000, used: 0x3000, kickFd: -1, callFd: -1 };
    setup.frontend.setRingAddresses({ ...ring, log: 0x4000_3000 }, () => {});
    expect(hex(setup.peer.receive().payload)).to.equal(
      hex(new Uint8Array([...u32s(2, 1), ...u64s(0x1000, 0x3000, 0x2000, 0x4000_3000)])),
    );
    setup.peer.send(9, 5, u64s(0));
    setup.frontend.setRingAddresses(ring, () => {});
    expect(hex(setup.peer.receive().payload)).to.equal(
      hex(new Uint8Array([...u32s(2, 0), ...u64s(0x1000, 0x3000, 0x2000, 0)])),
    );
  });
});

describe('DirtyBitmap', () => {
  it('takes bits and clears them, by rising address', () => {
    using setup = new FrontendSetup();
    using bitmap = new DirtyBitmap(setup.sys, 0x100_0000);
    expect(bitmap.size).to.equal(512);
    setup.sys.fd.pwrite(bitmap.fd, Uint8Array.of(0b1000_0001), 1, 0);
    setup.sys.fd.pwrite(bitmap.fd, Uint8Array.of(0b1000_0000), 1, 511);
    const pages: number[] = [];
    expect(bitmap.take((gpa) => pages.push(gpa))).to.equal(3);
    expect(pages).to.deep.equal([0, 0x7000, 0xff_f000]);
    expect(bitmap.take(() => {})).to.equal(0);
  });
});
