import type { RegionFile } from '@oriel/guest-memory';
import { check, MFD_CLOEXEC } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { GPA, memfd, negotiateRaw, prelude, RAM_SIZE, SentFds, USER, u32s, u64s } from './support/prelude.ts';
import { RecordingHandler } from './support/recording-handler.ts';
import { RawSetup } from './support/setup.ts';

const SET_TABLE = 5;
const ADD = 37;
const REMOVE = 38;
const MAX = 0xffff_ffff_ffff_ffffn;

type Numbers = [gpa: number | bigint, size: number | bigint, user: number | bigint, offset: number | bigint];

const single = (...region: Numbers) => u64s(0, ...region);
const table = (...regions: Numbers[]) =>
  new Uint8Array([...u32s(regions.length, 0), ...regions.flatMap((region) => [...u64s(...region)])]);

describe('BackendConnection, memory', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  const regions = (setup: RawSetup) =>
    setup.backend.memory.regions.map((region) => [region.gpa, region.size, region.userAddr, region.mmapOffset]);

  it('takes a table of eight regions, each with its own descriptor, and can read them', () => {
    using setup = new RawSetup();
    negotiateRaw(setup);
    const kinds = Array.from({ length: 8 }, () => 'memory' as const);
    using fds = new SentFds(setup.sys, kinds);
    const wanted = kinds.map(
      (_, index): Numbers => [GPA + index * 0x10000, 0x10000, USER + index * 0x100000, index * 0x1000],
    );
    for (const [index, fd] of fds.fds.entries()) {
      setup.sys.fd.pwrite(fd.fd, Uint8Array.of(index + 1), 1, index * 0x1000 + 7);
    }
    expect(setup.peer.ask(SET_TABLE, table(...wanted), fds.numbers)).to.equal(0);
    expect(regions(setup)).to.deep.equal(wanted);
    expect(setup.handler.take().filter((call) => call === 'memory').length).to.equal(1);
    const bytes = setup.backend.memory.regions.map((region) => region.u8[7]);
    expect(bytes).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('replaces the table, with nothing as well', () => {
    using setup = new RawSetup();
    prelude(setup);
    using fds = new SentFds(setup.sys, ['memory']);
    expect(setup.peer.ask(SET_TABLE, table([0, 0x1000, USER, 0]), fds.numbers)).to.equal(0);
    expect(regions(setup)).to.deep.equal([[0, 0x1000, USER, 0]]);
    expect(setup.peer.ask(SET_TABLE, table())).to.equal(0);
    expect(regions(setup)).to.deep.equal([]);
  });

  it('adds and removes regions by slots', () => {
    using setup = new RawSetup();
    prelude(setup);
    using fds = new SentFds(setup.sys, ['memory']);
    expect(setup.peer.ask(ADD, single(0x8000_0000, 0x1000, USER + 0x10_0000, 0x2000), fds.numbers)).to.equal(0);
    expect(regions(setup).length).to.equal(2);
    expect(setup.peer.ask(REMOVE, single(GPA, RAM_SIZE, USER, 0))).to.equal(0);
    expect(regions(setup)).to.deep.equal([[0x8000_0000, 0x1000, USER + 0x10_0000, 0x2000]]);
    expect(setup.handler.take()).to.deep.equal(['memory', 'memory']);
  });

  it('closes what the device has no need of at once, and removes it like the rest', () => {
    class Sealed extends RecordingHandler {
      needsMemory({ sealed }: RegionFile): boolean {
        return sealed;
      }
    }
    using setup = new RawSetup({ handler: new Sealed() });
    prelude(setup);
    const file = check(setup.sys.mem.memfdCreate('dax', MFD_CLOEXEC), 'memfd_create');
    check(setup.sys.file.ftruncate(file, 0x1000), 'ftruncate');
    const kept = leakCheck();
    const numbers: Numbers = [0x8000_0000, 0x1000, USER + 0x10_0000, 0];
    expect(setup.peer.ask(ADD, single(...numbers), [file])).to.equal(0);
    kept.check();
    expect(setup.sys.fd.close(file)).to.equal(0);
    expect(setup.backend.memory.regions.map(({ foreign }) => foreign)).to.deep.equal([false, true]);
    expect(setup.peer.ask(REMOVE, single(...numbers))).to.equal(0);
    expect(regions(setup).length).to.equal(1);
    expect(setup.handler.take()).to.deep.equal(['memory', 'memory']);
  });

  it('closes a descriptor that comes with REM_MEM_REG', () => {
    using setup = new RawSetup();
    prelude(setup);
    using fds = new SentFds(setup.sys, ['memory']);
    expect(setup.peer.ask(REMOVE, single(GPA, RAM_SIZE, USER, 0), fds.numbers)).to.equal(0);
    expect(regions(setup)).to.deep.equal([]);
  });

  it('is in effect before the ack, and announced to the device before that', () => {
    using setup = new RawSetup();
    prelude(setup);
    let seen = -1;
    setup.handler.on.memory = () => {
      seen = setup.backend.memory.regions.length;
    };
    setup.peer.ask(REMOVE, single(GPA, RAM_SIZE, USER, 0));
    expect(seen).to.equal(0);
  });

  it('answers GET_FEATURES in order, as the barrier that front-ends without REPLY_ACK use', () => {
    using setup = new RawSetup();
    setup.peer.send(2, 1, u64s(0x1_6000_0001));
    using ram = memfd(setup.sys, RAM_SIZE);
    setup.peer.send(SET_TABLE, 1, table([GPA, RAM_SIZE, USER, 0]), [ram.fd]);
    setup.peer.send(1, 1);
    expect(setup.peer.receive().id).to.equal(1);
    expect(regions(setup)).to.deep.equal([[GPA, RAM_SIZE, USER, 0]]);
  });

  it('refuses more regions than it has slots', () => {
    using setup = new RawSetup();
    prelude(setup);
    using fds = new SentFds(setup.sys, ['memory']);
    const add = (index: number) =>
      setup.peer.ask(
        ADD,
        single(0x8000_0000 + index * 0x1000, 0x1000, USER + 0x10_0000 + index * 0x1000, 0),
        fds.numbers,
      );
    for (let index = 0; index < 508; index++) {
      expect(add(index)).to.equal(0);
    }
    expect(add(508)).to.equal(1);
    expect(setup.lines.at(-1)).to.include('ERR_MEM_COUNT');
    expect(setup.backend.memory.regions.length).to.equal(509);
  });

  describe('refuses', () => {
    const cases: [string, number, Uint8Array, number][] = [
      ['a region of no bytes', ADD, single(0x8000_0000, 0, USER + 0x10_0000, 0), 1],
      ['a region past the end of its file', ADD, single(0x8000_0000, 0x31000, USER + 0x10_0000, 0), 1],
      ['an offset past the end of its file', ADD, single(0x8000_0000, 0x1000, USER + 0x10_0000, 0x30000), 1],
      ['gpa and size that wrap', ADD, single(MAX - 0xfffn, 0x2000, USER + 0x10_0000, 0), 1],
      ['user address and size that wrap', ADD, single(0x8000_0000, 0x2000, MAX - 0xfffn, 0), 1],
      ['offset and size that wrap', ADD, single(0x8000_0000, 0x2000, USER + 0x10_0000, MAX - 0xfffn), 1],
      ['a size of 2^64 - 4096', ADD, single(0x8000_0000, MAX - 0xfffn, USER + 0x10_0000, 0), 1],
      ['a gpa beyond 2^53', ADD, single(2 ** 60, 0x1000, USER + 0x10_0000, 0), 1],
      ['overlap in gpa', ADD, single(GPA + 0x8000, 0x10000, USER + 0x10_0000, 0), 1],
      ['overlap in user addresses', ADD, single(0x8000_0000, 0x10000, USER + 0xf000, 0), 1],
      ['overlap within a table', SET_TABLE, table([0, 0x2000, USER, 0], [0x1000, 0x1000, USER + 0x10_0000, 0]), 2],
      ['removal with another size', REMOVE, single(GPA, RAM_SIZE / 2, USER, 0), 0],
      ['removal with another user address', REMOVE, single(GPA, RAM_SIZE, USER + 0x1000, 0), 0],
      ['removal of what is not there', REMOVE, single(0, 0x1000, 0, 0), 0],
    ];
    for (const [what, id, payload, fdCount] of cases) {
      it(what, () => {
        using setup = new RawSetup();
        prelude(setup);
        using fds = new SentFds(
          setup.sys,
          Array.from({ length: fdCount }, () => 'memory' as const),
        );
        expect(setup.peer.ask(id, payload, fds.numbers)).to.equal(1);
        expect(setup.lines.at(-1)).to.include('ERR_VU_MEMORY');
        expect(regions(setup)).to.deep.equal([[GPA, RAM_SIZE, USER, 0]]);
        expect(setup.handler.take()).to.deep.equal([]);
      });
    }

    const shapes: [string, Uint8Array, number, string][] = [
      [
        'nine regions',
        table(...Array.from({ length: 9 }, (_, i): Numbers => [i * 0x1000, 0x1000, i * 0x1000, 0])),
        9,
        'ERR_VU_SIZE',
      ],
      ['a count beyond the payload', new Uint8Array([...u32s(2, 0), ...u64s(0, 0x1000, USER, 0)]), 2, 'ERR_VU_SIZE'],
      ['a count of 2^32 - 1', new Uint8Array([...u32s(0xffff_ffff, 0), ...u64s(0, 0x1000, USER, 0)]), 1, 'ERR_VU_SIZE'],
      ['a count that wraps to the payload', u32s(0x0800_0000, 0), 0, 'ERR_VU_SIZE'],
      ['a payload shorter than its head', u32s(0), 0, 'ERR_VU_SIZE'],
      ['fewer descriptors than regions', table([0, 0x1000, 0, 0], [0x1000, 0x1000, 0x1000, 0]), 1, 'ERR_VU_FDS'],
      ['more descriptors than regions', table([0, 0x1000, 0, 0]), 2, 'ERR_VU_FDS'],
    ];
    for (const [what, payload, fdCount, code] of shapes) {
      it(`a table with ${what}, and closes`, () => {
        using setup = new RawSetup();
        prelude(setup);
        using fds = new SentFds(
          setup.sys,
          Array.from({ length: fdCount }, () => 'memory' as const),
        );
        expect(setup.peer.ask(SET_TABLE, payload, fds.numbers)).to.equal(1);
        expect(setup.peer.receiveHex()).to.equal('eof');
        expect(setup.handler.calls.at(-1)).to.include(code);
      });
    }
  });
});
