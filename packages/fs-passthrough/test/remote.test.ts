import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import {
  FATTR_MODE,
  FATTR_SIZE,
  FUSE_ATTR_SUBMOUNT,
  FUSE_FLUSH,
  FUSE_FSYNC,
  FUSE_LOOKUP,
  FUSE_OPEN,
  FUSE_READ,
  FUSE_READDIR,
  PENDING,
} from '@oriel/fuse';
import {
  EBADF,
  EEXIST,
  EIO,
  ENOENT,
  EOPNOTSUPP,
  EXDEV,
  F_WRLCK,
  O_RDONLY,
  O_RDWR,
  openSys,
  S_IFREG,
  SEEK_DATA,
} from '@oriel/sys';
import { expect } from 'chai';
import { FuseMount } from './support/fuse-mount.ts';
import { checkLeaks } from './support/leaks.ts';
import { RemoteShare, RemoteThreads } from './support/remote-share.ts';
import { TestSink } from './support/request.ts';
import { ROOT } from './support/share.ts';

const NO_CHANGE = { fh: -1, uid: 0, gid: 0, atimeLo: 0, atimeHi: 0, atimeNs: 0, mtimeLo: 0, mtimeHi: 0, mtimeNs: 0 };
const USER = 1234;

/** Mounts below a share. */
async function mounted(context: Mocha.Context, share: RemoteShare, name: string): Promise<FuseMount> {
  const mount = await FuseMount.at(share.at(name));
  if (mount === undefined) {
    console.log('      SKIPPED, mounting is not allowed here');
    context.skip();
  }
  return mount;
}

describe('a mount that is not known to be local', function () {
  this.timeout(60_000);
  let threads: RemoteThreads;
  before(async () => {
    threads = new RemoteThreads();
    // The first process that is started leaves descriptors of Node's own.
    using share = new RemoteShare(threads);
    await (await FuseMount.at(share.at('mount')))?.[Symbol.asyncDispose]();
  });
  after(() => threads[Symbol.dispose]());

  describe('that answers', () => {
    checkLeaks();
    // What is closed by helper threads is closed before the next test.
    afterEach(() => threads.remote.drain());

    it('is served as any other', async function () {
      using share = new RemoteShare(threads, { xattr: true });
      await using mount = await mounted(this, share, 'mount');
      writeFileSync(share.at('mount', 'file'), 'contents');
      chmodSync(mount.path, 0o777);
      const { fs, arena } = share;
      const rootOp = share.op();
      expect(await rootOp.end(fs.lookup(rootOp, ROOT, arena.name('mount')))).to.equal(0);
      expect(rootOp.entry.attr.flags).to.equal(FUSE_ATTR_SUBMOUNT);
      const root = rootOp.entry.nodeid;
      const end = async (call: (op: ReturnType<typeof share.op>) => number, uid = 0): Promise<number> => {
        const op = share.op(uid, uid);
        const result = call(op);
        expect(result, 'nothing is asked here').to.equal(PENDING);
        return op.end(result);
      };

      expect(await end((op) => fs.lookup(op, root, arena.name('nothing')))).to.equal(-ENOENT);
      expect(await end((op) => fs.mkdir(op, root, arena.name('dir'), 0o777), USER)).to.equal(0);
      expect(lstatSync(`${mount.path}/dir`)).to.include({ uid: USER, gid: USER });
      expect(await end((op) => fs.mkdir(op, root, arena.name('dir'), 0o755))).to.equal(-EEXIST);
      expect(await end((op) => fs.mknod(op, root, arena.name('node'), S_IFREG | 0o600, 0))).to.equal(0);
      expect(await end((op) => fs.symlink(op, root, arena.name('link'), arena.name('file')))).to.equal(0);
      const link = await share.find('mount', 'link');
      const at = arena.take(100);
      expect(await end((op) => fs.readlink(op, link, arena.addr(at), 100))).to.equal(4);
      expect(Buffer.from(arena.bytes.subarray(at, at + 4)).toString()).to.equal('file');
      const file = await share.find('mount', 'file');
      expect(await end((op) => fs.link(op, file, root, arena.name('second')))).to.equal(0);
      expect(statSync(`${mount.path}/file`).nlink).to.equal(2);
      expect(await end((op) => fs.rename(op, root, arena.name('second'), root, arena.name('third'), 0))).to.equal(0);
      expect(share.rename('third', 'out', 0, ROOT, ROOT)).to.equal(-ENOENT);
      expect(await end((op) => fs.rename(op, root, arena.name('third'), ROOT, arena.name('out'), 0))).to.equal(-EXDEV);
      expect(await end((op) => fs.unlink(op, root, arena.name('third')))).to.equal(0);
      expect(await end((op) => fs.rmdir(op, root, arena.name('dir')))).to.equal(0);
      expect(readdirSync(mount.path).sort()).to.deep.equal(['file', 'link', 'node']);

      const getattr = share.op();
      expect(await getattr.end(fs.getattr(getattr, file, -1))).to.equal(0);
      expect(getattr.entry.attr).to.include({ size: 8, nlink: 1 });
      const change = { ...NO_CHANGE, valid: FATTR_MODE | FATTR_SIZE, mode: 0o640, size: 4 };
      expect(await end((op) => fs.setattr(op, file, change))).to.equal(0);
      expect(statSync(`${mount.path}/file`)).to.include({ size: 4, mode: S_IFREG | 0o640 });
      const name = arena.name('user.key');
      const value = arena.name('value');
      expect(await end((op) => fs.setxattr!(op, file, name, value.addr, 5, 0, false))).to.equal(0);
      expect(await end((op) => fs.getxattr!(op, file, name, arena.addr(at), 100))).to.equal(5);
      expect(Buffer.from(arena.bytes.subarray(at, at + 5)).toString()).to.equal('value');
      expect(await end((op) => fs.listxattr!(op, file, arena.addr(at), 100))).to.equal(9);
      expect(await end((op) => fs.removexattr!(op, file, name))).to.equal(0);

      const create = share.op(USER, USER);
      expect(await create.end(fs.create(create, root, arena.name('new'), O_RDWR, 0o600, false))).to.equal(0);
      expect(lstatSync(`${mount.path}/new`).uid).to.equal(USER);
      const again = share.op();
      expect(await again.end(fs.create(again, root, arena.name('new'), O_RDWR, 0o600, false))).to.equal(0);
      expect(again.entry.nodeid).to.equal(create.entry.nodeid);
      const { fh } = create;
      const data = arena.io(5);
      data.data.set(Buffer.from('abcde'));
      expect(await end((op) => fs.write(op, create.entry.nodeid, fh, 3, data, O_RDWR, 0))).to.equal(5);
      const back = arena.io(3, 100);
      expect(await end((op) => fs.read(op, create.entry.nodeid, fh, 1, back))).to.equal(7);
      expect(Buffer.from(back.data.subarray(0, 7)).toString()).to.equal('\0\0abcde');
      const seek = share.op();
      expect(await seek.end(fs.lseek(seek, create.entry.nodeid, fh, 0, SEEK_DATA))).to.equal(0);
      expect(await end((op) => fs.fsync(op, create.entry.nodeid, fh, false))).to.equal(0);
      expect(await end((op) => fs.flush(op, create.entry.nodeid, fh, 0, 0))).to.equal(0);
      const other = await share.openAt(file, O_RDONLY);
      expect(await end((op) => fs.copyFileRange(op, file, other, 0, create.entry.nodeid, fh, 0, 4))).to.equal(4);
      expect(readFileSync(`${mount.path}/new`, 'utf8')).to.equal('contbcde');
      for (const open of [fh, other, again.fh]) expect(fs.release(share.op(), ROOT, open)).to.equal(0);

      const opendir = share.op();
      expect(await opendir.end(fs.opendir(opendir, root))).to.equal(0);
      for (const plus of [false, true]) {
        const sink = new TestSink(4096, plus);
        expect(await end((op) => fs.readdir(op, root, opendir.fh, 0, 0, sink, plus))).to.equal(0);
        expect(sink.records.map((record) => record.name).sort()).to.deep.equal([
          '.',
          '..',
          'file',
          'link',
          'new',
          'node',
        ]);
        const [last] = sink.records.slice(-1);
        const rest = new TestSink(4096, plus);
        expect(
          await end((op) => fs.readdir(op, root, opendir.fh, last!.cookieLo, last!.cookieHi, rest, plus)),
        ).to.equal(0);
        expect(rest.records).to.deep.equal([]);
      }
      expect(fs.releasedir(share.op(), root, opendir.fh)).to.equal(0);
      expect(fs.stats).to.include({ handles: 0, pending: 0 });
      fs.destroy();
      expect(fs.stats).to.include({ inodes: 1, devices: 1 });
      threads.remote.drain();
    });

    it('can be the whole share', async function () {
      using outer = new RemoteShare(threads);
      await using mount = await mounted(this, outer, 'mount');
      mkdirSync(`${mount.path}/dir`);
      writeFileSync(`${mount.path}/dir/file`, 'text');
      {
        using share = new RemoteShare(threads, { sharedDir: mount.path });
        const file = await share.find('dir', 'file');
        const fh = await share.openAt(file, O_RDONLY);
        const io = share.arena.io(4);
        const op = share.op();
        expect(await op.end(share.fs.read(op, file, fh, 0, io))).to.equal(4);
        expect(Buffer.from(io.data).toString()).to.equal('text');
      }
      threads.remote.drain();
    });
  });

  describe('that does not answer', () => {
    checkLeaks();
    afterEach(() => threads.remote.drain());

    it('leaves all other requests flowing, whatever it is asked, and answers when it answers again', async function () {
      using share = new RemoteShare(threads);
      writeFileSync(share.at('local'), 'local');
      await using mount = await mounted(this, share, 'mount');
      mkdirSync(`${mount.path}/dir`);
      writeFileSync(`${mount.path}/dir/file`, 'remote');
      const { fs, arena } = share;
      const dir = await share.find('mount', 'dir');
      const file = await share.find('mount', 'dir', 'file');
      const fh = await share.openAt(file, O_RDWR);
      const opendir = share.op();
      expect(await opendir.end(fs.opendir(opendir, dir))).to.equal(0);
      const io = arena.io(6);
      const asked: [number, (op: ReturnType<typeof share.op>) => number][] = [
        [FUSE_LOOKUP, (op) => fs.lookup(op, dir, arena.name('never-seen'))],
        [FUSE_OPEN, (op) => fs.open(op, file, O_RDONLY, false)],
        [FUSE_READ, (op) => fs.read(op, file, fh, 0, io)],
        [FUSE_FSYNC, (op) => fs.fsync(op, file, fh, false)],
        [FUSE_FLUSH, (op) => fs.flush(op, file, fh, 0, 0)],
        [FUSE_READDIR, (op) => fs.readdir(op, dir, opendir.fh, 0, 0, new TestSink(4096, true), true)],
      ];
      await mount.hang();
      const waiting = await Promise.all(
        asked.map(async ([opcode, call]) => {
          const op = share.op();
          const result = call(op);
          expect(result, `opcode ${opcode}`).to.equal(PENDING);
          await mount.holds();
          return { opcode, op };
        }),
      );

      // A call in this thread that asked the mount would wait for this very test.
      const local = share.node('local');
      expect(share.read(share.fh(local), 0, 5)).to.equal('local');
      share.forget(local);
      expect(share.getattr(ROOT).result).to.equal(0);
      expect(fs.stats.pending).to.equal(asked.length);
      expect(waiting.map(({ op }) => op.results)).to.deep.equal(asked.map(() => []));

      await mount.go();
      const results = await Promise.all(waiting.map(({ op }) => op.end(PENDING)));
      expect(results).to.deep.equal([-ENOENT, 0, 6, 0, 0, 0]);
      expect(Buffer.from(io.data).toString()).to.equal('remote');
      fs.destroy();
      threads.remote.drain();
    });

    it('does not hold up those who first come to it, nor FORGET and RELEASE', async function () {
      using share = new RemoteShare(threads);
      await using mount = await mounted(this, share, 'mount');
      writeFileSync(`${mount.path}/file`, 'x');
      const { fs, arena } = share;
      const file = await share.find('mount', 'file');
      const fh = await share.openAt(file, O_RDWR);
      await mount.hang();

      expect(fs.release(share.op(), file, fh)).to.equal(0);
      await mount.holds();
      share.forget(file);
      fs.destroy();
      expect(fs.stats).to.include({ inodes: 1, handles: 0, devices: 1 });
      const op = share.op();
      expect(fs.lookup(op, ROOT, arena.name('mount'))).to.equal(PENDING);
      expect(existsSync(share.at('mount'))).to.equal(true);

      await mount.go();
      expect(await op.end(PENDING)).to.equal(0);
      fs.destroy();
      threads.remote.drain();
    });

    it('holds some threads, and not those of another mount', async function () {
      using share = new RemoteShare(threads);
      await using hung = await mounted(this, share, 'hung');
      await using live = await mounted(this, share, 'live');
      writeFileSync(`${hung.path}/file`, 'x');
      writeFileSync(`${live.path}/file`, 'y');
      const { fs, arena } = share;
      const root = await share.find('hung');
      await hung.hang();
      const ops = Array.from({ length: 30 }, (_, n) => {
        const op = share.op();
        expect(fs.lookup(op, root, arena.name(`nothing-${n}`))).to.equal(PENDING);
        return op;
      });
      await hung.holds();

      const file = await share.find('live', 'file');
      const fh = await share.openAt(file, O_RDONLY);
      const op = share.op();
      expect(await op.end(fs.read(op, file, fh, 0, arena.io(1)))).to.equal(1);
      expect(fs.stats.pending).to.equal(30);

      await hung.go();
      expect(new Set(await Promise.all(ops.map((each) => each.end(PENDING))))).to.deep.equal(new Set([-ENOENT]));
      fs.destroy();
      threads.remote.drain();
    });

    it('gives what is made to its user, also when the call had to wait for its turn', async function () {
      using share = new RemoteShare(threads);
      await using mount = await mounted(this, share, 'mount');
      chmodSync(mount.path, 0o777);
      const { fs, arena } = share;
      const root = await share.find('mount');
      await mount.hang();
      const ops = Array.from({ length: 12 }, (_, n) => {
        const op = share.op(USER + n, USER);
        expect(fs.mkdir(op, root, arena.name(`dir-${n}`), 0o755)).to.equal(PENDING);
        return op;
      });
      await mount.holds();

      await mount.go();
      expect(await Promise.all(ops.map((op) => op.end(PENDING)))).to.deep.equal(ops.map(() => 0));
      const owners = ops.map((_, n) => lstatSync(`${mount.path}/dir-${n}`).uid);
      expect(owners).to.deep.equal(ops.map((_, n) => USER + n));
      fs.destroy();
      threads.remote.drain();
    });

    it('ends requests of a session that has ended with EIO, and leaves nothing of them', async function () {
      using share = new RemoteShare(threads);
      await using mount = await mounted(this, share, 'mount');
      writeFileSync(`${mount.path}/file`, 'x');
      const { fs, arena } = share;
      const root = await share.find('mount');
      const file = await share.find('mount', 'file');
      await mount.hang();
      const made = share.op();
      expect(fs.create(made, root, arena.name('late'), O_RDWR, 0o644, false)).to.equal(PENDING);
      const opened = share.op();
      expect(fs.open(opened, file, O_RDONLY, false)).to.equal(PENDING);
      await mount.holds();
      await mount.holds();

      fs.destroy();
      await mount.go();

      expect(await made.end(PENDING)).to.equal(-EIO);
      expect(await opened.end(PENDING)).to.equal(-EIO);
      expect(fs.stats).to.include({ inodes: 1, handles: 0, devices: 1, pending: 0 });
      threads.remote.drain();
    });

    it('is asked elsewhere for what a window wants to map', async function () {
      using share = new RemoteShare(threads);
      await using mount = await mounted(this, share, 'mount');
      writeFileSync(`${mount.path}/file`, 'x'.repeat(4096));
      const { fs } = share;
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
      fs.destroy();
      threads.remote.drain();
    });

    it('lets go of requests that are to be made anew, and of no others', async function () {
      using share = new RemoteShare(threads);
      await using mount = await mounted(this, share, 'mount');
      const { fs, arena } = share;
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
      threads.remote.drain();
      expect(looks.results).to.deep.equal([]);
      fs.destroy();
      expect(fs.stats).to.include({ inodes: 1, pending: 0 });
    });

    it('makes known only what is still open when an inode is forgotten under a CREATE', async function () {
      using share = new RemoteShare(threads);
      await using mount = await mounted(this, share, 'mount');
      writeFileSync(`${mount.path}/file`, 'x');
      const { fs, arena } = share;
      const root = await share.find('mount');
      const file = await share.find('mount', 'file');
      await mount.hang(FUSE_OPEN);
      const op = share.op();
      expect(fs.create(op, root, arena.name('file'), O_RDWR, 0o644, false)).to.equal(PENDING);
      await mount.holds();
      share.forget(file);
      await mount.go();
      expect(await op.end(PENDING)).to.equal(0);
      const getattr = share.op();
      expect(await getattr.end(fs.getattr(getattr, op.entry.nodeid, -1))).to.equal(0);
      expect(getattr.entry.attr.size).to.equal(1);
      fs.destroy();
      threads.remote.drain();
    });

    it('lists a directory to each of several who ask by one handle', async function () {
      using share = new RemoteShare(threads);
      await using mount = await mounted(this, share, 'mount');
      for (const name of ['a', 'b', 'c']) writeFileSync(`${mount.path}/${name}`, '');
      const { fs } = share;
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
      expect(asked.map(({ sink }) => sink.records.map(({ name }) => name))).to.deep.equal([
        names,
        names.slice(3),
        names,
      ]);
      fs.destroy();
      threads.remote.drain();
    });

    it('is asked elsewhere when it is the second directory of a request', async function () {
      using share = new RemoteShare(threads);
      await using mount = await mounted(this, share, 'mount');
      writeFileSync(share.at('local'), '');
      const { fs, arena } = share;
      const root = await share.find('mount');
      const local = share.node('local');
      await mount.hang();
      const rename = share.op();
      expect(fs.rename(rename, ROOT, arena.name('local'), root, arena.name('new'), 0)).to.equal(PENDING);
      const link = share.op();
      expect(fs.link(link, local, root, arena.name('new'))).to.equal(PENDING);
      expect(share.getattr(local).result).to.equal(0);
      await mount.go();
      expect([await rename.end(PENDING), await link.end(PENDING)]).to.deep.equal([-EXDEV, -EXDEV]);
      fs.destroy();
      threads.remote.drain();
    });

    it('gives two requests of one owner their locks, and nothing of their file stays', async function () {
      using share = new RemoteShare(threads, { posixLocks: true });
      await using mount = await mounted(this, share, 'mount');
      writeFileSync(`${mount.path}/file`, 'x');
      const { fs } = share;
      const file = await share.find('mount', 'file');
      const fh = await share.openAt(file, O_RDWR);
      await mount.hang(FUSE_OPEN);
      const ops = [0, 10].map((startLo) => {
        const op = share.op();
        const range = { startLo, startHi: 0, endLo: startLo + 5, endHi: 0, type: F_WRLCK, pid: 1 };
        const lock = { ...range, ownerLo: 7, ownerHi: 0, flock: false };
        expect(fs.setlk!(op, file, fh, lock, false)).to.equal(PENDING);
        return op;
      });
      await mount.holds();
      await mount.holds();

      await mount.go();
      for (const op of ops) expect(await op.end(PENDING)).to.equal(0);
      fs.release(share.op(), file, fh);
      threads.remote.drain();
      expect(fs.stats).to.include({ handles: 0, pending: 0 });
      fs.destroy();
      threads.remote.drain();
    });

    it('begins only so many requests at a time, and all of them', async function () {
      using share = new RemoteShare(threads);
      await using mount = await mounted(this, share, 'mount');
      const { fs, arena } = share;
      const root = await share.find('mount');
      await mount.hang();
      const ops = Array.from({ length: 100 }, (_, n) => {
        const op = share.op();
        expect(fs.lookup(op, root, arena.name(`nothing-${n}`))).to.equal(PENDING);
        return op;
      });
      expect(fs.stats.pending).to.equal(100);
      expect(fs.cancel(ops[99]!)).to.equal(true);
      await mount.go();
      const results = await Promise.all(ops.slice(0, 99).map((op) => op.end(PENDING)));
      expect(new Set(results)).to.deep.equal(new Set([-ENOENT]));
      expect(ops[99]!.results).to.deep.equal([]);
      fs.destroy();
      threads.remote.drain();
    });

    it('refuses requests about what was forgotten meanwhile', async function () {
      using share = new RemoteShare(threads);
      await using mount = await mounted(this, share, 'mount');
      writeFileSync(`${mount.path}/file`, 'x');
      const { fs } = share;
      const file = await share.find('mount', 'file');
      await mount.hang(FUSE_OPEN);
      const op = share.op();
      expect(fs.open(op, file, O_RDONLY, false)).to.equal(PENDING);
      await mount.holds();

      share.forget(file);
      await mount.go();

      expect(await op.end(PENDING)).to.equal(-EBADF);
      expect(fs.stats.handles).to.equal(0);
      threads.remote.drain();
    });
  });
});
