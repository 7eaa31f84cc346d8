import { readFileSync, writeFileSync } from 'node:fs';
import { PENDING } from '@oriel/fuse';
import {
  BlockingLoop,
  EAGAIN,
  EBADF,
  EIO,
  ENFILE,
  EOPNOTSUPP,
  F_RDLCK,
  F_UNLCK,
  F_WRLCK,
  O_RDONLY,
  O_RDWR,
  O_SYNC,
  O_TRUNC,
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

/** fcntl(2): leases, and the signal that tells of a break; SIGCHLD is ignored where nobody listens. */
const F_SETSIG = 10;
const F_SETLEASE = 1024;
const SIGCHLD = 17;

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
    writeFileSync(share.at('file'), 'abcdef');
    const fh = share.fh(share.node('file'));
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
      writeFileSync(share.at('file'), 'abcdef');
      const fh = share.fh(share.node('file'));
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
    writeFileSync(share.at('file'), 'abcdef');
    const fh = share.fh(share.node('file'));
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
    writeFileSync(share.at('file'), 'abcdef');
    const fh = share.fh(share.node('file'));
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
    writeFileSync(share.at('file'), 'abcdef');
    const fh = share.fh(share.node('file'));

    expect(share.read(fh, 0, 6)).to.equal('abcdef');

    expect(sys.calls.filter(({ name }) => name === 'file.preadv2').map(({ args }) => args[4])).to.deep.equal([0]);
  });

  it('hands over all data of a file system that it does not know', () => {
    using offload = new TestOffload();
    const sys = mockSys();
    sys.failNext('file.fstatfs', 5);
    using share = new TestShare({ sys, offload });
    writeFileSync(share.at('file'), 'abcdef');
    const fh = share.fh(share.node('file'), O_RDWR);
    sys.failNext('file.preadv2', EOPNOTSUPP);

    expect(share.fs.read(share.op(), ROOT, fh, 0, share.arena.io(6))).to.equal(PENDING);
    expect(share.fs.write(share.op(), ROOT, fh, 0, share.arena.io(6), 0, 0)).to.equal(PENDING);
  });
});

describe('calls that may block', () => {
  checkLeaks();

  it('go to helper threads', () => {
    using offload = new TestOffload();
    using share = new TestShare({ offload });
    writeFileSync(share.at('file'), 'abcdef');
    const nodeid = share.node('file');
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
    writeFileSync(share.at('file'), 'abcdef');
    const nodeid = share.node('file');
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
    writeFileSync(share.at('file'), 'abcdef');
    const nodeid = share.node('file');
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
    writeFileSync(share.at('file'), 'abcdef');
    const nodeid = share.node('file');
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
      writeFileSync(share.at('file'), 'abcdef');
      const nodeid = share.node('file');
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

describe('OPEN of a file with a lease', () => {
  checkLeaks();

  /** Takes a lease on a file as another program would. @returns ends it */
  function lease(path: string, kind: number): () => void {
    const sys = openSys();
    const fd = sys.file.openat(-100, Buffer.from(`${path}\0`), kind === F_WRLCK ? O_RDWR : O_RDONLY, 0);
    expect(sys.fd.fcntl(fd, F_SETSIG, SIGCHLD)).to.equal(0);
    expect(sys.fd.fcntl(fd, F_SETLEASE, kind)).to.equal(0);
    return () => {
      sys.fd.fcntl(fd, F_SETLEASE, F_UNLCK);
      sys.fd.close(fd);
    };
  }

  it('waits in a helper thread', () => {
    using offload = new TestOffload();
    using share = new TestShare({ offload });
    writeFileSync(share.at('file'), 'abcdef');
    const nodeid = share.node('file');
    const release = lease(share.at('file'), F_RDLCK);

    const { result, op } = share.open(nodeid, O_RDWR);

    expect(result).to.equal(PENDING);
    const [job] = offload.jobs;
    expect(job!.nr).to.equal(SYS.openat);
    const [dirfd, name, flags] = job!.args;
    share.forget(nodeid);
    release();
    offload.finish(openSys().file.openat(dirfd!, name!, flags!, 0));
    expect(op.results).to.deep.equal([0]);
    expect(share.read(op.fh, 0, 10)).to.equal('abcdef');
    expect(share.fs.stats).to.include({ inodes: 1, handles: 1, devices: 1, pending: 0 });
  });

  it('closes what was opened for a session that has ended, or beyond the budget', () => {
    using offload = new TestOffload();
    using share = new TestShare({ offload, limits: { maxHandles: 1 } });
    writeFileSync(share.at('file'), 'abcdef');
    writeFileSync(share.at('other'), '');
    const release = lease(share.at('file'), F_RDLCK);
    const open = (): { dirfd: number; name: number; op: ReturnType<TestShare['op']> } => {
      const { result, op } = share.open(share.node('file'), O_RDWR);
      expect(result).to.equal(PENDING);
      return { dirfd: offload.jobs.at(-1)!.args[0]!, name: offload.jobs.at(-1)!.args[1]!, op };
    };
    const late = open();
    share.fs.destroy();
    const crowded = open();
    share.fh(share.node('other'));
    expect(share.open(share.node('file'), O_RDWR).result).to.equal(-ENFILE);
    release();

    offload.finish(openSys().file.openat(late.dirfd, late.name, O_RDWR, 0));
    offload.finish(openSys().file.openat(crowded.dirfd, crowded.name, O_RDWR, 0));

    expect(late.op.results).to.deep.equal([-EIO]);
    expect(crowded.op.results).to.deep.equal([-ENFILE]);
    expect(share.fs.stats.handles).to.equal(1);
  });

  it('waits in the loop when nobody else can', () => {
    using offload = new TestOffload();
    offload.full = true;
    const sys = mockSys();
    using share = new TestShare({ sys, offload });
    writeFileSync(share.at('file'), 'abcdef');
    const nodeid = share.node('file');

    for (const options of [
      { flags: O_RDWR, kill: false },
      { flags: O_RDWR | O_TRUNC, kill: true },
    ]) {
      sys.failNext('file.openat', EAGAIN);
      expect(share.open(nodeid, options.flags, options.kill).result).to.equal(0);
    }
  });

  it('waits in a helper thread for CREATE too, and tells the size after it', () => {
    using offload = new TestOffload();
    using share = new TestShare({ offload });
    writeFileSync(share.at('file'), 'abcdef');
    const release = lease(share.at('file'), F_RDLCK);

    const { result, op } = share.create('file', O_RDWR | O_TRUNC);

    expect(result).to.equal(PENDING);
    const [dirfd, name, flags] = offload.jobs[0]!.args;
    release();
    offload.finish(openSys().file.openat(dirfd!, name!, flags!, 0));
    expect(op.results).to.deep.equal([0]);
    expect(op.entry.attr.size).to.equal(0);
    expect(share.write(op.fh, 0, 'new')).to.equal(3);
    share.forget(op.entry.nodeid);
    expect(share.fs.stats).to.include({ inodes: 1, handles: 1, pending: 0 });
  });

  it('takes back the lookup of a CREATE that fails in a helper thread', () => {
    using offload = new TestOffload();
    using share = new TestShare({ offload });
    writeFileSync(share.at('file'), 'abcdef');
    const release = lease(share.at('file'), F_RDLCK);
    const failed = share.create('file', O_RDWR);
    const ended = share.create('file', O_RDWR);
    const [, , flags] = offload.jobs[1]!.args;

    offload.finish(-EIO);
    expect(share.fs.stats).to.include({ inodes: 2, handles: 0 });
    share.fs.destroy();
    release();
    offload.finish(openSys().file.openat(-100, Buffer.from(`${share.at('file')}\0`), flags!, 0));

    expect([failed.op.results, ended.op.results]).to.deep.equal([[-EIO], [-EIO]]);
    expect(share.fs.stats).to.include({ inodes: 1, handles: 0, devices: 1, pending: 0 });
  });
});
