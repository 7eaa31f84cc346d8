import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import {
  EAGAIN,
  EBADF,
  EINVAL,
  ENXIO,
  EOPNOTSUPP,
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  O_APPEND,
  O_RDWR,
  O_WRONLY,
  SEEK_DATA,
  SEEK_HOLE,
  SEEK_SET,
} from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { checkLeaks } from './support/leaks.ts';
import { PLACES, ROOT, TestShare } from './support/share.ts';

const WRITE_CACHE = 1;

for (const place of PLACES) {
  describe(`file contents in ${place}`, () => {
    checkLeaks();

    it('come and go at any offset, in any pieces', () => {
      using share = new TestShare({}, place);
      const fh = share.fh(share.put('file', 'abcdefgh'), O_RDWR);
      const io = share.arena.io(1, 2, 3);
      io.data.set(Buffer.from('123456'));

      expect(share.fs.write(share.op(), ROOT, fh, 4, io, 0, 0)).to.equal(6);
      const back = share.arena.io(3, 1, 100);
      expect(share.fs.read(share.op(), ROOT, fh, 2, back)).to.equal(8);

      expect(Buffer.from(back.data.subarray(0, 8)).toString()).to.equal('cd123456');
      expect(readFileSync(share.at('file'), 'utf8')).to.equal('abcd123456');
      expect(share.read(fh, 10, 5)).to.equal('');
      expect(share.read(fh, 2 ** 52, 5)).to.equal('');
    });

    it('are appended where the file ends by now, but write-back stays in its place', () => {
      using share = new TestShare({}, place);
      const fh = share.fh(share.put('file', 'abc'), O_WRONLY | O_APPEND);
      writeFileSync(share.at('file'), 'abcdef');

      expect(share.write(fh, 3, 'XY', O_WRONLY | O_APPEND)).to.equal(2);
      expect(share.write(fh, 0, 'Z', O_WRONLY | O_APPEND, WRITE_CACHE)).to.equal(1);

      expect(readFileSync(share.at('file'), 'utf8')).to.equal('ZbcdefXY');
    });

    it('have holes, which LSEEK finds and FALLOCATE makes and fills', () => {
      using share = new TestShare({}, place);
      const fh = share.fh(share.put('file', Buffer.alloc(65_536, 1)), O_RDWR);
      const seek = (offset: number, whence: number): number => {
        const op = share.op();
        const result = share.fs.lseek(op, ROOT, fh, offset, whence);
        return result === 0 ? op.offset : result;
      };
      const allocate = (offset: number, len: number, mode: number): number =>
        share.fs.fallocate(share.op(), ROOT, fh, offset, len, mode);

      expect(allocate(8192, 16_384, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)).to.equal(0);
      expect([seek(0, SEEK_HOLE), seek(8192, SEEK_DATA), seek(65_536, SEEK_DATA)]).to.deep.equal([
        8192,
        24_576,
        -ENXIO,
      ]);
      expect(seek(0, SEEK_SET)).to.equal(-EINVAL);
      expect(allocate(0, 100_000, 0)).to.equal(0);
      expect(statSync(share.at('file')).size).to.equal(100_000);
      expect(allocate(0, 200_000, FALLOC_FL_KEEP_SIZE)).to.equal(0);
      expect(statSync(share.at('file')).size).to.equal(100_000);
      expect([0, -EOPNOTSUPP]).to.include(allocate(0, 4096, FALLOC_FL_ZERO_RANGE));
      expect(allocate(0, 4096, FALLOC_FL_COLLAPSE_RANGE)).to.equal(-EOPNOTSUPP);
      expect(allocate(0, 0, 0)).to.equal(-EINVAL);
    });

    it('are copied from file to file', () => {
      using share = new TestShare({}, place);
      writeFileSync(share.at('from'), 'abcdefgh');
      writeFileSync(share.at('to'), '........');
      const from = share.fh(share.node('from'));
      const to = share.fh(share.node('to'), O_RDWR);

      const copied = share.fs.copyFileRange(share.op(), ROOT, from, 2, ROOT, to, 3, 4);

      expect(copied).to.equal(4);
      expect(readFileSync(share.at('to'), 'utf8')).to.equal('...cdef.');
    });

    it('are brought to the disk', () => {
      using share = new TestShare({}, place);
      const nodeid = share.put('file', 'text');
      const fh = share.fh(nodeid, O_RDWR);
      const dir = share.dirFh(ROOT);
      const op = share.op();

      expect(share.fs.flush(op, nodeid, fh, 0, 0)).to.equal(0);
      expect(share.fs.fsync(op, nodeid, fh, false)).to.equal(0);
      expect(share.fs.fsync(op, nodeid, fh, true)).to.equal(0);
      expect(share.fs.fsyncdir(op, ROOT, dir, false)).to.equal(0);
      expect(share.fs.fsyncdir(op, ROOT, dir, true)).to.equal(0);
      expect(share.fs.syncfs(op, ROOT)).to.equal(0);
      expect(share.fs.syncfs(op, nodeid)).to.equal(0);
      expect(share.fs.syncfs(op, 99)).to.equal(-EBADF);
    });
  });
}

describe('READ without helper threads', () => {
  checkLeaks();

  it('waits for what is not cached', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    const fh = share.fh(share.put('file', 'text'));
    sys.reset();

    expect(share.read(fh, 0, 4)).to.equal('text');

    expect(sys.calls.map(({ name, args }) => [name, args[4]])).to.deep.equal([['file.preadv2', 0]]);
  });

  it('passes on errors of the host', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    const fh = share.fh(share.put('file', 'text'));
    sys.failNext('file.preadv2', EAGAIN);

    expect(share.read(fh, 0, 4)).to.equal(-EAGAIN);
    truncateSync(share.at('file'), 2);
    expect(share.read(fh, 0, 4)).to.equal('te');
  });
});
