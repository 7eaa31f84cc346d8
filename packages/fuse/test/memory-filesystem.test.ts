import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import type { DirRecord, RequestEncoder } from '../src/client/index.ts';
import { MemoryFilesystem, TestClient } from '../src/testing/index.ts';
import { sys } from './harness.ts';

const EPERM = 1;
const ENOENT = 2;
const EBADF = 9;
const EEXIST = 17;
const ENOTDIR = 20;
const EISDIR = 21;
const EINVAL = 22;
const ENOSPC = 28;
const ENXIO = 6;
const ERANGE = 34;
const ENOTEMPTY = 39;
const ENODATA = 61;
const O_RDWR = 2;
const O_EXCL = 0o200;
const O_TRUNC = 0o1000;
const O_APPEND = 0o2000;

describe('MemoryFilesystem', () => {
  let fs: MemoryFilesystem;
  let client: TestClient;
  let r: RequestEncoder;
  let leaks: ReturnType<typeof leakCheck>;
  beforeEach(() => {
    leaks = leakCheck();
    fs = new MemoryFilesystem();
    client = new TestClient({ sys, fs });
    r = client.request;
    client.init();
  });
  afterEach(() => {
    client[Symbol.dispose]();
    leaks.check();
  });

  const create = (name: string, content = ''): { nodeid: number; fh: number } => {
    const reply = client.call(r.create(1, name, O_RDWR, 0o100644));
    const made = { nodeid: reply.readEntry().nodeid, fh: reply.fh };
    if (content !== '') {
      client.call(r.write(made.nodeid, made.fh, 0, content.length), Buffer.from(content));
    }
    return made;
  };
  const content = ({ nodeid, fh }: { nodeid: number; fh: number }): string =>
    Buffer.from(client.call(r.read(nodeid, fh, 0, 4096)).data).toString();
  const names = (nodeid = 1): string[] => {
    const { fh } = client.call(r.opendir(nodeid));
    const records: DirRecord[] = [];
    for (;;) {
      const last = records.at(-1);
      const more = client.call(r.readdir(nodeid, fh, last?.cookieLo ?? 0, last?.cookieHi ?? 0, 64)).readRecords();
      if (more.length === 0) {
        break;
      }
      records.push(...more);
    }
    client.call(r.releasedir(nodeid, fh));
    return records.map(({ name }) => name);
  };

  it('keeps files, their content and size', () => {
    const file = create('a', 'hello');
    client.call(r.write(file.nodeid, file.fh, 8, 2), Buffer.from('!!'));
    expect(content(file)).to.equal('hello\0\0\0!!');
    expect(client.call(r.getattr(file.nodeid)).readAttributes()).to.include({
      size: 10,
      blocks: 1,
      mode: 0o100644,
      nlink: 1,
    });
    client.call(r.setattr(file.nodeid, { size: 3 }));
    client.call(r.setattr(file.nodeid, { size: 6 }));
    expect(content(file)).to.equal('hel\0\0\0');
    expect(client.call(r.read(file.nodeid, file.fh, 100, 10)).bodyLen).to.equal(0);
    expect(client.call(r.setattr(file.nodeid, { size: 2 ** 40 })).error).to.equal(ENOSPC);
  });

  it('lists directories in small steps, "." and ".." first, also while they change', () => {
    for (const name of ['b', 'a', 'a rather long name', 'ü']) {
      create(name);
    }
    expect(names()).to.deep.equal(['.', '..', 'b', 'a', 'a rather long name', 'ü']);
    client.call(r.unlink(1, 'a'));
    expect(names()).to.deep.equal(['.', '..', 'b', 'a rather long name', 'ü']);
  });

  it('READDIRPLUS counts a lookup for each record but "." and "..", and none for a record that did not fit', () => {
    const a = create('a');
    const b = create('b');
    const { fh } = client.call(r.opendir(1));
    const first = client.call(r.readdirplus(1, fh, 0, 0, 160 * 3 + 8)).readRecords();
    expect(first.map(({ name, entry }) => [name, entry?.nodeid])).to.deep.equal([
      ['.', undefined],
      ['..', undefined],
      ['a', a.nodeid],
    ]);
    expect([fs.lookups(a.nodeid), fs.lookups(b.nodeid), fs.lookups(1)]).to.deep.equal([2, 1, 0]);
  });

  it('frees a node when names, lookups and handles are gone', () => {
    const file = create('a', 'x');
    expect(client.call(r.unlink(1, 'a')).error).to.equal(0);
    expect(client.call(r.lookup(1, 'a')).error).to.equal(ENOENT);
    expect(content(file)).to.equal('x');
    client.call(r.forget(file.nodeid, 1));
    expect(fs.nodeCount).to.equal(2);
    client.call(r.release(file.nodeid, file.fh));
    expect([fs.nodeCount, fs.handleCount]).to.deep.equal([1, 0]);
    expect(client.call(r.release(file.nodeid, file.fh)).error).to.equal(EBADF);
  });

  it('DESTROY drops lookups and handles; files stay', () => {
    const file = create('a', 'x');
    client.call(r.unlink(1, 'a'));
    create('b');
    client.call(r.destroy());
    expect([fs.nodeCount, fs.handleCount]).to.deep.equal([2, 0]);
    client.init();
    expect(client.call(r.read(file.nodeid, file.fh, 0, 1)).error).to.equal(EBADF);
    expect(names()).to.deep.equal(['.', '..', 'b']);
  });

  it('renames, replaces, exchanges, and never into itself', () => {
    const a = create('a', 'A');
    const b = create('b', 'B');
    const dir = client.call(r.mkdir(1, 'dir', 0o755)).readEntry().nodeid;
    const sub = client.call(r.mkdir(dir, 'sub', 0o755)).readEntry().nodeid;
    expect(client.call(r.rename2(1, 'a', 1, 'b', 1)).error).to.equal(EEXIST);
    expect(client.call(r.rename2(1, 'a', 1, 'b', 2)).error).to.equal(0);
    expect(client.call(r.lookup(1, 'a')).readEntry().nodeid).to.equal(b.nodeid);
    expect(client.call(r.rename(1, 'a', dir, 'c')).error).to.equal(0);
    expect(names(dir)).to.deep.equal(['.', '..', 'sub', 'c']);
    expect(client.call(r.rename(1, 'b', dir, 'c')).error).to.equal(0);
    expect(client.call(r.getattr(b.nodeid)).readAttributes().nlink).to.equal(0);
    expect(content(a)).to.equal('A');
    expect(client.call(r.rename(1, 'dir', sub, 'x')).error).to.equal(EINVAL);
    expect(client.call(r.rename(1, 'dir', 1, 'dir')).error).to.equal(0);
    expect(client.call(r.rename(1, 'dir', dir, 'c')).error).to.equal(EINVAL);
    expect(client.call(r.rename(dir, 'c', 1, 'dir')).error).to.equal(EISDIR);
    expect(client.call(r.rename(1, 'no', 1, 'x')).error).to.equal(ENOENT);
    expect(client.call(r.rename(dir, 'sub', 1, 'sub')).error).to.equal(0);
    expect(client.call(r.getattr(1)).readAttributes().nlink).to.equal(4);
    expect(client.call(r.getattr(dir)).readAttributes().nlink).to.equal(2);
    expect(client.call(r.rename2(1, 'dir', 1, 'sub', 4)).error).to.equal(EINVAL);
  });

  it('removes what may be removed', () => {
    create('f');
    const dir = client.call(r.mkdir(1, 'd', 0o755)).readEntry().nodeid;
    client.call(r.mkdir(dir, 'e', 0o755));
    expect(client.call(r.rmdir(1, 'd')).error).to.equal(ENOTEMPTY);
    expect(client.call(r.unlink(1, 'd')).error).to.equal(EISDIR);
    expect(client.call(r.rmdir(1, 'f')).error).to.equal(ENOTDIR);
    expect(client.call(r.rmdir(dir, 'e')).error).to.equal(0);
    expect(client.call(r.rmdir(1, 'd')).error).to.equal(0);
    expect(client.call(r.mkdir(dir + 99, 'x', 0)).error).to.equal(ENOENT);
  });

  it('links, symlinks, special files, files without a name', () => {
    const file = create('a', 'x');
    expect(client.call(r.link(file.nodeid, 1, 'b')).readEntry()).to.deep.include({ nodeid: file.nodeid });
    expect(client.call(r.getattr(file.nodeid)).readAttributes().nlink).to.equal(2);
    const link = client.call(r.symlink(1, 'l', '../a b')).readEntry().nodeid;
    expect(Buffer.from(client.call(r.readlink(link)).data).toString()).to.equal('../a b');
    expect(client.call(r.readlink(file.nodeid)).error).to.equal(EINVAL);
    const device = client.call(r.mknod(1, 'null', 0o20666, 0x103)).readEntry().attr;
    expect([device.mode, device.rdevMajor, device.rdevMinor]).to.deep.equal([0o20666, 1, 3]);
    const temporary = client.call(r.tmpfile(1, O_RDWR, 0o100600));
    const { nodeid } = temporary.readEntry();
    expect(temporary.entry.attr.nlink).to.equal(0);
    expect(client.call(r.link(nodeid, 1, 'named')).readEntry().attr.nlink).to.equal(1);
  });

  it('gives a directory no second name, in which it could lie itself', () => {
    const dir = client.call(r.mkdir(1, 'd', 0o755)).readEntry().nodeid;
    for (const nodeid of [1, dir]) expect(client.call(r.link(nodeid, dir, 'again')).error).to.equal(EPERM);
    expect(names(dir)).to.deep.equal(['.', '..']);
    expect(client.call(r.rename(1, 'd', 1, 'e')).error).to.equal(0);
  });

  it('opens with O_EXCL, O_TRUNC and O_APPEND', () => {
    const file = create('a', 'hello');
    expect(client.call(r.create(1, 'a', O_RDWR | O_EXCL, 0o644)).error).to.equal(EEXIST);
    expect(client.call(r.create(1, 'a', O_RDWR, 0o600)).readEntry()).to.deep.include({ nodeid: file.nodeid });
    client.call(r.write(file.nodeid, file.fh, 0, 3, O_APPEND), Buffer.from('!!!'));
    expect(content(file)).to.equal('hello!!!');
    client.call(r.open(file.nodeid, O_RDWR | O_TRUNC));
    expect(content(file)).to.equal('');
    expect(client.call(r.open(1, 0)).error).to.equal(EISDIR);
    const readonly = client.call(r.open(file.nodeid, 0)).fh;
    expect(client.call(r.write(file.nodeid, readonly, 0, 1), Buffer.from('x')).error).to.equal(EBADF);
    const writeonly = client.call(r.open(file.nodeid, 1)).fh;
    expect(client.call(r.read(file.nodeid, writeonly, 0, 1)).error).to.equal(EBADF);
  });

  it('drops set-id bits where asked to', () => {
    const file = create('a', 'x');
    client.call(r.setattr(file.nodeid, { mode: 0o6755 }));
    client.call(r.write(file.nodeid, file.fh, 0, 1, 0, 4), Buffer.from('y'));
    expect(client.call(r.getattr(file.nodeid)).readAttributes().mode).to.equal(0o100755);
    client.call(r.setattr(file.nodeid, { mode: 0o6745 }));
    client.call(r.setattr(file.nodeid, { uid: 5, killSuidgid: true }));
    expect(client.call(r.getattr(file.nodeid)).readAttributes()).to.include({ mode: 0o102745, uid: 5 });
  });

  it('keeps times, also before 1970', () => {
    const file = create('a');
    const reply = client.call(r.setattr(file.nodeid, { atime: -2, atimeNs: 5, mtime: 2 ** 33, mtimeNs: 6 }));
    expect(reply.readAttributes()).to.include({ atime: -2, atimeNs: 5, mtime: 2 ** 33, mtimeNs: 6, validSec: 1 });
    const now = client.call(r.setattr(file.nodeid, { atime: 'now', mtime: 'now' })).readAttributes();
    expect(now.atime).to.equal(now.ctime);
  });

  it('keeps extended attributes', () => {
    const { nodeid } = create('a');
    const value = new Uint8Array(65536).fill(7);
    expect(client.call(r.setxattr(nodeid, 'user.a', value)).error).to.equal(0);
    expect(client.call(r.setxattr(nodeid, 'user.b', Buffer.from('b'), 1)).error).to.equal(0);
    expect(client.call(r.setxattr(nodeid, 'user.b', Buffer.from('c'), 1)).error).to.equal(EEXIST);
    expect(client.call(r.setxattr(nodeid, 'user.c', Buffer.from('c'), 2)).error).to.equal(ENODATA);
    expect(client.call(r.getxattr(nodeid, 'user.a', 0)).count).to.equal(65536);
    expect(Buffer.compare(client.call(r.getxattr(nodeid, 'user.a', 65536)).data, value)).to.equal(0);
    expect(client.call(r.getxattr(nodeid, 'user.a', 10)).error).to.equal(ERANGE);
    expect(client.call(r.listxattr(nodeid, 0)).count).to.equal(14);
    expect(Buffer.from(client.call(r.listxattr(nodeid, 100)).data).toString()).to.equal('user.a\0user.b\0');
    expect(client.call(r.removexattr(nodeid, 'user.a')).error).to.equal(0);
    expect(client.call(r.getxattr(nodeid, 'user.a', 0)).error).to.equal(ENODATA);
  });

  it('allocates, punches, seeks and copies', () => {
    const a = create('a', 'hello world');
    const b = create('b');
    expect(client.call(r.fallocate(a.nodeid, a.fh, 0, 20)).error).to.equal(0);
    expect(client.call(r.getattr(a.nodeid)).readAttributes().size).to.equal(20);
    expect(client.call(r.fallocate(a.nodeid, a.fh, 2, 3, 3)).error).to.equal(0);
    expect(content(a).slice(0, 8)).to.equal('he\0\0\0 wo');
    expect(client.call(r.lseek(a.nodeid, a.fh, 5, 3)).offset).to.equal(5);
    expect(client.call(r.lseek(a.nodeid, a.fh, 5, 4)).offset).to.equal(20);
    expect(client.call(r.lseek(a.nodeid, a.fh, 20, 3)).error).to.equal(ENXIO);
    const copy = r.copyFileRange({ ...a, offset: 6 }, { ...b, offset: 1 }, 5);
    expect(client.call(copy).count).to.equal(5);
    expect(content(b)).to.equal('\0world');
    expect(client.call(r.copyFileRange({ ...a, offset: 0 }, { ...a, offset: 2 }, 5)).error).to.equal(EINVAL);
    expect(client.call(r.statfs(1)).readStatfs()).to.include({ bsize: 4096, namelen: 255, files: 3 });
    for (const one of [r.flush, r.release] as const) {
      expect(client.call(one.call(r, a.nodeid, a.fh)).error).to.equal(0);
    }
    expect(client.call(r.fsync(b.nodeid, b.fh)).error).to.equal(0);
    expect(client.call(r.syncfs(1)).error).to.equal(0);
  });

  it('gives back what was written, whatever the pieces are (property)', () => {
    const { nodeid, fh } = create('a');
    let model = Buffer.alloc(0);
    const step = fc.record({ offset: fc.nat(5000), data: fc.uint8Array({ maxLength: 3000 }) });
    fc.assert(
      fc.property(step, ({ offset, data }) => {
        expect(client.call(r.write(nodeid, fh, offset, data.length), data).count).to.equal(data.length);
        if (data.length > 0 && offset + data.length > model.length) {
          model = Buffer.concat([model, Buffer.alloc(offset + data.length - model.length)]);
        }
        if (data.length > 0) model.set(data, offset);
        expect(Buffer.compare(client.call(r.read(nodeid, fh, 0, 10000)).data, model)).to.equal(0);
      }),
      { seed: 46, numRuns: 100, examples: [[{ offset: 5000, data: new Uint8Array(0) }]] },
    );
  });
});
