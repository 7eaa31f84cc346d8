import { ECANCELED, EIO, EOPNOTSUPP, silentLogger } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { checkShmRegions, type FrontendProfile, profiles } from '../src/index.ts';
import { bare } from './support/golden.ts';
import { ack, type Line, MEM_TABLE, type Opening, StreamSetup, VRING_ADDR } from './support/stream.ts';

/** QEMU's virtio-fs fork: SLAVE_REQ and SLAVE_SEND_FD beside MQ and REPLY_ACK; cache-size is its own option. */
const NEGOTIATE: readonly Line[] = [
  ['01000000 01000000 00000000', '01000000 05000000 08000000 0100006001000000'],
  ['0f000000 01000000 00000000', '0f000000 05000000 08000000 29a6010000000000'],
  ['10000000 01000000 08000000 2904000000000000', 'null'],
  ['11000000 01000000 00000000', '11000000 05000000 08000000 0200000000000000'],
];
const START: readonly Line[] = [
  ['03000000 01000000 00000000', 'null'],
  ['02000000 01000000 08000000 0100004001000000', 'null'],
  [`05000000 09000000 28000000 ${MEM_TABLE}`, ack('05'), ['memory']],
  ['08000000 01000000 08000000 00000000 10000000', 'null'],
  ['0a000000 01000000 08000000 00000000 00000000', 'null'],
  [`09000000 01000000 28000000 ${VRING_ADDR}`, 'null'],
  ['0c000000 01000000 08000000 0000000000000000', 'null', ['event']],
  ['0d000000 01000000 08000000 0000000000000000', 'null', ['event']],
  ['12000000 01000000 08000000 00000000 01000000', 'null'],
];

/** Four columns of eight u64, the first of each in use. */
const columns = (...first: string[]) => bare(first.map((value) => `${value} ${'00'.repeat(56)}`).join(''));

const OPENING: Opening = { negotiate: NEGOTIATE, back: [9, ack('15')], start: START };

describe('profile virtiofs-old', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  const profile = profiles['virtiofs-old'];
  const form2: FrontendProfile = { ...profile, dialect: 'fs-map-2021' };

  it('offers no SHMEM, and refuses to accept it or to tell regions', () => {
    using setup = new StreamSetup({ profile });
    setup.opens(OPENING);
    expect(setup.backend.mapTransport.ready).to.equal(true);
    setup.play([['12000000 01000000 08000000 00000000 00000000', 'null']]);
    const refused = setup.play([
      ['10000000 09000000 08000000 2904400000000000', ack('10', '0100000000000000')],
      ['2c000000 01000000 00000000', 'eof'],
    ]);
    expect(refused.got).to.deep.equal(refused.wanted);
  });

  it('needs BACKEND_SEND_FD', () => {
    using setup = new StreamSetup({ profile });
    setup.play([...NEGOTIATE, ['10000000 01000000 08000000 2900000000000000', 'null']]);
    setup.openBack(1);
    setup.play(START);
    expect(setup.backend.running).to.equal(true);
    expect(setup.backend.mapTransport.ready).to.equal(false);
  });

  it('maps by FS_MAP: 256 bytes, one descriptor, read and write flags; done at the answer', () => {
    using setup = new StreamSetup({ profile });
    const back = setup.opens(OPENING);
    setup.map();
    const range = ['0010000000000000', '0020000000000000', '0020000000000000'];
    expect(setup.take(back)).to.equal(`060000000900000000010000${columns(...range, '0300000000000000')} +1`);
    setup.answer(back, ack('06'));
    setup.map(false);
    expect(setup.take(back)).to.equal(`060000000900000000010000${columns(...range, '0100000000000000')} +1`);
    setup.answer(back, ack('06'));
    expect(setup.outcomes).to.deep.equal(['map = 0', 'map = 0']);
  });

  it('unmaps by FS_UNMAP, without a descriptor', () => {
    using setup = new StreamSetup({ profile });
    const back = setup.opens(OPENING);
    setup.unmap();
    const zero = '0000000000000000';
    const range = columns(zero, '0020000000000000', '0020000000000000', zero);
    expect(setup.take(back)).to.equal(`070000000900000000010000${range} +0`);
    setup.answer(back, ack('07'));
    expect(setup.outcomes).to.deep.equal(['unmap = 0']);
  });

  it('lives with a refusal, which is an errno, and asks again', () => {
    using setup = new StreamSetup({ profile });
    const back = setup.opens(OPENING);
    setup.map();
    setup.take(back);
    setup.answer(back, ack('06', 'f4ffffffffffffff'));
    expect(setup.outcomes).to.deep.equal([`map = ${-EIO}`]);
    setup.map();
    setup.take(back);
    setup.answer(back, ack('06'));
    expect(setup.outcomes.at(-1)).to.equal('map = 0');
  });

  it('syncs by FS_SYNC and does I/O by FS_IO, which answers with bytes', () => {
    using setup = new StreamSetup({ profile });
    const back = setup.opens(OPENING);
    const fs = setup.backend.fsRequests!;
    const zero = '0000000000000000';
    fs.sync(0x3000, 0x1000, (error) => setup.outcomes.push(`sync = ${error}`));
    const synced = columns(zero, '0030000000000000', '0010000000000000', zero);
    expect(setup.take(back)).to.equal(`080000000900000000010000${synced} +0`);
    setup.answer(back, ack('08'));
    const range = { fdOffset: 0x5000, cOffset: 0x4000_0000, len: 0x800, access: 'write' } as const;
    fs.io(range, setup.file.fd, (result) => setup.outcomes.push(`io = ${result}`));
    const moved = columns('0050000000000000', '0000004000000000', '0008000000000000', '0200000000000000');
    expect(setup.take(back)).to.equal(`090000000900000000010000${moved} +1`);
    setup.answer(back, ack('09', '0007000000000000'));
    expect(setup.outcomes).to.deep.equal(['sync = 0', 'io = 1792']);
  });

  for (const [what, value, outcome] of [
    ['an errno', 'e4ffffffffffffff', -28],
    ['more bytes than asked for', '0108000000000000', -EIO],
    ['a number beyond 32 bits', '0000000001000000', -EIO],
    ['what is no errno', '0000000000000080', -EIO],
    ['one past the last errno', '00f0ffffffffffff', -EIO],
  ] as const) {
    it(`reads an FS_IO answer with ${what}`, () => {
      using setup = new StreamSetup({ profile });
      const back = setup.opens(OPENING);
      const range = { fdOffset: 0, cOffset: 0, len: 0x800, access: 'read' } as const;
      setup.backend.fsRequests!.io(range, setup.file.fd, (result) => setup.outcomes.push(`io = ${result}`));
      setup.take(back);
      setup.answer(back, ack('09', value));
      expect(setup.outcomes).to.deep.equal([`io = ${outcome}`]);
    });
  }

  it('speaks the form of 2021 as an option: rows, IO in the place of SYNC', () => {
    using setup = new StreamSetup({ profile: form2 });
    const back = setup.opens(OPENING);
    setup.map();
    const row = bare('0010000000000000 0020000000000000 0020000000000000 0300000000000000');
    expect(setup.take(back)).to.equal(`0600000009000000280000000000000001000000${row} +1`);
    setup.answer(back, ack('06'));
    const fs = setup.backend.fsRequests!;
    fs.sync(0, 0x1000, (error) => setup.outcomes.push(`sync = ${error}`));
    const range = { fdOffset: 0, cOffset: 0, len: 0x800, access: 'read' } as const;
    fs.io(range, setup.file.fd, (result) => setup.outcomes.push(`io = ${result}`));
    const io = bare('0000000000000000 0000000000000000 0008000000000000 0100000000000000');
    expect(setup.take(back)).to.equal(`0800000009000000280000000000000001000000${io} +1`);
    setup.answer(back, ack('08', '0008000000000000'));
    expect(setup.outcomes).to.deep.equal(['map = 0', `sync = ${-EOPNOTSUPP}`, 'io = 2048']);
  });

  it('sends nothing once rings stop', () => {
    using setup = new StreamSetup({ profile });
    const back = setup.opens(OPENING);
    setup.play([['12000000 01000000 08000000 00000000 00000000', 'null']]);
    const fs = setup.backend.fsRequests!;
    setup.map();
    fs.sync(0, 0x1000, (error) => setup.outcomes.push(`sync = ${error}`));
    const range = { fdOffset: 0, cOffset: 0, len: 0x800, access: 'read' } as const;
    fs.io(range, setup.file.fd, (result) => setup.outcomes.push(`io = ${result}`));
    setup.settle();
    expect(setup.outcomes).to.deep.equal(['map', 'sync', 'io'].map((what) => `${what} = ${-ECANCELED}`));
    expect(back.receiveHex()).to.equal('null');
  });

  it('has one window, shmid 0, and no FS requests elsewhere', () => {
    expect(() => checkShmRegions([{ shmid: 1, size: 0x1000 }], profile, silentLogger)).to.throw(RangeError);
    using qemu = new StreamSetup({ profile: profiles.qemu });
    expect(qemu.backend.fsRequests).to.equal(null);
  });
});
