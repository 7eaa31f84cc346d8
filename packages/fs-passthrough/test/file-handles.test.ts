import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { FATTR_MODE, FATTR_SIZE } from '@oriel/fuse';
import { EBADF, ESTALE, O_RDWR, S_IFIFO } from '@oriel/sys';
import { expect } from 'chai';
import { crowd, needHandles } from './support/file-handles.ts';
import { checkLeaks } from './support/leaks.ts';
import { PLACES, ROOT, TestShare } from './support/share.ts';

const BUDGET = 64;
const limits = { maxInodeDescriptors: BUDGET };

const openFds = (): number => readdirSync('/proc/self/fd').length;

for (const place of PLACES) {
  describe(`inodes beyond the descriptor budget, in ${place}`, function () {
    this.timeout(60_000);
    checkLeaks();
    beforeEach(function () {
      needHandles(this, place);
    });

    it('are served as any others while the host renames and removes', () => {
      using share = new TestShare({ limits }, place);
      const before = openFds();
      const nodes: number[] = [];
      for (let n = 0; n < 2000; n++) {
        const { result, nodeid, op } = share.create(`f${n}`, O_RDWR);
        expect(result).to.equal(0);
        share.write(op.fh, 0, `${n}`);
        share.fs.release(op, nodeid, op.fh);
        share.arena.reset();
        nodes.push(nodeid);
        if (n % 3 === 1) {
          renameSync(share.at(`f${n - 1}`), share.at(`g${n - 1}`));
        } else if (n % 3 === 2 && n >= 100) {
          // Some of them are f files, some were renamed before.
          rmSync(share.at(`f${n - 60}`), { force: true });
        }
      }

      expect(share.fs.stats).to.include({ inodes: 2001, inodeDescriptors: BUDGET });
      expect(openFds() - before).to.be.lessThan(BUDGET + 4);
      const names = new Map(readdirSync(share.path).map((name) => [name.slice(1), name]));
      expect(names.size).to.be.within(1000, 1999);
      let kept = 0;
      for (let n = 0; n < 2000; n++) {
        share.arena.reset();
        const name = names.get(`${n}`);
        const { result, op } = share.getattr(nodes[n]!);
        if (name === undefined) {
          // Its descriptor may have been there when it was removed.
          expect(result === -ESTALE || (result === 0 && op.entry.attr.nlink === 0), `f${n}: ${result}`).to.equal(true);
          continue;
        }
        kept++;
        expect(result).to.equal(0);
        expect(BigInt(op.entry.attr.inoLo)).to.equal(lstatSync(share.at(name), { bigint: true }).ino & 0xffff_ffffn);
        expect(share.lookup(name).nodeid).to.equal(nodes[n]);
        const fh = share.fh(nodes[n]!);
        expect(share.read(fh, 0, 10)).to.equal(`${n}`);
        share.fs.release(share.op(), nodes[n]!, fh);
      }
      expect(kept).to.equal(names.size);
      expect(share.fs.stats.inodeDescriptors).to.be.most(BUDGET + 1);
    });

    it('keep every name and nodeid in a listing of 5,000', () => {
      using share = new TestShare({ limits }, place);
      for (let n = 0; n < 5000; n++) {
        writeFileSync(share.at(`file${n}`), '');
      }
      const fh = share.dirFh(ROOT);

      const first = share.list(fh, 65_536, true).filter(({ name }) => !name.startsWith('.'));
      const second = share.list(fh, 65_536, true).filter(({ name }) => !name.startsWith('.'));

      expect(new Set(first.map(({ name }) => name)).size).to.equal(5000);
      expect(new Set(first.map(({ nodeid }) => nodeid)).size).to.equal(5000);
      expect(first.every(({ nodeid }) => nodeid !== 0)).to.equal(true);
      expect(second).to.deep.equal(first);
      expect(share.fs.stats).to.include({ inodes: 5001, inodeDescriptors: BUDGET });
    });

    it('answer ESTALE to everything when they are gone', () => {
      using share = new TestShare({ limits, xattr: true }, place);
      writeFileSync(share.at('file'), 'text');
      mkdirSync(share.at('dir'));
      symlinkSync('x', share.at('link'));
      const [file, dir, link] = [share.node('file'), share.node('dir'), share.node('link')];
      crowd(share, 'crowd', BUDGET);
      rmSync(share.at('file'));
      rmSync(share.at('link'));
      rmdirSync(share.at('dir'));
      const { arena, fs } = share;
      const op = share.op();
      const name = arena.name('user.x');
      const to = arena.addr(arena.take(100));
      const out = { size: -1, mappable: false, devLo: 0, devHi: 0, inoLo: 0, inoHi: 0, path: '' };

      const results = {
        getattr: share.getattr(file).result,
        chmod: share.setattr(file, { valid: FATTR_MODE, mode: 0o600 }).result,
        truncate: share.setattr(file, { valid: FATTR_SIZE, size: 0 }).result,
        open: share.open(file).result,
        link: share.link(file, 'other').result,
        linkInto: share.link(share.node('crowd1'), 'other', dir).result,
        getxattr: fs.getxattr!(op, file, name, to, 100),
        setxattr: fs.setxattr!(op, file, name, to, 1, 0, false),
        listxattr: fs.listxattr!(op, file, to, 100),
        removexattr: fs.removexattr!(op, file, name),
        mapInfo: fs.mapInfo(file, out),
        openForMapping: fs.openForMapping(file),
        statfs: fs.statfs(op, file, {} as Parameters<typeof fs.statfs>[2]),
        syncfs: fs.syncfs(op, file),
        readlink: fs.readlink(op, link, to, 100),
        lookup: share.lookup('a', dir).result,
        create: share.create('a', O_RDWR, 0o644, dir).result,
        tmpfile: fs.tmpfile(op, dir, O_RDWR, 0o600),
        mkdir: share.mkdir('a', 0o755, dir).result,
        mknod: share.mknod('a', S_IFIFO, 0, dir).result,
        symlink: share.symlink('a', 'b', dir).result,
        unlink: share.unlink('a', dir),
        rmdir: share.rmdir('a', dir),
        renameFrom: share.rename('a', 'b', 0, dir, ROOT),
        renameTo: share.rename('crowd1', 'b', 0, ROOT, dir),
        opendir: fs.opendir(op, dir),
      };

      for (const [request, result] of Object.entries(results)) {
        expect(result, request).to.equal(-ESTALE);
      }
      share.forget(file);
      expect(share.getattr(file).result).to.equal(-EBADF);
    });

    it('of every kind come back', () => {
      using share = new TestShare({ limits }, place);
      share.mkdir('dir');
      share.symlink('link', 'target');
      share.mknod('fifo', S_IFIFO | 0o600);
      const kinds = ['dir', 'link', 'fifo'].map((name) => share.node(name));
      crowd(share, 'crowd', BUDGET);

      const to = share.arena.take(10);
      expect(share.fs.readlink(share.op(), kinds[1]!, share.arena.addr(to), 10)).to.equal(6);
      expect(share.getattr(kinds[2]!).op.entry.attr.mode & 0o170000).to.equal(S_IFIFO);
      expect(share.create('inside', O_RDWR, 0o644, kinds[0]!).result).to.equal(0);
      expect(lstatSync(share.at('dir', 'inside')).isFile()).to.equal(true);
    });

    it('are opened again before the rights to do so are given up', function () {
      if (process.getuid?.() !== 0) {
        this.skip();
      }
      using share = new TestShare({ limits }, place);
      const dir = share.mkdir('dir').nodeid;
      chmodSync(share.at('dir'), 0o777);
      crowd(share, 'a', BUDGET);
      expect(share.mkdir('sub', 0o755, dir, share.op(1000, 1000)).result).to.equal(0);
      crowd(share, 'b', BUDGET);
      expect(share.create('file', O_RDWR, 0o644, dir, share.op(1000, 1000)).result).to.equal(0);

      expect(lstatSync(share.at('dir', 'sub')).uid).to.equal(1000);
      expect(lstatSync(share.at('dir', 'file')).uid).to.equal(1000);
    });

    it('may both be needed by one request, however few descriptors there are', () => {
      using share = new TestShare({ limits: { maxInodeDescriptors: 3 } }, place);
      const [from, to] = [share.mkdir('from').nodeid, share.mkdir('to').nodeid];
      for (let round = 0; round < 3; round++) {
        writeFileSync(share.at('from', 'file'), `${round}`);
        const file = share.node('from', 'file');

        expect(share.rename('file', 'file', 0, from, to)).to.equal(0);

        expect(lstatSync(share.at('to', 'file')).size).to.equal(1);
        expect(share.link(file, 'again', from).nodeid).to.equal(file);
        rmSync(share.at('from', 'again'));
        share.forget(file, 2);
        expect(share.fs.stats.inodeDescriptors).to.be.most(5);
      }
      share.getattr(ROOT);
      expect(share.fs.stats.inodeDescriptors).to.be.most(4);
    });
  });
}
