import { readFileSync, writeFileSync } from 'node:fs';
import { FATTR_FH, FATTR_SIZE, FOPEN_DIRECT_IO, FOPEN_KEEP_CACHE, FOPEN_NOFLUSH } from '@oriel/fuse';
import { EBADF, ENFILE, EROFS, O_ACCMODE, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, SEEK_DATA } from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { checkLeaks } from './support/leaks.ts';
import { ROOT, TestShare } from './support/share.ts';

describe('OPEN', () => {
  checkLeaks();

  it('passes what the host must know, and strips the rest', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    const nodeid = share.put('file', 'text');
    sys.reset();

    share.fh(nodeid, 0o77777777 & ~(O_ACCMODE | O_TRUNC));

    const opened = sys.calls.map(({ name, args }) => [name, args[2]]);
    // O_SYNC, O_DSYNC; added: O_NOCTTY, O_NONBLOCK, O_CLOEXEC.
    expect(opened).to.deep.equal([['file.openat', 0o4010000 | 0o10000 | 0o400 | 0o4000 | 0o2000000]]);
  });

  it('truncates where asked, and leaves access to the host', () => {
    using share = new TestShare();
    const nodeid = share.put('file', 'text');
    const reader = share.fh(nodeid, O_RDONLY);
    const writer = share.fh(nodeid, O_WRONLY);

    expect(share.write(reader, 0, 'x')).to.equal(-EBADF);
    expect(share.read(writer, 0, 1)).to.equal(-EBADF);
    expect(share.open(nodeid, O_RDWR | O_TRUNC).result).to.equal(0);
    expect(share.getattr(nodeid, reader).op.entry.attr.size).to.equal(0);
  });

  it('opens with the access mode that Linux has for ioctl alone, which neither reads nor writes', () => {
    using share = new TestShare();
    const nodeid = share.put('file', 'text');
    const fh = share.fh(nodeid, O_ACCMODE);

    expect(share.read(fh, 0, 1)).to.equal(-EBADF);
    expect(share.write(fh, 0, 'x')).to.equal(-EBADF);
    expect(readFileSync(share.at('file'), 'latin1')).to.equal('text');
  });

  it('makes handles that are void once released, and of one kind only', () => {
    using share = new TestShare();
    const nodeid = share.put('file', 'text');
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
    expect(share.setattr(nodeid, { valid: FATTR_SIZE | FATTR_FH, fh, size: 0 }).result).to.equal(-EBADF);
    expect(share.read(next, 0, 4)).to.equal('text');
  });

  it('stops at the handle budgets, files and directories each', () => {
    using share = new TestShare({ limits: { maxHandles: 1, maxDirStreams: 1 } });
    const nodeid = share.put('file', 'text');
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
    const nodeid = share.put('file', 'text');
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
    const nodeid = share.put('file', 'text');

    expect(share.open(nodeid, O_RDONLY).op.openFlags).to.equal(FOPEN_NOFLUSH);
    expect(share.open(nodeid, O_WRONLY).op.openFlags).to.equal(0);
  });
});

describe('FLUSH', () => {
  checkLeaks();

  it('asks nothing of a local file system, which does nothing at a close', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    const nodeid = share.put('file', 'text');
    const fh = share.fh(nodeid, O_RDWR);
    sys.reset();

    expect(share.fs.flush(share.op(), nodeid, fh, 0, 0)).to.equal(0);

    expect(sys.calls).to.deep.equal([]);
  });

  it('closes a copy where the file system may have something to say', () => {
    const sys = mockSys({ file: { fstatfs: () => 0 } });
    using share = new TestShare({ sys });
    const nodeid = share.put('file', 'text');
    const fh = share.fh(nodeid, O_RDWR);
    sys.reset();

    expect(share.fs.flush(share.op(), nodeid, fh, 0, 0)).to.equal(0);

    expect(sys.calls.map(({ name }) => name)).to.deep.equal(['fd.dup', 'fd.close']);
  });
});
