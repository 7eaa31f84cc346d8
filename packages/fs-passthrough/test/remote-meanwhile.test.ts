import { mkdirSync, writeFileSync } from 'node:fs';
import { FUSE_OPEN, PENDING } from '@oriel/fuse';
import { EBADF, EIO, F_WRLCK, O_RDONLY, O_RDWR } from '@oriel/sys';
import { expect } from 'chai';
import { describeMounts } from './support/mounted-share.ts';
import { TestSink } from './support/request.ts';

describeMounts('requests that come while others wait for a mount', (mounted) => {
  it('ends requests of a session that has ended with EIO, and leaves nothing of them', async function () {
    await using share = await mounted(this);
    const { fs, arena, mount } = share;
    writeFileSync(`${mount.path}/file`, 'x');
    const root = await share.find('mount');
    const file = await share.find('mount', 'file');
    await mount.hang();
    const made = share.begins((op) => fs.create(op, root, arena.name('late'), O_RDWR, 0o644, false));
    const opened = share.begins((op) => fs.open(op, file, O_RDONLY, false));
    await mount.holds();
    await mount.holds();

    fs.destroy();
    await mount.go();

    expect(await made.end(PENDING)).to.equal(-EIO);
    expect(await opened.end(PENDING)).to.equal(-EIO);
    expect(fs.stats).to.include({ inodes: 1, handles: 0, devices: 1, pending: 0 });
  });

  it('lets go of requests that are to be made anew, and of no others', async function () {
    await using share = await mounted(this);
    const { fs, arena, mount } = share;
    // The kernel makes nothing in a directory in which it looks something up.
    mkdirSync(`${mount.path}/dir`);
    const root = await share.find('mount');
    const dir = await share.find('mount', 'dir');
    await mount.hang();
    const looks = share.op();
    const makes = share.op();
    expect(fs.cancel(looks)).to.equal(false);
    for (let time = 0; time < 2; time++) {
      // Operations are used again for the next request.
      expect(fs.lookup(looks, root, arena.name(`look-${time}`))).to.equal(PENDING);
      await mount.holds();
      expect(fs.cancel(looks)).to.equal(true);
      expect(fs.cancel(looks)).to.equal(false);
    }
    expect(fs.mkdir(makes, dir, arena.name('made'), 0o755)).to.equal(PENDING);
    await mount.holds();
    expect(fs.cancel(makes)).to.equal(false);
    fs.settle(10);
    expect(makes.results).to.deep.equal([]);

    await mount.go();
    expect(await makes.end(PENDING)).to.equal(0);
    share.threads.remote.drain();
    expect(looks.results).to.deep.equal([]);
    fs.destroy();
    expect(fs.stats).to.include({ inodes: 1, pending: 0 });
  });

  it('makes known only what is still open when an inode is forgotten under a CREATE', async function () {
    await using share = await mounted(this);
    const { fs, arena, mount } = share;
    writeFileSync(`${mount.path}/file`, 'x');
    const root = await share.find('mount');
    const file = await share.find('mount', 'file');
    await mount.hang(FUSE_OPEN);
    const op = share.begins((op) => fs.create(op, root, arena.name('file'), O_RDWR, 0o644, false));
    await mount.holds();
    share.forget(file);
    await mount.go();
    expect(await op.end(PENDING)).to.equal(0);
    const getattr = share.op();
    expect(await getattr.end(fs.getattr(getattr, op.entry.nodeid, -1))).to.equal(0);
    expect(getattr.entry.attr.size).to.equal(1);
  });

  it('lists a directory to each of several who ask by one handle', async function () {
    await using share = await mounted(this);
    const { fs, mount } = share;
    for (const name of ['a', 'b', 'c']) writeFileSync(`${mount.path}/${name}`, '');
    const root = await share.find('mount');
    const opendir = share.op();
    expect(await opendir.end(fs.opendir(opendir, root))).to.equal(0);
    const first = new TestSink(4096, false);
    const list = share.op();
    expect(await list.end(fs.readdir(list, root, opendir.fh, 0, 0, first, false))).to.equal(0);
    const { cookieLo, cookieHi } = first.records[2]!;
    await mount.hang();
    const asked = [
      { at: [0, 0], sink: new TestSink(4096, false), op: share.op() },
      { at: [cookieLo, cookieHi], sink: new TestSink(4096, false), op: share.op() },
      { at: [0, 0], sink: new TestSink(4096, false), op: share.op() },
    ];
    for (const { at, sink, op } of asked) {
      expect(fs.readdir(op, root, opendir.fh, at[0]!, at[1]!, sink, false)).to.equal(PENDING);
    }
    await mount.holds();
    await mount.go();

    for (const { op } of asked) expect(await op.end(PENDING)).to.equal(0);
    const names = first.records.map(({ name }) => name);
    expect(asked.map(({ sink }) => sink.records.map(({ name }) => name))).to.deep.equal([names, names.slice(3), names]);
  });

  it('gives two requests of one owner their locks, and nothing of their file stays', async function () {
    await using share = await mounted(this, { posixLocks: true });
    const { fs, mount } = share;
    writeFileSync(`${mount.path}/file`, 'x');
    const file = await share.find('mount', 'file');
    const fh = await share.openAt(file, O_RDWR);
    await mount.hang(FUSE_OPEN);
    const ops = [0, 10].map((startLo) => {
      const range = { startLo, startHi: 0, endLo: startLo + 5, endHi: 0, type: F_WRLCK, pid: 1 };
      const lock = { ...range, ownerLo: 7, ownerHi: 0, flock: false };
      return share.begins((op) => fs.setlk!(op, file, fh, lock, false));
    });
    await mount.holds();
    await mount.holds();

    await mount.go();
    for (const op of ops) expect(await op.end(PENDING)).to.equal(0);
    fs.release(share.op(), file, fh);
    share.threads.remote.drain();
    expect(fs.stats).to.include({ handles: 0, pending: 0 });
  });

  it('refuses requests about what was forgotten meanwhile', async function () {
    await using share = await mounted(this);
    const { fs, mount } = share;
    writeFileSync(`${mount.path}/file`, 'x');
    const file = await share.find('mount', 'file');
    await mount.hang(FUSE_OPEN);
    const op = share.begins((op) => fs.open(op, file, O_RDONLY, false));
    await mount.holds();

    share.forget(file);
    await mount.go();

    expect(await op.end(PENDING)).to.equal(-EBADF);
    expect(fs.stats.handles).to.equal(0);
  });
});
