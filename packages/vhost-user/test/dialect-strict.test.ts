import { EIO } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { profiles } from '../src/index.ts';
import { type Line, MEM_TABLE, SHMEM_MAP_HEX, SHMEM_UNMAP_HEX, StreamSetup, VRING_ADDR } from './support/stream.ts';

/** By the book: every request that may ask for an ack does once REPLY_ACK is there, and one memory table. */
const ack = (id: string) => `${id}000000 05000000 08000000 0000000000000000`;
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

function started(setup: StreamSetup) {
  const first = setup.play(NEGOTIATE);
  expect(first.got).to.deep.equal(first.wanted);
  const back = setup.openBack(9);
  expect(setup.peer.receiveHex()).to.equal(ack('15').replaceAll(' ', ''));
  const rest = setup.play(START);
  expect(rest.got).to.deep.equal(rest.wanted);
  return back;
}

describe('profile strict', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  const profile = profiles.strict;

  it('offers the same as to QEMU and acks every message', () => {
    using setup = new StreamSetup({ profile });
    started(setup);
    expect(setup.backend.mapTransport.ready).to.equal(true);
  });

  it('maps and unmaps, each done at its answer', () => {
    using setup = new StreamSetup({ profile });
    const back = started(setup);
    setup.map();
    expect(setup.take(back)).to.equal(SHMEM_MAP_HEX);
    setup.answer(back, ack('09'));
    setup.unmap();
    expect(setup.take(back)).to.equal(SHMEM_UNMAP_HEX);
    setup.answer(back, ack('0a'));
    expect(setup.outcomes).to.deep.equal(['map = 0', 'unmap = 0']);
  });

  it('takes any value but 0 as a refusal, and sends nothing of its own after it', () => {
    using setup = new StreamSetup({ profile });
    const back = started(setup);
    setup.map();
    setup.take(back);
    setup.answer(back, '09000000 05000000 08000000 0000000001000000');
    expect(setup.outcomes).to.deep.equal([`map = ${-EIO}`]);
    expect(back.receiveHex()).to.equal('null');
    expect(setup.backend.closed).to.equal(false);
  });

  it('refuses device features that were never offered, and resets at SET_STATUS 0', () => {
    using setup = new StreamSetup({ profile: { ...profile } });
    const first = setup.play(NEGOTIATE);
    expect(first.got).to.deep.equal(first.wanted);
    const { got, wanted } = setup.play([
      ['02000000 09000000 08000000 0300006001000000', '02000000 05000000 08000000 0100000000000000'],
      ['10000000 09000000 08000000 0900010000000000', ack('10')],
      ['27000000 09000000 08000000 0000000000000000', ack('27')],
    ]);
    expect(got).to.deep.equal(wanted);
    expect(setup.handler.calls).to.include('reset');
  });
});
