import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { FeatureSet } from '../src/index.ts';
import { shareRaw, startRaw, USER, u32s, u64s, vringAddr } from './support/prelude.ts';
import { RecordingHandler } from './support/recording-handler.ts';
import { RawSetup } from './support/setup.ts';

const NUM = 8;
const ADDR = 9;
const BASE = 10;
const GET_BASE = 11;

function packedSetup(): { setup: RawSetup; handler: RecordingHandler } {
  const handler = new RecordingHandler();
  handler.features = FeatureSet.of(32, 34);
  const setup = new RawSetup({ handler });
  setup.peer.send(16, 1, u64s(0x41a629));
  setup.peer.send(2, 1, u64s(0x5_4000_0000));
  shareRaw(setup);
  return { setup, handler };
}

describe('BackendConnection, packed rings', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('are taken as they are: any size, 32-bit base, areas of 4 bytes', () => {
    const { setup: owned, handler } = packedSetup();
    using setup = owned;
    expect(setup.peer.ask(NUM, u32s(0, 48))).to.equal(0);
    expect(setup.peer.ask(BASE, u32s(0, 0x8000_8000))).to.equal(0);
    expect(setup.peer.ask(ADDR, vringAddr(0, USER, USER + 0xfffc, USER + 0xfff8))).to.equal(0);
    expect(setup.peer.ask(ADDR, vringAddr(0, USER, USER + 0xfffe, USER + 0xfff8))).to.equal(1);
    startRaw(setup);
    setup.settle();
    expect(handler.rings.get(0)?.base).to.equal(0x8000_8000);
  });

  it('start at their start where no base was set, and say so when asked', () => {
    const { setup: owned, handler } = packedSetup();
    using setup = owned;
    expect(setup.peer.ask(NUM, u32s(0, 48))).to.equal(0);
    expect(setup.peer.ask(ADDR, vringAddr(0, USER, USER + 0x1004, USER + 0x1000))).to.equal(0);
    startRaw(setup);
    setup.settle();
    expect(handler.rings.get(0)?.base).to.equal(0x8000_8000);
    setup.peer.send(GET_BASE, 1, u32s(1, 0));
    setup.settle();
    expect(setup.peer.receiveHex()).to.include('0100000000800080');
  });

  it('keep the base that the device stopped at, both places of it', () => {
    const { setup: owned, handler } = packedSetup();
    using setup = owned;
    setup.peer.ask(NUM, u32s(0, 48));
    setup.peer.ask(BASE, u32s(0, 0x802f_0003));
    setup.peer.ask(ADDR, vringAddr(0, USER, USER + 0x1004, USER + 0x1000));
    startRaw(setup);
    setup.settle();
    expect(handler.rings.get(0)?.base).to.equal(0x802f_0003);
    handler.bases.set(0, 0x8004_0004);
    setup.peer.send(GET_BASE, 1, u32s(0, 0));
    setup.settle();
    expect(setup.peer.receiveHex()).to.include('0000000004000480');
  });

  for (const base of [0x8030_8000, 0x8000_8030, 0x8002_8001, 0x8000_0001]) {
    it(`refuse the base 0x${base.toString(16)} of a ring of 48`, () => {
      const { setup: owned } = packedSetup();
      using setup = owned;
      setup.peer.ask(NUM, u32s(0, 48));
      expect(setup.peer.ask(BASE, u32s(0, base))).to.equal(1);
      expect(setup.lines.at(-1)).to.include('ERR_VU_RING');
    });
  }

  it('refuse a start whose base does not fit the size that came behind it', () => {
    const { setup: owned, handler } = packedSetup();
    using setup = owned;
    expect(setup.peer.ask(BASE, u32s(0, 0x8028_8028))).to.equal(0);
    setup.peer.ask(NUM, u32s(0, 32));
    setup.peer.ask(ADDR, vringAddr(0, USER, USER + 0x1004, USER + 0x1000));
    startRaw(setup);
    setup.settle();
    expect(handler.rings.get(0)).to.equal(undefined);
    expect(setup.lines.at(-1)).to.include('ERR_VU_RING');
  });
});
