import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { DT_DIR, DT_LNK, DT_REG, EBADF, EINVAL, EIO, ENOTDIR } from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { checkLeaks } from './support/leaks.ts';
import { fill, namesOf, START } from './support/listing.ts';
import { PLACES, ROOT, TestShare } from './support/share.ts';

const MANY = 5000;

for (const place of PLACES) {
  describe(`reading directories in ${place}`, function () {
    this.timeout(60_000);
    checkLeaks();

    it('gives each entry once, with its kind and inode', () => {
      using share = new TestShare({}, place);
      writeFileSync(share.at('file'), '');
      mkdirSync(share.at('dir'));
      symlinkSync('x', share.at('link'));
      const fh = share.dirFh(ROOT);

      const records = share.list(fh);

      expect(namesOf(records)).to.deep.equal(['.', '..', 'dir', 'file', 'link']);
      const byName = new Map(records.map((record) => [record.name, record]));
      expect(['dir', 'file', 'link', '.'].map((name) => byName.get(name)!.type)).to.deep.equal([
        DT_DIR,
        DT_REG,
        DT_LNK,
        DT_DIR,
      ]);
      const { attr } = share.lookup('file').op.entry;
      expect(byName.get('file')!.ino).to.equal((BigInt(attr.inoHi) << 32n) | BigInt(attr.inoLo));
    });

    it('gives 5,000 entries through small replies, with and without attributes', () => {
      using share = new TestShare({}, place);
      const names = fill(share, MANY);
      const fh = share.dirFh(ROOT);

      const plain = share.list(fh, 200);
      const plus = share.list(fh, 700, true);

      expect(namesOf(plain)).to.deep.equal([...names, '.', '..'].sort());
      expect(namesOf(plus)).to.deep.equal([...names, '.', '..'].sort());
      expect(
        plus
          .filter(({ nodeid }) => nodeid === 0)
          .map(({ name }) => name)
          .sort(),
      ).to.deep.equal(['.', '..']);
      expect(new Set(plus.map(({ nodeid }) => nodeid)).size).to.equal(MANY + 1);
      expect(share.fs.stats.inodes).to.equal(MANY + 1);
    });

    it('goes on from any cookie that it gave (property)', () => {
      using share = new TestShare({}, place);
      fill(share, 300);
      const fh = share.dirFh(ROOT);
      const all = share.list(fh, 100_000);
      fc.assert(
        fc.property(fc.array(fc.tuple(fc.nat(300), fc.integer({ min: 32, max: 2000 })), { maxLength: 20 }), (jumps) => {
          for (const [from, room] of jumps) {
            const records = share.readdir(fh, from === 0 ? START : all[from - 1]!, room, false);
            const given = typeof records === 'number' ? [] : records;
            expect(given.map(({ name }) => name)).to.deep.equal(
              all.slice(from, from + given.length).map(({ name }) => name),
            );
            expect(given.length).to.be.greaterThan(0);
          }
        }),
        { numRuns: 30 },
      );
    });

    it('serves two readers of one handle', () => {
      using share = new TestShare({}, place);
      fill(share, 100);
      const fh = share.dirFh(ROOT);
      const readers = [
        { at: START, names: [] as string[], done: false },
        { at: START, names: [] as string[], done: false },
      ];

      while (readers.some(({ done }) => !done)) {
        readers.forEach((reader, index) => {
          const records = share.readdir(fh, reader.at, 150 + 100 * index, false);
          if (typeof records === 'number' || records.length === 0) {
            reader.done = true;
            return;
          }
          reader.names.push(...records.map(({ name }) => name));
          reader.at = records.at(-1)!;
        });
      }

      expect(readers[0]!.names.sort()).to.deep.equal(readers[1]!.names.sort());
      expect(new Set(readers[0]!.names).size).to.equal(102);
    });
  });
}

describe('READDIR', () => {
  checkLeaks();

  it('seeks only when the driver jumps', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    fill(share, 200);
    const fh = share.dirFh(ROOT);

    const records = share.list(fh, 300);
    expect(sys.count('file.lseek')).to.equal(0);
    share.readdir(fh, records[10]!, 300, false);
    expect(sys.count('file.lseek')).to.equal(1);
    share.readdir(fh, START, 300, false);
    expect(sys.count('file.lseek')).to.equal(2);
  });

  it('serves more streams than there are buffers, each read to the end', () => {
    using share = new TestShare();
    const names = fill(share, 60);
    const streams = Array.from({ length: 70 }, () => ({ fh: share.dirFh(ROOT), at: START, names: [] as string[] }));

    for (let reading = true; reading; ) {
      reading = false;
      for (const stream of streams) {
        const records = share.readdir(stream.fh, stream.at, 500, false);
        if (typeof records !== 'number' && records.length > 0) {
          stream.names.push(...records.map(({ name }) => name));
          stream.at = records.at(-1)!;
          reading = true;
        }
      }
    }

    for (const stream of streams) {
      expect(stream.names.sort()).to.deep.equal([...names, '.', '..'].sort());
    }
  });

  it('refuses room for no record at all, since an empty reply would mean the end', () => {
    using share = new TestShare();
    fill(share, 1);
    const fh = share.dirFh(ROOT);

    expect(share.readdir(fh, START, 31, false)).to.equal(-EINVAL);
    expect(share.readdir(fh, START, 151, true)).to.equal(-EINVAL);
    expect(share.list(fh, 32).length).to.equal(3);
  });

  it('gives an error at the request after the records before it', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    fill(share, 3);
    const fh = share.dirFh(ROOT);
    sys.failNext('file.getdents64', EIO, 2, 1);

    const records = share.readdir(fh, START, 4096, false);

    expect(records).to.have.length(5);
    expect(share.readdir(fh, (records as { cookieLo: number; cookieHi: number }[]).at(-1)!, 4096, false)).to.equal(
      -EIO,
    );
  });

  it('passes on an error of lseek, also for cookies that use all 64 bits', () => {
    using share = new TestShare();
    const fh = share.dirFh(ROOT);

    expect(share.readdir(fh, { cookieLo: 0, cookieHi: 0x8000_0000 }, 4096, false)).to.equal(-EINVAL);
    expect(share.list(fh).length).to.equal(2);
  });

  it('sees a directory as it is when read from the start again', () => {
    using share = new TestShare();
    fill(share, 2);
    const fh = share.dirFh(ROOT);
    share.list(fh);
    writeFileSync(share.at('new'), '');
    rmSync(share.at('file-0'));

    expect(namesOf(share.list(fh))).to.deep.equal(['.', '..', 'file-1', 'new']);
  });

  it('needs a directory and a handle of one', () => {
    using share = new TestShare();
    fill(share, 1);
    const file = share.node('file-0');
    const fh = share.dirFh(ROOT);

    expect(share.fs.opendir(share.op(), file)).to.equal(-ENOTDIR);
    expect(share.fs.opendir(share.op(), 99)).to.equal(-EBADF);
    expect(share.readdir(fh, START, 4096, false, 99)).to.equal(-EBADF);
    expect(share.fs.releasedir(share.op(), ROOT, fh)).to.equal(0);
    expect(share.readdir(fh, START, 4096, false)).to.equal(-EBADF);
    expect(share.fs.fsyncdir(share.op(), ROOT, fh, true)).to.equal(-EBADF);
  });
});
