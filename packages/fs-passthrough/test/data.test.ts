import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { FOPEN_DIRECT_IO, FOPEN_KEEP_CACHE, FOPEN_NOFLUSH, PENDING } from '@oriel/fuse';
import {
  EAGAIN,
  EBADF,
  EINVAL,
  ENFILE,
  ENXIO,
  EOPNOTSUPP,
  EROFS,
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  O_ACCMODE,
  O_APPEND,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  RWF_NOWAIT,
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
      writeFileSync(share.at('file'), 'abcdefgh');
      const fh = share.fh(share.node('file'), O_RDWR);
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
      writeFileSync(share.at('file'), 'abc');
      const fh = share.fh(share.node('file'), O_WRONLY | O_APPEND);
      writeFileSync(share.at('file'), 'abcdef');

      expect(share.write(fh, 3, 'XY', O_WRONLY | O_APPEND)).to.equal(2);
      expect(share.write(fh, 0, 'Z', O_WRONLY | O_APPEND, WRITE_CACHE)).to.equal(1);

      expect(readFileSync(share.at('file'), 'utf8')).to.equal('ZbcdefXY');
    });

    it('have holes, which LSEEK finds and FALLOCATE makes and fills', () => {
      using share = new TestShare({}, place);
      writeFileSync(share.at('file'), Buffer.alloc(65_536, 1));
      const fh = share.fh(share.node('file'), O_RDWR);
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
      writeFileSync(share.at('file'), 'text');
      const nodeid = share.node('file');
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

describe('OPEN', () => {
  checkLeaks();

  it('passes what the host must know, and strips the rest', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    writeFileSync(share.at('file'), 'text');
    const nodeid = share.node('file');
    sys.reset();

    share.fh(nodeid, 0o77777777 & ~(O_ACCMODE | O_TRUNC));

    const opened = sys.calls.map(({ name, args }) => [name, args[2]]);
    // O_SYNC, O_DSYNC; added: O_NOCTTY, O_NONBLOCK, O_CLOEXEC.
    expect(opened).to.deep.equal([['file.openat', 0o4010000 | 0o10000 | 0o400 | 0o4000 | 0o2000000]]);
  });

  it('truncates where asked, and leaves access to the host', () => {
    using share = new TestShare();
    writeFileSync(share.at('file'), 'text');
    const nodeid = share.node('file');
    const reader = share.fh(nodeid, O_RDONLY);
    const writer = share.fh(nodeid, O_WRONLY);

    expect(share.write(reader, 0, 'x')).to.equal(-EBADF);
    expect(share.read(writer, 0, 1)).to.equal(-EBADF);
    expect(share.open(nodeid, O_RDWR | O_TRUNC).result).to.equal(0);
    expect(share.getattr(nodeid, reader).op.entry.attr.size).to.equal(0);
  });

  it('opens with the access mode that Linux has for ioctl alone, which neither reads nor writes', () => {
    using share = new TestShare();
    writeFileSync(share.at('file'), 'text');
    const nodeid = share.node('file');
    const fh = share.fh(nodeid, O_ACCMODE);

    expect(share.read(fh, 0, 1)).to.equal(-EBADF);
    expect(share.write(fh, 0, 'x')).to.equal(-EBADF);
    expect(readFileSync(share.at('file'), 'latin1')).to.equal('text');
  });

  it('makes handles that are void once released, and of one kind only', () => {
    using share = new TestShare();
    writeFileSync(share.at('file'), 'text');
    const nodeid = share.node('file');
    const fh = share.fh(nodeid);
    const dir = share.dirFh(ROOT);
    const op = share.op();

    expect(share.read(dir, 0, 1)).to.equal(-EBADF);
    expect(share.readdir(fh, { cookieLo: 0, cookieHi: 0 }, 4096, false)).to.equal(-EBADF);
    expect(share.fs.release(op, nodeid, dir)).to.equal(-EBADF);
    expect(share.fs.releasedir(op, ROOT, fh)).to.equal(-EBADF);
    expect(share.fs.release(op, nodeid, fh)).to.equal(0);
    const next = share.fh(nodeid);
    expect(next).to.not.equal(fh);
    expect(share.read(fh, 0, 1)).to.equal(-EBADF);
    expect(share.write(fh, 0, 'x')).to.equal(-EBADF);
    expect(share.fs.release(op, nodeid, fh)).to.equal(-EBADF);
    expect(share.fs.flush(op, nodeid, fh, 0, 0)).to.equal(-EBADF);
    expect(share.fs.fsync(op, nodeid, fh, false)).to.equal(-EBADF);
    expect(share.fs.fsyncdir(op, ROOT, next, false)).to.equal(-EBADF);
    expect(share.fs.fallocate(op, nodeid, fh, 0, 1, 0)).to.equal(-EBADF);
    expect(share.fs.lseek(op, nodeid, fh, 0, SEEK_DATA)).to.equal(-EBADF);
    expect(share.fs.copyFileRange(op, nodeid, next, 0, nodeid, fh, 0, 1)).to.equal(-EBADF);
    expect(share.getattr(nodeid, fh).result).to.equal(-EBADF);
    expect(share.setattr(nodeid, { valid: 8 | 0x40, fh, size: 0 }).result).to.equal(-EBADF);
    expect(share.read(next, 0, 4)).to.equal('text');
  });

  it('stops at the handle budgets, files and directories each', () => {
    using share = new TestShare({ limits: { maxHandles: 1, maxDirStreams: 1 } });
    writeFileSync(share.at('file'), 'text');
    const nodeid = share.node('file');
    const fh = share.fh(nodeid);
    const dir = share.dirFh(ROOT);

    expect(share.open(nodeid).result).to.equal(-ENFILE);
    expect(share.create('new', O_RDWR).result).to.equal(-ENFILE);
    expect(share.fs.opendir(share.op(), ROOT)).to.equal(-ENFILE);
    share.fs.release(share.op(), nodeid, fh);
    share.fs.releasedir(share.op(), ROOT, dir);
    share.fh(nodeid);
    share.dirFh(ROOT);
  });

  it('refuses every change on a read-only share', () => {
    using share = new TestShare({ readonly: true, xattr: true });
    writeFileSync(share.at('file'), 'text');
    const nodeid = share.node('file');
    const fh = share.fh(nodeid);
    const op = share.op();
    const name = share.arena.name('user.a');

    const results = {
      write: share.open(nodeid, O_WRONLY).result,
      readWrite: share.open(nodeid, O_RDWR).result,
      truncate: share.open(nodeid, O_TRUNC).result,
      mkdir: share.mkdir('a').result,
      mknod: share.mknod('a', 0o100644).result,
      symlink: share.symlink('a', 'b').result,
      link: share.link(nodeid, 'a').result,
      unlink: share.unlink('file'),
      rmdir: share.rmdir('file'),
      rename: share.rename('file', 'a'),
      tmpfile: share.fs.tmpfile(op, ROOT, O_RDWR, 0o600),
      setattr: share.setattr(nodeid, { valid: 1, mode: 0o600 }).result,
      fallocate: share.fs.fallocate(op, nodeid, fh, 0, 1, 0),
      copy: share.fs.copyFileRange(op, nodeid, fh, 0, nodeid, fh, 2, 1),
      setxattr: share.fs.setxattr!(op, nodeid, name, name.addr, 1, 0, false),
      removexattr: share.fs.removexattr!(op, nodeid, name),
      mapping: share.fs.openForMapping(nodeid),
    };

    for (const [what, result] of Object.entries(results)) {
      expect(result, what).to.equal(-EROFS);
    }
    expect(share.write(fh, 0, 'x')).to.equal(-EBADF);
    expect(readFileSync(share.at('file'), 'utf8')).to.equal('text');
  });

  it('tells the driver what it may cache', () => {
    const flags = (options: ConstructorParameters<typeof TestShare>[0], prepare?: (share: TestShare) => void) => {
      using share = new TestShare(options);
      writeFileSync(share.at('file'), 'text');
      prepare?.(share);
      const nodeid = share.node('file');
      const dir = share.op();
      share.fs.opendir(dir, ROOT);
      const valid = share.lookup('file').op.entry;
      return [share.open(nodeid, O_RDWR).op.openFlags, dir.openFlags, valid.entryValidSec, valid.attr.validSec];
    };

    expect(flags({ cache: 'auto' })).to.deep.equal([0, 0, 1, 1]);
    expect(flags({ cache: 'always' })).to.deep.equal([FOPEN_KEEP_CACHE, 10, 86_400, 86_400]);
    expect(flags({ cache: 'metadata' })).to.deep.equal([FOPEN_DIRECT_IO, 10, 86_400, 86_400]);
    expect(flags({ cache: 'never' })).to.deep.equal([FOPEN_DIRECT_IO, 0, 0, 0]);
    const inUse = (share: TestShare): void => {
      share.fs.inDaxUse = (nodeid) => nodeid === 2;
    };
    expect(flags({ daxKeepCache: true }, inUse)[0]).to.equal(FOPEN_KEEP_CACHE);
    expect(flags({ daxKeepCache: false }, inUse)[0]).to.equal(0);
    expect(flags({ daxKeepCache: true })[0]).to.equal(0);
  });

  it('spares the driver the FLUSH of files that are only read', () => {
    using share = new TestShare();
    writeFileSync(share.at('file'), 'text');
    const nodeid = share.node('file');

    expect(share.open(nodeid, O_RDONLY).op.openFlags).to.equal(FOPEN_NOFLUSH);
    expect(share.open(nodeid, O_WRONLY).op.openFlags).to.equal(0);
  });
});

describe('FLUSH', () => {
  checkLeaks();

  it('asks nothing of a local file system, which does nothing at a close', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    writeFileSync(share.at('file'), 'text');
    const nodeid = share.node('file');
    const fh = share.fh(nodeid, O_RDWR);
    sys.reset();

    expect(share.fs.flush(share.op(), nodeid, fh, 0, 0)).to.equal(0);

    expect(sys.calls).to.deep.equal([]);
  });

  it('closes a copy where the file system may have something to say', () => {
    const sys = mockSys({ file: { fstatfs: () => 0 } });
    using share = new TestShare({ sys });
    writeFileSync(share.at('file'), 'text');
    const nodeid = share.node('file');
    const fh = share.fh(nodeid, O_RDWR);
    sys.reset();

    expect(share.fs.flush(share.op(), nodeid, fh, 0, 0)).to.equal(0);

    expect(sys.calls.map(({ name }) => name)).to.deep.equal(['fd.dup', 'fd.close']);
  });
});

describe('READ without helper threads', () => {
  checkLeaks();

  it('waits for what is not cached', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    writeFileSync(share.at('file'), 'text');
    const fh = share.fh(share.node('file'));
    sys.reset();

    expect(share.read(fh, 0, 4)).to.equal('text');

    expect(sys.calls.map(({ name, args }) => [name, args[4]])).to.deep.equal([['file.preadv2', 0]]);
    expect(RWF_NOWAIT).to.not.equal(0);
  });

  it('passes on errors of the host', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    writeFileSync(share.at('file'), 'text');
    const fh = share.fh(share.node('file'));
    sys.failNext('file.preadv2', EAGAIN);

    expect(share.read(fh, 0, 4)).to.equal(-EAGAIN);
    truncateSync(share.at('file'), 2);
    expect(share.read(fh, 0, 4)).to.equal('te');
    expect(PENDING).to.be.greaterThan(0);
  });
});
