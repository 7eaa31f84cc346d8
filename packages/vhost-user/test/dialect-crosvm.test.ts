import { EIO, silentLogger } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { checkShmRegions, profiles } from '../src/index.ts';
import { type Line, MEM_TABLE, type Opening, StreamSetup, VRING_ADDR } from './support/stream.ts';

/**
 * crosvm of August 2026: SET_OWNER first; accepts CONFIG, MQ, BACKEND_REQ, DEVICE_STATE, SHMEM, REPLY_ACK at most, never
 * BACKEND_SEND_FD; never NEED_REPLY; configuration with flags 1; the whole table in one message.
 */
const NEGOTIATE: readonly Line[] = [
  ['03000000 01000000 00000000', 'null'],
  ['01000000 01000000 00000000', '01000000 05000000 08000000 0100006001000000'],
  ['0f000000 01000000 00000000', '0f000000 05000000 08000000 29a6410000000000'],
  ['10000000 01000000 08000000 2902400000000000', 'null'],
  ['11000000 01000000 00000000', '11000000 05000000 08000000 0200000000000000'],
  [
    '2c000000 01000000 00000000',
    `2c000000 05000000 08080000 01000000 00000000 0000010000000000 ${'00'.repeat(8 * 255)}`,
  ],
  [
    '18000000 01000000 10000000 04000000 04000000 01000000 00000000',
    '18000000 05000000 10000000 04000000 04000000 01000000 05060708',
  ],
];
const START: readonly Line[] = [
  ['02000000 01000000 08000000 0100006001000000', 'null'],
  [`05000000 01000000 28000000 ${MEM_TABLE}`, 'null', ['memory']],
  ['08000000 01000000 08000000 00000000 10000000', 'null'],
  [`09000000 01000000 28000000 ${VRING_ADDR}`, 'null'],
  ['0a000000 01000000 08000000 00000000 00000000', 'null'],
  ['0d000000 01000000 08000000 0000000000000000', 'null', ['event']],
  ['0c000000 01000000 08000000 0000000000000000', 'null', ['event']],
  ['12000000 01000000 08000000 00000000 01000000', 'null'],
];

const OPENING: Opening = { negotiate: NEGOTIATE, back: [1, 'null'], start: START };

describe('profile crosvm', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  const profile = profiles.crosvm;

  it('may map without BACKEND_SEND_FD, which crosvm never accepts', () => {
    using setup = new StreamSetup({ profile });
    setup.opens(OPENING);
    expect(setup.backend.running).to.equal(true);
    expect(setup.backend.mapTransport.ready).to.equal(true);
  });

  it('maps with NEED_REPLY, done at the answer, and unmaps', () => {
    using setup = new StreamSetup({ profile });
    const back = setup.opens(OPENING);
    setup.mapsAndUnmaps(back);
  });

  it('fails a request refused with an errno, and the next when the worker has gone', () => {
    using setup = new StreamSetup({ profile });
    const back = setup.opens(OPENING);
    setup.map();
    setup.take(back);
    setup.answer(back, '09000000 05000000 08000000 eaffffffffffffff');
    setup.map();
    setup.closeBack();
    expect(setup.outcomes).to.deep.equal([`map = ${-EIO}`, `map = ${-EIO}`]);
    expect(setup.backend.mapTransport.ready).to.equal(false);
  });

  it('bears one region', () => {
    const two = [0, 1].map((shmid) => ({ shmid, size: 0x1000 }));
    expect(() => checkShmRegions(two, profile, silentLogger)).to.throw(RangeError);
  });
});
