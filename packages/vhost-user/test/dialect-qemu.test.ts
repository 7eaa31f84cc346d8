import { EIO } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { profiles } from '../src/index.ts';
import { bare } from './support/golden.ts';
import {
  ack,
  type Line,
  type Opening,
  SHMEM_MAP_HEX,
  SHMEM_UNMAP_HEX,
  StreamSetup,
  VRING_ADDR,
} from './support/stream.ts';

/** QEMU 11.1, vhost-user-test-device: no NEED_REPLY until REPLY_ACK is accepted, then where it waits; memory by slots. */
const REALIZE: readonly Line[] = [
  ['01000000 01000000 00000000', '01000000 05000000 08000000 0100006001000000'],
  ['0f000000 01000000 00000000', '0f000000 05000000 08000000 29a6410000000000'],
  ['10000000 01000000 08000000 29a6410000000000', 'null'],
  ['11000000 01000000 00000000', '11000000 05000000 08000000 0200000000000000'],
  ['24000000 01000000 00000000', '24000000 05000000 08000000 fd01000000000000'],
];
const OWNER: readonly Line[] = [
  ['03000000 01000000 00000000', 'null'],
  ['01000000 01000000 00000000', '01000000 05000000 08000000 0100006001000000'],
  [
    '2c000000 01000000 00000000',
    `2c000000 05000000 08080000 01000000 00000000 0000010000000000 ${'00'.repeat(8 * 255)}`,
  ],
];
const RAM = '0000000000000000 0000004000000000 0000010000000000 0000000000700000 0000000000000000';
const START: readonly Line[] = [
  ['02000000 01000000 08000000 0100004001000000', 'null'],
  [`25000000 09000000 28000000 ${RAM}`, ack('25'), ['memory']],
  ['08000000 01000000 08000000 00000000 10000000', 'null'],
  ['0a000000 01000000 08000000 00000000 00000000', 'null'],
  [`09000000 01000000 28000000 ${VRING_ADDR}`, 'null'],
  ['0c000000 01000000 08000000 0000000000000000', 'null', ['event']],
  ['0d000000 01000000 08000000 0001000000000000', 'null'],
  ['12000000 09000000 08000000 00000000 01000000', ack('12')],
  ['12000000 09000000 08000000 01000000 01000000', ack('12')],
];

const OPENING: Opening = { negotiate: REALIZE, back: [9, ack('15')], start: [...OWNER, ...START] };

describe('profile qemu', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  const profile = { ...profiles.qemu, fenceTimeoutMs: 60_000 };

  it('offers bits 0 3 5 9 10 13 15 16 22 in the order in which QEMU asks, and starts', () => {
    using setup = new StreamSetup({ profile });
    setup.opens(OPENING);
    expect(setup.backend.running).to.equal(true);
    expect(setup.backend.mapTransport.ready).to.equal(true);
  });

  it('maps: the answer alone is not enough, ADD_MEM_REG of the same file is', () => {
    using setup = new StreamSetup({ profile });
    const back = setup.opens(OPENING);
    setup.map();
    expect(setup.take(back)).to.equal(SHMEM_MAP_HEX);
    setup.answer(back, ack('09'));
    expect(setup.outcomes).to.deep.equal([]);
    const region = '0000000000000000 002000f000000000 0020000000000000 0020000000710000 0010000000000000';
    setup.peer.sendHex(bare(`25000000 09000000 28000000 ${region}`), [setup.file.fd]);
    expect(setup.peer.receiveHex()).to.equal(bare(ack('25')));
    expect(setup.outcomes).to.deep.equal(['map = 0']);
    setup.unmap();
    expect(setup.take(back)).to.equal(SHMEM_UNMAP_HEX);
    setup.answer(back, ack('0a'));
    expect(setup.outcomes).to.deep.equal(['map = 0']);
    const gone = '0000000000000000 002000f000000000 0020000000000000 0020000000710000 0000000000000000';
    setup.peer.sendHex(bare(`26000000 09000000 28000000 ${gone}`));
    expect(setup.peer.receiveHex()).to.equal(bare(ack('26')));
    expect(setup.outcomes).to.deep.equal(['map = 0', 'unmap = 0']);
  });

  it('lives with a refusal, which is 1, and asks again', () => {
    using setup = new StreamSetup({ profile });
    const back = setup.opens(OPENING);
    setup.map();
    setup.take(back);
    setup.answer(back, '09000000 05000000 08000000 0100000000000000');
    expect(setup.outcomes).to.deep.equal([`map = ${-EIO}`]);
    setup.map();
    expect(setup.take(back)).to.equal(SHMEM_MAP_HEX);
  });

  it('masks device features that were never offered, and answers SET_STATUS 0 without a reset', () => {
    using setup = new StreamSetup({ profile });
    setup.opens(OPENING);
    setup.plays([
      ['27000000 09000000 08000000 0000000000000000', ack('27')],
      ['12000000 09000000 08000000 00000000 00000000', ack('12')],
      ['02000000 09000000 08000000 030000c001000000', ack('02')],
    ]);
    expect(setup.handler.calls).to.not.include('reset');
    expect(String(setup.backend.acceptedFeatures)).to.equal('0x100000001');
  });
});
