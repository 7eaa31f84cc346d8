import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { negotiateRaw, prelude, shareRaw, USER, u32s, u64s, vringAddr } from './support/prelude.ts';
import { RawSetup } from './support/setup.ts';

const NUM = 8;
const ADDR = 9;
const BASE = 10;
const GET_BASE = 11;
const KICK = 12;
const CALL = 13;
const ERR = 14;
const ENABLE = 18;

describe('BackendConnection, rings', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  describe('refuses', () => {
    const MAX = 0xffff_ffff_ffff_ffffn;
    const cases: [string, number, Uint8Array, string][] = [
      ['NUM 0', NUM, u32s(0, 0), 'ERR_VU_RING'],
      ['NUM that is no power of two', NUM, u32s(0, 48), 'ERR_VU_RING'],
      ['NUM above the device', NUM, u32s(0, 512), 'ERR_VU_RING'],
      ['NUM of 2^31', NUM, u32s(0, 0x8000_0000), 'ERR_VU_RING'],
      ['NUM of 2^32 - 1', NUM, u32s(0, 0xffff_ffff), 'ERR_VU_RING'],
      ['NUM for ring 2', NUM, u32s(2, 16), 'ERR_VU_INDEX'],
      ['NUM for ring 256, whose low byte is 0', NUM, u32s(256, 16), 'ERR_VU_INDEX'],
      ['NUM for ring 2^32 - 1', NUM, u32s(0xffff_ffff, 16), 'ERR_VU_INDEX'],
      ['BASE for ring 256', BASE, u32s(256, 0), 'ERR_VU_INDEX'],
      ['BASE of 17 bits', BASE, u32s(0, 0x10000), 'ERR_VU_RING'],
      ['ADDR for ring 256', ADDR, vringAddr(256, USER, USER, USER), 'ERR_VU_INDEX'],
      ['ADDR with desc off 16 bytes', ADDR, vringAddr(0, USER + 8, USER + 0x200, USER + 0x100), 'ERR_VU_RING'],
      ['ADDR with used off 4 bytes', ADDR, vringAddr(0, USER, USER + 0x202, USER + 0x100), 'ERR_VU_RING'],
      ['ADDR with avail off 2 bytes', ADDR, vringAddr(0, USER, USER + 0x200, USER + 0x101), 'ERR_VU_RING'],
      ['ADDR outside memory', ADDR, vringAddr(0, USER - 0x1000, USER + 0x200, USER + 0x100), 'ERR_VU_RING'],
      ['ADDR whose desc leaves its region', ADDR, vringAddr(0, USER + 0xff10, USER, USER), 'ERR_VU_RING'],
      ['ADDR whose used leaves its region', ADDR, vringAddr(0, USER, USER + 0xff7c, USER), 'ERR_VU_RING'],
      [
        'ADDR whose avail leaves its region by its event word',
        ADDR,
        vringAddr(0, USER, USER, USER + 0xffdc),
        'ERR_VU_RING',
      ],
      ['ADDR at 0', ADDR, vringAddr(0, 0, 0, 0), 'ERR_VU_RING'],
      ['ADDR at the end of the address space', ADDR, vringAddr(0, MAX - 15n, MAX - 3n, MAX - 1n), 'ERR_VU_RING'],
      ['ADDR beyond 2^53', ADDR, vringAddr(0, 2 ** 60, USER, USER), 'ERR_VU_RING'],
      ['ADDR with flags', ADDR, vringAddr(0, USER, USER + 0x200, USER + 0x100, 2), 'ERR_VU_RING'],
      ['ENABLE 2', ENABLE, u32s(0, 2), 'ERR_VU_RING'],
      ['ENABLE for ring 256', ENABLE, u32s(256, 1), 'ERR_VU_INDEX'],
      ['KICK for ring 2', KICK, u64s(0x102), 'ERR_VU_INDEX'],
      ['KICK with bit 9', KICK, u64s(0x300), 'ERR_VU_INDEX'],
      ['KICK with bit 32', KICK, u64s(0x1_0000_0100), 'ERR_VU_INDEX'],
      ['CALL for ring 255', CALL, u64s(0x1ff), 'ERR_VU_INDEX'],
      ['ERR for ring 2', ERR, u64s(0x102), 'ERR_VU_INDEX'],
      ['KICK before size and addresses', KICK, u64s(0x101), 'ERR_VU_STATE'],
    ];
    for (const [what, id, payload, code] of cases) {
      it(what, () => {
        using setup = new RawSetup();
        prelude(setup);
        expect(setup.peer.ask(id, payload)).to.equal(1);
        expect(setup.lines.at(-1)).to.include(code);
        expect(setup.backend.closed).to.equal(false);
      });
    }

    it('ADDR beyond 2^53, also before the size is known', () => {
      using setup = new RawSetup();
      negotiateRaw(setup);
      shareRaw(setup);
      expect(setup.peer.ask(ADDR, vringAddr(0, 2 ** 60, USER, USER))).to.equal(1);
      expect(setup.peer.ask(ADDR, vringAddr(0, USER, USER, USER))).to.equal(0);
    });

    it('ADDR before any memory', () => {
      using setup = new RawSetup();
      negotiateRaw(setup);
      expect(setup.peer.ask(ADDR, vringAddr(0, USER, USER + 0x200, USER + 0x100))).to.equal(1);
      expect(setup.lines.at(-1)).to.include('ERR_VU_STATE');
    });

    it('GET_VRING_BASE for a ring that is not there, by closing', () => {
      using setup = new RawSetup();
      prelude(setup);
      setup.peer.send(GET_BASE, 9, u32s(256, 0));
      expect(setup.peer.receiveHex()).to.equal('eof');
      expect(setup.handler.calls.at(-1)).to.include('ERR_VU_INDEX');
    });
  });
});
