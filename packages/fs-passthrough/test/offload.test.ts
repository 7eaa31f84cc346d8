import { readFileSync, writeFileSync } from 'node:fs';
import { PENDING } from '@oriel/fuse';
import {
  BlockingLoop,
  EAGAIN,
  EBADF,
  EIO,
  EOPNOTSUPP,
  O_RDWR,
  O_SYNC,
  openOffload,
  openSys,
  RWF_NOWAIT,
  SYS,
} from '@oriel/sys';
import { mockSys, type SysOverrides } from '@oriel/sys/testing';
import { expect } from 'chai';
import { checkLeaks } from './support/leaks.ts';
import { TestOffload } from './support/offload.ts';
import { ROOT, TestShare } from './support/share.ts';

/** A preadv2 that finds only `cached` bytes of a file in memory. */
function coldReads(cached: number): SysOverrides {
  const real = openSys().file;
  return {
    file: {
      preadv2(fd, iov, count, offset, flags) {
        if ((flags & RWF_NOWAIT) === 0) {
          return real.preadv2(fd, iov, count, offset, flags);
        }
        return offset >= cached ? -EAGAIN : Math.min(real.preadv2(fd, iov, count, offset, 0), cached - offset);
      },
    },
  };
}

describe('READ with helper threads', () => {
  checkLeaks();

  it('gives what is cached at once, up to the end of the file', () => {
    using offload = new TestOffload();
    const sys = mockSys();
    using share = new TestShare({ sys, offload });
    const fh = share.fh(share.put('file', 'abcdef'));
    sys.reset();

    expect(share.read(fh, 0, 6)).to.equal('abcdef');
    expect(sys.calls.map(({ name, args }) => [name, args[4]])).to.deep.equal([['file.preadv2', RWF_NOWAIT]]);
    expect(share.read(fh, 4, 100)).to.equal('ef');
    expect(share.read(fh, 6, 100)).to.equal('');
    expect(offload.jobs).to.have.length(0);
  });

  for (const cached of [0, 4]) {
    it(`hands over the whole read when ${cached} bytes are cached`, () => {
      using offload = new TestOffload();
      const sys = mockSys(coldReads(cached));
      using share = new TestShare({ sys, offload });
      const fh = share.fh(share.put('file', 'abcdef'));
      const fd = sys.calls.findLast(({ name }) => name === 'file.openat')!.result as number;
      const op = share.op();
      const io = share.arena.io(2, 3);

      const result = share.fs.read(op, ROOT, fh, 1, io);

      expect(result).to.equal(PENDING);
      expect(offload.jobs[0]!.nr).to.equal(SYS.preadv2);
      expect(offload.jobs[0]!.args).to.deep.equal([fd, io.addr, 2, 1, 0, 0]);
      expect(share.fs.stats.pending).to.equal(1);
      offload.finish(5);
      expect(op.results).to.deep.equal([5]);
      expect(share.fs.stats.pending).to.equal(0);
    });
  }

  it('reads at once what cannot be handed over', () => {
    using offload = new TestOffload();
    using share = new TestShare({ sys: mockSys(coldReads(0)), offload, limits: { maxPending: 1 } });
    const fh = share.fh(share.put('file', 'abcdef'));
    offload.full = true;

    expect(share.read(fh, 0, 6)).to.equal('abcdef');
    offload.full = false;
    expect(share.fs.read(share.op(), ROOT, fh, 0, share.arena.io(6))).to.equal(PENDING);
    expect(share.read(fh, 0, 6)).to.equal('abcdef');
    expect(offload.jobs).to.have.length(1);
  });

  it('remembers where the host cannot say what is cached', () => {
    using offload = new TestOffload();
    const sys = mockSys();
    using share = new TestShare({ sys, offload });
    const fh = share.fh(share.put('file', 'abcdef'));
    sys.failNext('file.preadv2', EOPNOTSUPP);

    expect(share.read(fh, 0, 6)).to.equal('abcdef');
    expect(share.read(fh, 0, 6)).to.equal('abcdef');

    const flags = sys.calls.filter(({ name }) => name === 'file.preadv2').map(({ args }) => args[4]);
    expect(flags).to.deep.equal([RWF_NOWAIT, 0, 0]);
    expect(offload.jobs).to.have.length(0);
  });

  it('asks nothing of a file system in memory', () => {
    using offload = new TestOffload();
    const sys = mockSys();
    using share = new TestShare({ sys, offload }, '/dev/shm');
    const fh = share.fh(share.put('file', 'abcdef'));

    expect(share.read(fh, 0, 6)).to.equal('abcdef');

    expect(sys.calls.filter(({ name }) => name === 'file.preadv2').map(({ args }) => args[4])).to.deep.equal([0]);
  });

  it('hands over all calls on a file system that it does not know', () => {
    using offload = new TestOffload();
    const sys = mockSys();
    sys.failNext('file.fstatfs', 5);
    using share = new TestShare({ sys, offload });
    writeFileSync(share.at('file'), 'abcdef');

    expect(share.lookup('file').result).to.equal(PENDING);
    expect(share.getattr(ROOT).result).to.equal(PENDING);
    expect(share.mkdir('dir').result).to.equal(PENDING);
    expect(offload.jobs.map(({ nr }) => nr)).to.deep.equal([SYS.statx, SYS.statx, SYS.mkdirat]);
  });
});

describe('calls that may block', () => {
  checkLeaks();

  it('go to helper threads', () => {
    using offload = new TestOffload();
    using share = new TestShare({ offload });
    const nodeid = share.put('file', 'abcdef');
    const fh = share.fh(nodeid, O_RDWR | O_SYNC);
    const dir = share.dirFh(ROOT);
    const io = share.arena.io(3);
    const { fs } = share;

    const results = [
      fs.fsync(share.op(), nodeid, fh, false),
      fs.fsync(share.op(), nodeid, fh, true),
      fs.fsyncdir(share.op(), ROOT, dir, false),
      fs.syncfs(share.op(), ROOT),
      fs.fallocate(share.op(), nodeid, fh, 5, 6, 1),
      fs.copyFileRange(share.op(), nodeid, fh, 2 ** 40, nodeid, fh, 7, 8),
      fs.write(share.op(), nodeid, fh, 9, io, 0, 0),
    ];

    expect(results).to.deep.equal(results.map(() => PENDING));
    const { fsync, fdatasync, syncfs, fallocate, copy_file_range, pwritev2 } = SYS;
    expect(offload.jobs.map(({ nr }) => nr)).to.deep.equal([
      fsync,
      fdatasync,
      fsync,
      syncfs,
      fallocate,
      copy_file_range,
      pwritev2,
    ]);
    expect(offload.jobs[4]!.args.slice(1)).to.deep.equal([1, 5, 6, 0, 0]);
    expect(offload.jobs[6]!.args.slice(1)).to.deep.equal([io.addr, 1, 9, 0, 0]);
    const copy = offload.jobs[5]!.args;
    const offsets = new BigUint64Array(openSys().mem.view(copy[1]!, 16));
    expect([copy[0], copy[3] - copy[1]!, copy[4]]).to.deep.equal([copy[2], 8, 8]);
    expect([...offsets]).to.deep.equal([2n ** 40n, 7n]);
  });

  it('keep a released handle open until they end, and its fh void', () => {
    using offload = new TestOffload();
    const sys = mockSys();
    using share = new TestShare({ sys, offload });
    const nodeid = share.put('file', 'abcdef');
    const fh = share.fh(nodeid, O_RDWR);
    const first = share.op();
    const second = share.op();
    share.fs.fsync(first, nodeid, fh, false);
    share.fs.copyFileRange(second, nodeid, fh, 0, nodeid, fh, 3, 1);
    sys.reset();

    expect(share.fs.release(share.op(), nodeid, fh)).to.equal(0);
    expect(share.read(fh, 0, 1)).to.equal(-EBADF);
    expect(share.fs.release(share.op(), nodeid, fh)).to.equal(-EBADF);
    expect(sys.count('fd.close')).to.equal(0);
    offload.finish(0);
    expect(sys.count('fd.close')).to.equal(0);
    offload.finish(1);
    expect(sys.count('fd.close')).to.equal(1);
    expect([first.results, second.results]).to.deep.equal([[0], [1]]);
    expect(share.fs.stats.handles).to.equal(0);
  });

  it('outlive the session that asked for them, and leave nothing behind', () => {
    using offload = new TestOffload();
    using share = new TestShare({ offload });
    const nodeid = share.put('file', 'abcdef');
    const fh = share.fh(nodeid, O_RDWR);
    const op = share.op();
    share.fs.fsync(op, nodeid, fh, false);
    share.fs.syncfs(share.op(), ROOT);

    share.fs.destroy();

    expect(share.fs.stats).to.include({ inodes: 1, handles: 1, devices: 1, pending: 2 });
    offload.finish(-EIO);
    offload.finish(0);
    expect(op.results).to.deep.equal([-EIO]);
    expect(share.fs.stats).to.include({ inodes: 1, handles: 0, devices: 1, pending: 0 });
  });

  it('are waited for at the end', () => {
    using offload = new TestOffload();
    const share = new TestShare({ offload });
    const nodeid = share.put('file', 'abcdef');
    const op = share.op();
    share.fs.fsync(op, nodeid, share.fh(nodeid), false);

    share[Symbol.dispose]();

    expect(op.results).to.deep.equal([-4]);
  });

  it('really work', async () => {
    const sys = openSys();
    const helperGone = Promise.withResolvers<void>();
    {
      using loop = new BlockingLoop(sys);
      using offload = openOffload(sys, loop, { onHelperExit: helperGone.resolve });
      using share = new TestShare({ sys: mockSys(coldReads(0)), offload });
      const nodeid = share.put('file', 'abcdef');
      const fh = share.fh(nodeid, O_RDWR);
      const read = share.op();
      const copy = share.op();
      const sync = share.op();
      const io = share.arena.io(2, 3);

      expect(share.fs.read(read, ROOT, fh, 1, io)).to.equal(PENDING);
      expect(share.fs.copyFileRange(copy, nodeid, fh, 1, nodeid, fh, 5, 2)).to.equal(PENDING);
      expect(share.fs.syncfs(sync, ROOT)).to.equal(PENDING);
      offload.drain();

      expect([read.results, copy.results, sync.results]).to.deep.equal([[5], [2], [0]]);
      expect(Buffer.from(io.data).toString()).to.equal('bcdef');
      expect(readFileSync(share.at('file'), 'utf8')).to.equal('abcdebc');
    }
    await helperGone.promise;
  });
});
