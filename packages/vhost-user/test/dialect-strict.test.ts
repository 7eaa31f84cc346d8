import { EIO } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { profiles } from '../src/index.ts';
import { ack, type Line, MEM_TABLE, type Opening, StreamSetup, VRING_ADDR } from './support/stream.ts';

/** By the book: every request that may ask for an ack does once REPLY_ACK is there, and one memory table. */
const NEGOTIATE: readonly Line[] = [
  ['01000000 01000000 00000000', '01000000 05000000 08000000 0100006001000000'],
  ['0f000000 01000000 00000000', '0f000000 05000000 08000000 29a6410000000000'],
  ['10000000 09000000 08000000 2906400000000000', ack('10')],
  ['03000000 09000000 00000000', ack('03')],
];
const START: readonly Line[] = [
  ['02000000 09000000 08000000 0100006001000000', ack('02')],
  [`05000000 09000000 28000000 ${MEM_TABLE}`, ack('05'), ['memory']],
  ['08000000 09000000 08000000 00000000 10000000', ack('08')],
  [`09000000 09000000 28000000 ${VRING_ADDR}`, ack('09')],
  ['0a000000 09000000 08000000 00000000 00000000', ack('0a')],
  ['0d000000 09000000 08000000 0000000000000000', ack('0d'), ['event']],
  ['0c000000 09000000 08000000 0000000000000000', ack('0c'), ['event']],
  ['12000000 09000000 08000000 00000000 01000000', ack('12')],
];

const OPENING: Opening = { negotiate: NEGOTIATE, back: [9, ack('15')], start: START };

describe('profile strict', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  const profile = profiles.strict;

  it('offers the same as to QEMU and acks every message', () => {
    using setup = new StreamSetup({ profile });
    setup.opens(OPENING);
    expect(setup.backend.mapTransport.ready).to.equal(true);
  });

  it('maps and unmaps, each done at its answer', () => {
    using setup = new StreamSetup({ profile });
    const back = setup.opens(OPENING);
    setup.mapsAndUnmaps(back);
  });

  it('takes any value but 0 as a refusal, and sends nothing of its own after it', () => {
    using setup = new StreamSetup({ profile });
    const back = setup.opens(OPENING);
    setup.map();
    setup.take(back);
    setup.answer(back, '09000000 05000000 08000000 0000000001000000');
    expect(setup.outcomes).to.deep.equal([`map = ${-EIO}`]);
    expect(back.receiveHex()).to.equal('null');
    expect(setup.backend.closed).to.equal(false);
  });

  it('refuses device features that were never offered, and resets at SET_STATUS 0', () => {
    using setup = new StreamSetup({ profile: { ...profile } });
    setup.plays(NEGOTIATE);
    setup.plays([
      ['02000000 09000000 08000000 0300006001000000', '02000000 05000000 08000000 0100000000000000'],
      ['10000000 09000000 08000000 0900010000000000', ack('10')],
      ['27000000 09000000 08000000 0000000000000000', ack('27')],
    ]);
    expect(setup.handler.calls).to.include('reset');
  });
});
