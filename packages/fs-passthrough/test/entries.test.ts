import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import {
  EBADF,
  EEXIST,
  EINVAL,
  EISDIR,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EPERM,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  RENAME_WHITEOUT,
  S_IFIFO,
  S_IFREG,
  S_IFSOCK,
} from '@oriel/sys';
import { expect } from 'chai';
import { checkLeaks } from './support/leaks.ts';
import { PLACES, ROOT, TestShare } from './support/share.ts';

for (const place of PLACES) {
  describe(`entries in ${place}`, () => {
    checkLeaks();

    it('are made of every kind', () => {
      using share = new TestShare({}, place);

      const kinds = [
        share.mkdir('dir', 0o700),
        share.mknod('file', S_IFREG | 0o600),
        share.mknod('fifo', S_IFIFO | 0o600),
        share.mknod('socket', S_IFSOCK | 0o600),
        share.symlink('link', 'any/where'),
      ];

      expect(kinds.map(({ result }) => result)).to.deep.equal([0, 0, 0, 0, 0]);
      expect(kinds.map(({ op }) => op.entry.attr.mode)).to.deep.equal([0o40700, 0o100600, 0o10600, 0o140600, 0o120777]);
      expect(new Set(kinds.map(({ nodeid }) => nodeid)).size).to.equal(5);
      expect(share.mkdir('dir').result).to.equal(-EEXIST);
      expect(share.symlink('link', 'x').result).to.equal(-EEXIST);
      expect(share.fs.stats.inodes).to.equal(6);
    });

    it('are renamed, exchanged, kept and whited out', () => {
      using share = new TestShare({}, place);
      mkdirSync(share.at('dir'));
      writeFileSync(share.at('a'), 'A');
      writeFileSync(share.at('b'), 'B');
      const dir = share.node('dir');
      const a = share.node('a');

      expect(share.rename('a', 'b', RENAME_NOREPLACE)).to.equal(-EEXIST);
      expect(share.rename('a', 'b', RENAME_EXCHANGE)).to.equal(0);
      expect(readFileSync(share.at('b'), 'utf8')).to.equal('A');
      expect(share.rename('b', 'c', 0, ROOT, dir)).to.equal(0);
      expect(share.lookup('c', dir).nodeid).to.equal(a);
      if (process.geteuid!() === 0) {
        expect(share.rename('c', 'd', RENAME_WHITEOUT, dir, dir)).to.equal(0);
        expect(statSync(share.at('dir', 'c'))).to.include({ rdev: 0 });
      }
      expect(share.rename('a', 'x', 8)).to.equal(-EINVAL);
      expect(share.rename('missing', 'x')).to.equal(-ENOENT);
      expect(share.rename('a', 'x', 0, 99, ROOT)).to.equal(-EBADF);
      expect(share.rename('a', 'x', 0, ROOT, 99)).to.equal(-EBADF);
      expect(share.rename('dir', 'sub', 0, ROOT, dir)).to.equal(-EINVAL);
    });

    it('are linked under further names, and go one by one', () => {
      using share = new TestShare({}, place);
      writeFileSync(share.at('file'), 'text');
      symlinkSync('nowhere', share.at('link'));
      const file = share.node('file');

      const hard = share.link(file, 'hard');
      const linkToLink = share.link(share.node('link'), 'link2');

      expect([hard.result, hard.nodeid, hard.op.entry.attr.nlink]).to.deep.equal([0, file, 2]);
      expect(linkToLink.op.entry.attr.mode & 0o170000).to.equal(0o120000);
      expect(share.unlink('file')).to.equal(0);
      expect(share.getattr(file).op.entry.attr.nlink).to.equal(1);
      expect(readFileSync(share.at('hard'), 'utf8')).to.equal('text');
      expect(share.link(ROOT, 'loop').result).to.equal(-EPERM);
      expect(share.link(file, 'hard').result).to.equal(-EEXIST);
      expect(share.link(99, 'x').result).to.equal(-EBADF);
      expect(share.link(file, 'x', 99).result).to.equal(-EBADF);
    });

    it('are removed by the call that fits', () => {
      using share = new TestShare({}, place);
      mkdirSync(share.at('full', 'sub'), { recursive: true });
      mkdirSync(share.at('empty'));
      writeFileSync(share.at('file'), '');

      expect(share.unlink('empty')).to.equal(-EISDIR);
      expect(share.rmdir('file')).to.equal(-ENOTDIR);
      expect([-ENOTEMPTY, -EEXIST]).to.include(share.rmdir('full'));
      expect(share.unlink('file')).to.equal(0);
      expect(share.rmdir('empty')).to.equal(0);
      expect(share.unlink('file')).to.equal(-ENOENT);
      expect(share.unlink('file', 99)).to.equal(-EBADF);
      expect(readdirSync(share.path)).to.deep.equal(['full']);
    });

    it('of the kind symbolic link are read as they are', () => {
      using share = new TestShare({}, place);
      const target = `../${'x'.repeat(1000)}/é`;
      symlinkSync(target, share.at('link'));
      writeFileSync(share.at('file'), '');
      const link = share.node('link');
      const room = share.arena.io(4095);
      const to = share.arena.addr(0);
      const read = (nodeid: number, len: number): number => share.fs.readlink(share.op(), nodeid, to, len);

      const length = read(link, 4095);

      expect(length).to.equal(Buffer.byteLength(target));
      expect(Buffer.from(share.arena.bytes.subarray(0, length)).toString()).to.equal(target);
      expect(read(link, 10)).to.equal(10);
      expect(read(share.node('file'), 4095)).to.equal(-EINVAL);
      expect(read(99, 4095)).to.equal(-EBADF);
      expect(room.len).to.equal(4095);
    });
  });
}

describe('entries', () => {
  checkLeaks();

  it('are not made below what is no known directory', () => {
    using share = new TestShare();
    const file = share.put('file', '');

    expect(share.mkdir('x', 0o755, 99).result).to.equal(-EBADF);
    expect(share.create('x', 2, 0o644, 99).result).to.equal(-EBADF);
    expect(share.fs.tmpfile(share.op(), 99, 2, 0o600)).to.equal(-EBADF);
    expect(share.mkdir('x', 0o755, file).result).to.equal(-ENOTDIR);
    expect(share.create('x', 2, 0o644, file).result).to.equal(-ENOTDIR);
    expect(existsSync(share.at('x'))).to.equal(false);
  });
});
