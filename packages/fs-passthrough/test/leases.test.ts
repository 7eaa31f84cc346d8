import { writeFileSync } from 'node:fs';
import { PENDING } from '@oriel/fuse';
import { EAGAIN, EIO, ENFILE, F_RDLCK, F_UNLCK, F_WRLCK, O_RDONLY, O_RDWR, O_TRUNC, openSys, SYS } from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { checkLeaks } from './support/leaks.ts';
import { TestOffload } from './support/offload.ts';
import { RemoteShare, RemoteThreads } from './support/remote-share.ts';
import { ROOT, TestShare } from './support/share.ts';

/** fcntl(2): leases, and the signal that tells of a break; SIGCHLD is ignored where nobody listens. */
const F_SETSIG = 10;
const F_SETLEASE = 1024;
const SIGCHLD = 17;

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
    const nodeid = share.put('file', 'abcdef');
    const release = lease(share.at('file'), F_RDLCK);

    const { result, op } = share.open(nodeid, O_RDWR);

    expect(result).to.equal(PENDING);
    const [job] = offload.jobs;
    expect(job!.nr).to.equal(SYS.openat);
    const [dirfd, name, flags] = job!.args;
    release();
    offload.finish(openSys().file.openat(dirfd!, name!, flags!, 0));
    expect(op.results).to.deep.equal([0]);
    expect(share.read(op.fh, 0, 10)).to.equal('abcdef');
    share.forget(nodeid);
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
    const nodeid = share.put('file', 'abcdef');

    for (const options of [
      { flags: O_RDWR, kill: false },
      { flags: O_RDWR | O_TRUNC, kill: true },
    ]) {
      sys.failNext('file.openat', EAGAIN);
      expect(share.open(nodeid, options.flags, options.kill).result).to.equal(0);
    }
  });

  it('makes nothing known by a CREATE before it is done, in a helper thread', () => {
    using offload = new TestOffload();
    using share = new TestShare({ offload });
    writeFileSync(share.at('file'), 'abcdef');
    const release = lease(share.at('file'), F_RDLCK);
    const failed = share.create('file', O_RDWR);
    const ended = share.create('file', O_RDWR);
    const [, , flags] = offload.jobs[1]!.args;

    offload.finish(-EIO);
    expect(share.fs.stats).to.include({ inodes: 1, handles: 0 });
    share.fs.destroy();
    release();
    offload.finish(openSys().file.openat(-100, Buffer.from(`${share.at('file')}\0`), flags!, 0));

    expect([failed.op.results, ended.op.results]).to.deep.equal([[-EIO], [-EIO]]);
    expect(share.fs.stats).to.include({ inodes: 1, handles: 0, devices: 1, pending: 0 });
  });

  describe('in a thread of real', () => {
    let threads: RemoteThreads;
    before(() => {
      threads = new RemoteThreads();
    });
    after(() => threads[Symbol.dispose]());

    it('waits for CREATE too, and tells the size after it', async () => {
      using share = new RemoteShare(threads);
      writeFileSync(share.at('file'), 'abcdef');
      const release = lease(share.at('file'), F_RDLCK);
      const op = share.op();

      const result = share.fs.create(op, ROOT, share.arena.name('file'), O_RDWR | O_TRUNC, 0o644, false);

      expect(result).to.equal(PENDING);
      release();
      expect(await op.end(result)).to.equal(0);
      expect(op.entry.attr.size).to.equal(0);
      expect(share.write(op.fh, 0, 'new')).to.equal(3);
      share.forget(op.entry.nodeid);
      expect(share.fs.stats).to.include({ inodes: 1, handles: 1, pending: 0 });
    });
  });
});
