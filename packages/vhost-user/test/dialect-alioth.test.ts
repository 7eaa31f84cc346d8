import { EIO } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { profiles } from '../src/index.ts';
import { ack, type Line, type Opening, StreamSetup, VRING_ADDR } from './support/stream.ts';

/**
 * Alioth of August 2026: NEED_REPLY on everything, also on what has a reply of its own (which is then the only answer);
 * SHMEM is bit 21; the window's size is its own option, so there is no GET_SHMEM_CONFIG; memory by slots.
 */
const NEGOTIATE: readonly Line[] = [
  ['01000000 09000000 00000000', '01000000 05000000 08000000 0100006001000000'],
  ['0f000000 09000000 00000000', '0f000000 05000000 08000000 29a6210000000000'],
  ['10000000 09000000 08000000 29a6200000000000', ack('10')],
  ['11000000 09000000 00000000', '11000000 05000000 08000000 0200000000000000'],
];
const RAM = '0000000000000000 0000004000000000 0000010000000000 0000000000700000 0000000000000000';
const START: readonly Line[] = [
  ['02000000 09000000 08000000 0100006001000000', ack('02')],
  ['03000000 09000000 00000000', ack('03')],
  [`25000000 09000000 28000000 ${RAM}`, ack('25'), ['memory']],
  ['08000000 09000000 08000000 00000000 10000000', ack('08')],
  ['0a000000 09000000 08000000 00000000 00000000', ack('0a')],
  [`09000000 09000000 28000000 ${VRING_ADDR}`, ack('09')],
  ['0c000000 09000000 08000000 0000000000000000', ack('0c'), ['event']],
  ['0d000000 09000000 08000000 0000000000000000', ack('0d'), ['event']],
  ['12000000 09000000 08000000 00000000 01000000', ack('12')],
];

const OPENING: Opening = { negotiate: NEGOTIATE, back: [9, ack('15')], start: START };

describe('profile alioth', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  const profile = profiles.alioth;

  it('offers SHMEM as bit 21, and answers each message once', () => {
    using setup = new StreamSetup({ profile });
    setup.opens(OPENING);
    expect(setup.backend.mapTransport.ready).to.equal(true);
  });

  it('maps and unmaps, each done at its answer', () => {
    using setup = new StreamSetup({ profile });
    const back = setup.opens(OPENING);
    setup.mapsAndUnmaps(back);
  });

  it('fails what is out when the worker ends over it', () => {
    using setup = new StreamSetup({ profile });
    const back = setup.opens(OPENING);
    setup.map();
    setup.take(back);
    setup.closeBack();
    expect(setup.outcomes).to.deep.equal([`map = ${-EIO}`]);
    expect(setup.backend.mapTransport.ready).to.equal(false);
    expect(setup.backend.closed).to.equal(false);
  });

  it('does not know bit 22', () => {
    using setup = new StreamSetup({ profile });
    setup.plays([
      ['10000000 09000000 08000000 2900000000000000', ack('10')],
      ['10000000 09000000 08000000 2900400000000000', '10000000 05000000 08000000 0100000000000000'],
    ]);
  });
});
