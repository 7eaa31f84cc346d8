import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { FATTR_MODE, FATTR_SIZE, FUSE_ATTR_SUBMOUNT } from '@oriel/fuse';
import { EEXIST, ENOENT, EXDEV, O_RDONLY, O_RDWR, S_IFREG, SEEK_DATA } from '@oriel/sys';
import { expect } from 'chai';
import { describeMounts } from './support/mounted-share.ts';
import { RemoteShare } from './support/remote-share.ts';
import { TestSink } from './support/request.ts';
import { NO_CHANGE, ROOT } from './support/share.ts';

const USER = 1234;

describeMounts('a mount that is not known to be local', (mounted) => {
  it('is announced, and nothing of it stays when the session ends', async function () {
    await using share = await mounted(this);
    writeFileSync(share.at('mount', 'file'), 'contents');
    const { fs, arena } = share;
    const op = share.op();
    expect(await op.end(fs.lookup(op, ROOT, arena.name('mount')))).to.equal(0);
    expect(op.entry.attr.flags).to.equal(FUSE_ATTR_SUBMOUNT);
    const fh = await share.openAt(await share.find('mount', 'file'), O_RDWR);
    expect(fs.release(share.op(), ROOT, fh)).to.equal(0);
    expect(fs.stats).to.include({ inodes: 3, handles: 0, devices: 2, pending: 0 });
    fs.destroy();
    expect(fs.stats).to.include({ inodes: 1, devices: 1 });
  });

  it('has names, which are made, linked, moved and taken away', async function () {
    await using share = await mounted(this);
    writeFileSync(share.at('mount', 'file'), 'contents');
    const { fs, arena, mount } = share;
    chmodSync(mount.path, 0o777);
    const root = await share.find('mount');

    expect(await share.ends((op) => fs.lookup(op, root, arena.name('nothing')))).to.equal(-ENOENT);
    const user = share.op(USER, USER);
    expect(await share.ends((op) => fs.mkdir(op, root, arena.name('dir'), 0o777), user)).to.equal(0);
    expect(lstatSync(`${mount.path}/dir`)).to.include({ uid: USER, gid: USER });
    expect(await share.ends((op) => fs.mkdir(op, root, arena.name('dir'), 0o755))).to.equal(-EEXIST);
    expect(await share.ends((op) => fs.mknod(op, root, arena.name('node'), S_IFREG | 0o600, 0))).to.equal(0);
    expect(await share.ends((op) => fs.symlink(op, root, arena.name('link'), arena.name('file')))).to.equal(0);
    const link = await share.find('mount', 'link');
    const at = arena.take(100);
    expect(await share.ends((op) => fs.readlink(op, link, arena.addr(at), 100))).to.equal(4);
    expect(Buffer.from(arena.bytes.subarray(at, at + 4)).toString()).to.equal('file');
    const file = await share.find('mount', 'file');
    expect(await share.ends((op) => fs.link(op, file, root, arena.name('second')))).to.equal(0);
    expect(statSync(`${mount.path}/file`).nlink).to.equal(2);
    const rename = (to: number, from: string, name: string): Promise<number> =>
      share.ends((op) => fs.rename(op, root, arena.name(from), to, arena.name(name), 0));
    expect(await rename(root, 'second', 'third')).to.equal(0);
    expect(share.rename('third', 'out', 0, ROOT, ROOT)).to.equal(-ENOENT);
    expect(await rename(ROOT, 'third', 'out')).to.equal(-EXDEV);
    expect(await share.ends((op) => fs.unlink(op, root, arena.name('third')))).to.equal(0);
    expect(await share.ends((op) => fs.rmdir(op, root, arena.name('dir')))).to.equal(0);
    expect(readdirSync(mount.path).sort()).to.deep.equal(['file', 'link', 'node']);
  });

  it('has attributes, extended ones too', async function () {
    await using share = await mounted(this, { xattr: true });
    writeFileSync(share.at('mount', 'file'), 'contents');
    const { fs, arena, mount } = share;
    const file = await share.find('mount', 'file');

    const getattr = share.op();
    expect(await share.ends((op) => fs.getattr(op, file, -1), getattr)).to.equal(0);
    expect(getattr.entry.attr).to.include({ size: 8, nlink: 1 });
    const change = { ...NO_CHANGE, valid: FATTR_MODE | FATTR_SIZE, mode: 0o640, size: 4 };
    expect(await share.ends((op) => fs.setattr(op, file, change))).to.equal(0);
    expect(statSync(`${mount.path}/file`)).to.include({ size: 4, mode: S_IFREG | 0o640 });
    const at = arena.take(100);
    const name = arena.name('user.key');
    const value = arena.name('value');
    expect(await share.ends((op) => fs.setxattr!(op, file, name, value.addr, 5, 0, false))).to.equal(0);
    expect(await share.ends((op) => fs.getxattr!(op, file, name, arena.addr(at), 100))).to.equal(5);
    expect(Buffer.from(arena.bytes.subarray(at, at + 5)).toString()).to.equal('value');
    expect(await share.ends((op) => fs.listxattr!(op, file, arena.addr(at), 100))).to.equal(9);
    expect(await share.ends((op) => fs.removexattr!(op, file, name))).to.equal(0);
  });

  it('has data, in files that are made and opened', async function () {
    await using share = await mounted(this);
    writeFileSync(share.at('mount', 'file'), 'cont');
    const { fs, arena, mount } = share;
    chmodSync(mount.path, 0o777);
    const root = await share.find('mount');
    const create = share.op(USER, USER);
    const again = share.op();
    for (const each of [create, again]) {
      expect(await share.ends((op) => fs.create(op, root, arena.name('new'), O_RDWR, 0o600, false), each)).to.equal(0);
      expect(lstatSync(`${mount.path}/new`).uid).to.equal(USER);
    }
    const { fh } = create;
    const { nodeid } = create.entry;
    expect(again.entry.nodeid).to.equal(nodeid);

    const data = arena.io(5);
    data.data.set(Buffer.from('abcde'));
    expect(await share.ends((op) => fs.write(op, nodeid, fh, 3, data, O_RDWR, 0))).to.equal(5);
    const back = arena.io(3, 100);
    expect(await share.ends((op) => fs.read(op, nodeid, fh, 1, back))).to.equal(7);
    expect(Buffer.from(back.data.subarray(0, 7)).toString()).to.equal('\0\0abcde');
    expect(await share.ends((op) => fs.lseek(op, nodeid, fh, 0, SEEK_DATA))).to.equal(0);
    expect(await share.ends((op) => fs.fsync(op, nodeid, fh, false))).to.equal(0);
    expect(await share.ends((op) => fs.flush(op, nodeid, fh, 0, 0))).to.equal(0);
    const file = await share.find('mount', 'file');
    const other = await share.openAt(file, O_RDONLY);
    expect(await share.ends((op) => fs.copyFileRange(op, file, other, 0, nodeid, fh, 0, 4))).to.equal(4);
    expect(readFileSync(`${mount.path}/new`, 'utf8')).to.equal('contbcde');
    for (const open of [fh, other, again.fh]) expect(fs.release(share.op(), ROOT, open)).to.equal(0);
    expect(fs.stats).to.include({ handles: 0, pending: 0 });
  });

  for (const plus of [false, true]) {
    it(`has directories, which are listed${plus ? ', names alone also where attributes are asked for' : ''}`, async function () {
      await using share = await mounted(this);
      for (const name of ['a', 'b']) writeFileSync(share.at('mount', name), '');
      const { fs } = share;
      const root = await share.find('mount');
      const opendir = share.op();
      expect(await share.ends((op) => fs.opendir(op, root), opendir)).to.equal(0);
      const list = async (cookieLo: number, cookieHi: number): Promise<TestSink> => {
        const sink = new TestSink(4096, plus);
        expect(await share.ends((op) => fs.readdir(op, root, opendir.fh, cookieLo, cookieHi, sink, plus))).to.equal(0);
        return sink;
      };

      const { records } = await list(0, 0);
      expect(records.map(({ name }) => name).sort()).to.deep.equal(['.', '..', 'a', 'b']);
      expect(records.map(({ nodeid }) => nodeid)).to.deep.equal([0, 0, 0, 0]);
      const last = records.at(-1)!;
      expect((await list(last.cookieLo, last.cookieHi)).records).to.deep.equal([]);
      expect(fs.releasedir(share.op(), root, opendir.fh)).to.equal(0);
    });
  }

  it('can be the whole share', async function () {
    await using outer = await mounted(this);
    const { mount, threads } = outer;
    mkdirSync(`${mount.path}/dir`);
    writeFileSync(`${mount.path}/dir/file`, 'text');
    using share = new RemoteShare(threads, { sharedDir: mount.path });
    const file = await share.find('dir', 'file');
    const fh = await share.openAt(file, O_RDONLY);
    const io = share.arena.io(4);
    const op = share.op();
    expect(await op.end(share.fs.read(op, file, fh, 0, io))).to.equal(4);
    expect(Buffer.from(io.data).toString()).to.equal('text');
  });
});
