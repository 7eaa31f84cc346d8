import { writeFileSync } from 'node:fs';
import { EINVAL, EMFILE, ENFILE, S_IFREG } from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { checkLeaks } from './support/leaks.ts';
import { fill, namesOf, START } from './support/listing.ts';
import { TestSink } from './support/request.ts';
import { ROOT, TestShare } from './support/share.ts';

describe('READDIRPLUS', () => {
  checkLeaks();

  it('costs one statx for a known inode', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    fill(share, 20);
    const fh = share.dirFh(ROOT);
    share.list(fh, 4096, true);
    sys.reset();

    share.list(fh, 100_000, true);

    expect(sys.count('file.statx')).to.equal(20);
    expect(sys.count('file.openat2')).to.equal(0);
  });

  it('counts a lookup for each record with attributes, and none for one that did not fit', () => {
    using share = new TestShare();
    fill(share, 3);
    const fh = share.dirFh(ROOT);

    const records = share.readdir(fh, START, 3 * 168, true);

    const known = (records as { nodeid: number }[]).filter(({ nodeid }) => nodeid !== 0);
    expect(share.fs.stats.inodes).to.equal(1 + known.length);
    for (const { nodeid } of known) {
      share.forget(nodeid);
    }
    expect(share.fs.stats.inodes).to.equal(1);
  });

  it('takes back the lookup of a record that the reply refuses', () => {
    using share = new TestShare();
    fill(share, 1);
    const fh = share.dirFh(ROOT);
    class Refusing extends TestSink {
      override add(...args: Parameters<TestSink['add']>): boolean {
        return args[8] === null && super.add(...args);
      }
    }

    const result = share.fs.readdir(share.op(), ROOT, fh, 0, 0, new Refusing(4096, true), true);

    expect([0, -EINVAL]).to.include(result);
    expect(share.fs.stats.inodes).to.equal(1);
  });

  for (const [errno, name] of [
    [EMFILE, 'EMFILE'],
    [ENFILE, 'ENFILE'],
  ] as const) {
    it(`keeps every name when the host is out of descriptors (${name})`, () => {
      const sys = mockSys();
      using share = new TestShare({ sys });
      const names = fill(share, 50);
      share.node('file-7');
      const fh = share.dirFh(ROOT);
      sys.failNext('file.openat2', errno, 49);

      const records = share.list(fh, 1000, true);

      expect(namesOf(records)).to.deep.equal([...names, '.', '..'].sort());
      const known = records.filter(({ nodeid }) => nodeid !== 0);
      expect(known.map(({ name: one }) => one)).to.deep.equal(['file-7']);
      expect(share.fs.stats.inodes).to.equal(2);
    });
  }

  it('keeps every name when the inode budget is spent or an entry vanishes', () => {
    const sys = mockSys();
    using share = new TestShare({ sys, limits: { maxInodes: 11 } });
    const names = fill(share, 50);
    const fh = share.dirFh(ROOT);
    sys.failNext('file.statx', 2, 5);

    const records = share.list(fh, 1000, true);

    expect(namesOf(records)).to.deep.equal([...names, '.', '..'].sort());
    expect(records.filter(({ nodeid }) => nodeid !== 0)).to.have.length(10);
    expect(records.every(({ nodeid, mode }) => nodeid === 0 || (mode & 0o170000) === S_IFREG)).to.equal(true);
  });

  it('gives "." and ".." without attributes, and hidden files with', () => {
    using share = new TestShare();
    for (const name of ['.a', '...', '..b']) {
      writeFileSync(share.at(name), '');
    }

    const records = share.list(share.dirFh(ROOT), 4096, true);

    const bare = records.filter(({ nodeid }) => nodeid === 0);
    expect(namesOf(bare)).to.deep.equal(['.', '..']);
    expect(records).to.have.length(5);
  });
});
