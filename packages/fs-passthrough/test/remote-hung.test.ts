import { chmodSync, existsSync, lstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { PENDING } from '@oriel/fuse';
import { ENOENT, EOPNOTSUPP, EXDEV, O_RDONLY, O_RDWR, openSys } from '@oriel/sys';
import { expect } from 'chai';
import { FuseMount } from './support/fuse-mount.ts';
import { describeMounts, type MountedShare } from './support/mounted-share.ts';
import type { RemoteOperation } from './support/remote-share.ts';
import { TestSink } from './support/request.ts';
import { ROOT } from './support/share.ts';

const USER = 1234;

/** Asks for names that are not there. */
function lookups(share: MountedShare, parent: number, count: number): RemoteOperation[] {
  return Array.from({ length: count }, (_, n) =>
    share.begins((op) => share.fs.lookup(op, parent, share.arena.name(`nothing-${n}`))),
  );
}

describeMounts('a mount that does not answer', (mounted) => {
  it('leaves all other requests flowing, whatever it is asked, and answers when it answers again', async function () {
    await using share = await mounted(this);
    const { fs, arena, mount } = share;
    writeFileSync(share.at('local'), 'local');
    mkdirSync(`${mount.path}/dir`);
    writeFileSync(`${mount.path}/dir/file`, 'remote');
    const dir = await share.find('mount', 'dir');
    const file = await share.find('mount', 'dir', 'file');
    const fh = await share.openAt(file, O_RDWR);
    const opendir = share.op();
    expect(await opendir.end(fs.opendir(opendir, dir))).to.equal(0);
    const io = arena.io(6);
    const asked: ((op: RemoteOperation) => number)[] = [
      (op) => fs.lookup(op, dir, arena.name('never-seen')),
      (op) => fs.open(op, file, O_RDONLY, false),
      (op) => fs.read(op, file, fh, 0, io),
      (op) => fs.fsync(op, file, fh, false),
      (op) => fs.flush(op, file, fh, 0, 0),
      (op) => fs.readdir(op, dir, opendir.fh, 0, 0, new TestSink(4096, true), true),
    ];
    await mount.hang();
    const waiting = asked.map((call) => share.begins(call));
    for (const _ of waiting) await mount.holds();

    // A call in this thread that asked the mount would wait for this very test.
    const local = share.node('local');
    expect(share.read(share.fh(local), 0, 5)).to.equal('local');
    share.forget(local);
    expect(share.getattr(ROOT).result).to.equal(0);
    expect(fs.stats.pending).to.equal(asked.length);
    expect(waiting.map((op) => op.results)).to.deep.equal(asked.map(() => []));

    await mount.go();
    const results = await Promise.all(waiting.map((op) => op.end(PENDING)));
    expect(results).to.deep.equal([-ENOENT, 0, 6, 0, 0, 0]);
    expect(Buffer.from(io.data).toString()).to.equal('remote');
  });

  it('does not hold up those who first come to it, nor FORGET and RELEASE', async function () {
    await using share = await mounted(this);
    const { fs, arena, mount } = share;
    writeFileSync(`${mount.path}/file`, 'x');
    const file = await share.find('mount', 'file');
    const fh = await share.openAt(file, O_RDWR);
    await mount.hang();

    expect(fs.release(share.op(), file, fh)).to.equal(0);
    await mount.holds();
    share.forget(file);
    fs.destroy();
    expect(fs.stats).to.include({ inodes: 1, handles: 0, devices: 1 });
    const op = share.begins((op) => fs.lookup(op, ROOT, arena.name('mount')));
    expect(existsSync(share.at('mount'))).to.equal(true);

    await mount.go();
    expect(await op.end(PENDING)).to.equal(0);
  });

  it('holds some threads, and not those of another mount', async function () {
    await using share = await mounted(this);
    await using live = (await FuseMount.at(share.at('live')))!;
    writeFileSync(`${live.path}/file`, 'y');
    const { fs, mount } = share;
    const root = await share.find('mount');
    await mount.hang();
    const ops = lookups(share, root, 30);
    await mount.holds();

    const file = await share.find('live', 'file');
    const fh = await share.openAt(file, O_RDONLY);
    const op = share.op();
    expect(await op.end(fs.read(op, file, fh, 0, share.arena.io(1)))).to.equal(1);
    expect(fs.stats.pending).to.equal(30);

    await mount.go();
    expect(new Set(await Promise.all(ops.map((each) => each.end(PENDING))))).to.deep.equal(new Set([-ENOENT]));
    fs.destroy();
    share.threads.remote.drain();
  });

  it('gives what is made to its user, also when the call had to wait for its turn', async function () {
    await using share = await mounted(this);
    const { fs, arena, mount } = share;
    chmodSync(mount.path, 0o777);
    const root = await share.find('mount');
    await mount.hang();
    const ops = Array.from({ length: 12 }, (_, n) => {
      const user = share.op(USER + n, USER);
      return share.begins((op) => fs.mkdir(op, root, arena.name(`dir-${n}`), 0o755), user);
    });
    await mount.holds();

    await mount.go();
    expect(await Promise.all(ops.map((op) => op.end(PENDING)))).to.deep.equal(ops.map(() => 0));
    const owners = ops.map((_, n) => lstatSync(`${mount.path}/dir-${n}`).uid);
    expect(owners).to.deep.equal(ops.map((_, n) => USER + n));
  });

  it('is asked elsewhere for what a window wants to map', async function () {
    await using share = await mounted(this);
    const { fs, mount } = share;
    writeFileSync(`${mount.path}/file`, 'x'.repeat(4096));
    const file = await share.find('mount', 'file');
    const info = { size: 0, mappable: false, devLo: 0, devHi: 0, inoLo: 0, inoHi: 0, path: '' };
    expect(fs.mapInfo(file, info)).to.equal(0);
    expect(info.mappable).to.equal(false);
    expect(fs.openForMapping(file)).to.equal(-EOPNOTSUPP);
    await mount.hang();
    const prepared = Promise.withResolvers<void>();
    expect(fs.prepareMapping(file, prepared.resolve)).to.equal(PENDING);
    await mount.holds();
    await mount.go();
    await prepared.promise;

    expect(fs.mapInfo(file, info)).to.equal(0);
    expect(info).to.include({ size: 4096, mappable: true, path: 'mount/file' });
    const fd = fs.openForMapping(file);
    expect(fd).to.be.at.least(0);
    expect(fs.openForMapping(file)).to.equal(-EOPNOTSUPP);
    openSys().fd.close(fd);
    expect(fs.prepareMapping(file, () => {})).to.equal(PENDING);
  });

  it('is asked elsewhere when it is the second directory of a request', async function () {
    await using share = await mounted(this);
    const { fs, arena, mount } = share;
    writeFileSync(share.at('local'), '');
    const root = await share.find('mount');
    const local = share.node('local');
    await mount.hang();
    const rename = share.begins((op) => fs.rename(op, ROOT, arena.name('local'), root, arena.name('new'), 0));
    const link = share.begins((op) => fs.link(op, local, root, arena.name('new')));
    expect(share.getattr(local).result).to.equal(0);
    await mount.go();
    expect([await rename.end(PENDING), await link.end(PENDING)]).to.deep.equal([-EXDEV, -EXDEV]);
  });

  it('begins only so many requests at a time, and all of them', async function () {
    await using share = await mounted(this);
    const { fs, mount } = share;
    const root = await share.find('mount');
    await mount.hang();
    const ops = lookups(share, root, 100);
    expect(fs.stats.pending).to.equal(100);
    expect(fs.cancel(ops[99]!)).to.equal(true);
    await mount.go();
    const results = await Promise.all(ops.slice(0, 99).map((op) => op.end(PENDING)));
    expect(new Set(results)).to.deep.equal(new Set([-ENOENT]));
    expect(ops[99]!.results).to.deep.equal([]);
  });
});
