/** Sessions that move to another share: the same directory, a copy of it, and what a hostile host says. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  EBADF,
  EINVAL,
  ENFILE,
  ENOENT,
  EROFS,
  ESTALE,
  O_APPEND,
  O_DIRECTORY,
  O_RDONLY,
  O_RDWR,
  S_IFIFO,
} from '@oriel/sys';
import { expect } from 'chai';
import fc from 'fast-check';
import type { PassthroughOptions } from '../src/index.ts';
import { crowd, needHandles } from './support/file-handles.ts';
import { checkLeaks } from './support/leaks.ts';
import { handle, inode, tables, take, told } from './support/migration-records.ts';
import { PLACES, ROOT, TestShare } from './support/share.ts';

const FILE_HANDLES = { migration: { mode: 'file-handles' } } as const;
const GUEST_ERROR = { migration: { onError: 'guest-error' } } as const;

const FILE = 0o100000;
const DIR = 0o040000;

for (const place of PLACES) {
  describe(`a session that moves, in ${place}`, () => {
    checkLeaks();
    let copy: string;
    beforeEach(() => {
      copy = mkdtempSync(join(place, 'oriel-copy-'));
    });
    afterEach(() => rmSync(copy, { recursive: true }));

    const source = (options: Partial<PassthroughOptions> = {}): TestShare => {
      const share = new TestShare(options, place);
      mkdirSync(share.at('dir/deep'), { recursive: true });
      writeFileSync(share.at('file'), 'of the host');
      writeFileSync(share.at('dir/deep/other'), 'deep down');
      symlinkSync('file', share.at('link'));
      return share;
    };

    for (const where of ['the same directory', 'a copy'] as const) {
      it(`knows all by the same numbers in ${where}`, () => {
        using from = source();
        // Numbers that were used before.
        for (let turn = 0; turn < 3; turn++) from.fs.forget(from.node('link'), 1, null);
        const file = from.node('file');
        from.node('file');
        const [deep, other, link] = [from.node('dir', 'deep'), from.node('dir', 'deep', 'other'), from.node('link')];
        from.mknod('fifo', S_IFIFO | 0o600);
        const gone = from.fh(file);
        const [fh, append, dirFh] = [from.fh(file, O_RDWR), from.fh(other, O_RDWR | O_APPEND), from.dirFh(deep)];
        from.fs.release(from.op(), file, gone);
        renameSync(from.at('dir'), from.at('moved'));
        from.write(fh, 0, 'OF');
        if (where === 'a copy') execFileSync('cp', ['-a', `${from.path}/.`, copy]);
        const records = told(from);
        using to = new TestShare({ sharedDir: where === 'a copy' ? copy : from.path }, place);
        expect(take(to, records)).to.equal(0);
        expect(to.fs.stats).to.include({ inodes: from.fs.stats.inodes, handles: 3 });
        expect(told(to).slice(1)).to.deep.equal(records.slice(1));
        expect(to.node('file')).to.equal(file);
        expect(to.node('moved', 'deep', 'other')).to.equal(other);
        expect(to.read(fh, 0, 100)).to.equal('OF the host');
        expect(to.write(append, 0, '!', O_RDWR | O_APPEND)).to.equal(1);
        expect(to.read(append, 0, 100)).to.equal('deep down!');
        expect(to.fs.releasedir(to.op(), deep, dirFh)).to.equal(0);
        expect(to.getattr(link).result).to.equal(0);
        // Two lookups came along, one was added here.
        to.fs.forget(file, 2, null);
        expect(to.getattr(file).result).to.equal(0);
        to.fs.forget(file, 1, null);
        expect(to.getattr(file).result).to.equal(-EBADF);
        // New numbers are none that the guest ever had.
        expect(to.fh(other)).to.not.be.oneOf([gone, fh, append, dirFh]);
        expect(to.node('link')).to.equal(link);
        expect([file, deep, other, link]).to.not.include(to.node('file'));
      });
    }

    it('does not find by path what has none any more: the move ends, or the guest gets errors', () => {
      using from = source();
      const [file, other] = [from.node('file'), from.node('dir', 'deep', 'other')];
      const fh = from.fh(file, O_RDWR);
      expect(from.unlink('file')).to.equal(0);
      const records = told(from);
      using abort = new TestShare({ sharedDir: from.path }, place);
      expect(take(abort, records)).to.equal(-ESTALE);
      abort.fs.destroy();
      expect(abort.fs.stats).to.include({ inodes: 1, handles: 0 });
      using errors = new TestShare({ sharedDir: from.path, ...GUEST_ERROR }, place);
      expect(take(errors, records)).to.equal(0);
      expect([errors.getattr(file).result, errors.read(fh, 0, 1)]).to.deep.equal([-EBADF, -EBADF]);
      expect(errors.getattr(other).result).to.equal(0);
      writeFileSync(from.at('file'), 'another');
      expect(errors.node('file')).to.not.equal(file);
    });

    it('says nothing of what was just removed and nobody has open', () => {
      using from = source();
      const [file, deep] = [from.node('file'), from.node('dir', 'deep', 'other')];
      expect(from.unlink('file')).to.equal(0);
      using to = new TestShare({ sharedDir: from.path }, place);
      expect(take(to, told(from))).to.equal(0);
      expect([to.getattr(file).result, to.getattr(deep).result]).to.deep.equal([-EBADF, 0]);
      to.fs.forget(file, 1, null);
    });

    it('moves more inodes than either side has descriptors for', function () {
      needHandles(this, place);
      const limits = { maxInodeDescriptors: 64 };
      using from = source({ limits });
      const file = from.node('file');
      crowd(from, 'f', 300);
      const records = told(from);
      using to = new TestShare({ sharedDir: from.path, limits }, place);
      expect(take(to, records)).to.equal(0);
      expect(to.fs.stats).to.include({ inodes: from.fs.stats.inodes });
      expect(to.fs.stats.inodeDescriptors).to.be.at.most(65);
      expect(to.getattr(file).result).to.equal(0);
      expect(to.node('f0')).to.equal(from.node('f0'));
    });

    it('takes no file of another kind, and with handles no other file at all, for one that it was told', () => {
      for (const verifyHandles of [false, true]) {
        using from = source({ migration: { verifyHandles } });
        from.node('file');
        const records = told(from);
        rmSync(from.at('file'));
        writeFileSync(from.at('file'), 'another');
        using to = new TestShare({ sharedDir: from.path }, place);
        expect(take(to, records)).to.equal(verifyHandles ? -ESTALE : 0);
        rmSync(from.at('file'));
        mkdirSync(from.at('file'));
        using kind = new TestShare({ sharedDir: from.path }, place);
        expect(take(kind, records)).to.equal(-ESTALE);
      }
    });

    it('finds a file without a name by its handle, but none outside of the share', function () {
      needHandles(this, place);
      using from = source(FILE_HANDLES);
      const file = from.node('file');
      const fh = from.fh(file, O_RDWR);
      expect(from.unlink('file')).to.equal(0);
      from.node('dir', 'deep', 'other');
      const records = told(from);
      using to = new TestShare({ sharedDir: from.path }, place);
      expect(take(to, records)).to.equal(0);
      expect(to.write(fh, 0, 'still')).to.equal(5);
      expect(from.read(fh, 0, 5)).to.equal('still');
      using inner = new TestShare({ sharedDir: from.at('dir/deep') }, place);
      expect(take(inner, records)).to.equal(-ESTALE);
    });

    it('tells what it found, and comes to nothing else by a path that leads out', () => {
      using share = source();
      symlinkSync('/', share.at('slash'));
      symlinkSync('dir', share.at('dirlink'));
      const bad = [
        '..',
        '.',
        '/file',
        'dir/',
        'dir//deep',
        '../file',
        'dir/../file',
        'slash/etc',
        'dirlink/deep',
        'f\0le',
      ];
      for (const path of [...bad, '', 'none', 'x'.repeat(256), 'dir/'.repeat(1100)]) {
        using to = new TestShare({ sharedDir: share.path }, place);
        expect(take(to, [tables(), inode(path, 2, DIR)]), path).to.be.lessThan(0);
        expect(to.fs.stats.inodes).to.equal(1);
      }
      using to = new TestShare({ sharedDir: share.path }, place);
      expect(take(to, [tables(), inode('dir/deep', 2, DIR), inode('slash', 3, 0o120000)])).to.equal(0);
    });

    it('refuses numbers that cannot be', () => {
      using share = source();
      const cases: [Uint8Array[], number][] = [
        [[], -EINVAL],
        [[inode('file', 2, FILE)], -EINVAL],
        [[tables(), tables()], -EINVAL],
        [[tables(2 ** 30)], -ENFILE],
        [[tables(0)], -ENFILE],
        [[tables(100, 2 ** 40)], -ENFILE],
        [[tables(), inode('file', ROOT, FILE)], -EINVAL],
        [[tables(), inode('file', 0, FILE)], -EINVAL],
        [[tables(), inode('file', 100, FILE)], -EINVAL],
        [[tables(), inode('file', 2, FILE, 0)], -EINVAL],
        [[tables(), inode('file', 2, FILE), inode('link', 2, 0o120000)], -EINVAL],
        [[tables(), inode('file', 2, FILE).subarray(0, 50)], -EINVAL],
        [[tables(), handle(1, 2, O_RDONLY)], -ESTALE],
        [[tables(), inode('file', 2, FILE), handle(0, 2, O_RDONLY)], -EINVAL],
        [[tables(), inode('file', 2, FILE), handle(1, 2, O_RDONLY), handle(1, 2, O_RDONLY)], -EINVAL],
        [[tables(), inode('link', 2, 0o120000), handle(1, 2, O_RDONLY)], -EINVAL],
        [[tables(), inode('file', 2, FILE), handle(1, 2, O_RDONLY | O_DIRECTORY)], -ESTALE],
        [[tables(), inode('dir', 2, DIR), handle(1, 2, O_RDONLY)], -ESTALE],
        [[Uint8Array.of(9, 0, 0, 0)], -EINVAL],
        [[tables(), Uint8Array.of(9, 0, 0, 0)], -EINVAL],
        [[tables(), Uint8Array.of(2)], -EINVAL],
      ];
      for (const [records, result] of cases) {
        using to = new TestShare({ sharedDir: share.path }, place);
        expect(take(to, records), records.map((record) => Buffer.from(record).toString('hex')).join(' ')).to.equal(
          result,
        );
        to.fs.destroy();
        expect(to.fs.stats).to.include({ inodes: 1, handles: 0 });
        expect(to.lookup('file').result).to.equal(0);
      }
    });

    it('opens nothing for writing where the share is read-only, and nothing but files and directories', () => {
      using share = source();
      share.mknod('fifo', S_IFIFO | 0o600);
      using to = new TestShare({ sharedDir: share.path, readonly: true }, place);
      expect(take(to, [tables(), inode('file', 2, FILE), handle(1, 2, O_RDWR)])).to.equal(-EROFS);
      using fifo = new TestShare({ sharedDir: share.path }, place);
      expect(take(fifo, [tables(), inode('fifo', 2, S_IFIFO), handle(1, 2, O_RDONLY)])).to.equal(-EINVAL);
    });

    it('bears any bytes', () => {
      using from = source();
      from.fh(from.node('file'));
      from.dirFh(from.node('dir', 'deep'));
      const good = told(from);
      const change = fc.record({ record: fc.nat(good.length - 1), at: fc.nat(200), value: fc.nat(255) });
      fc.assert(
        fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
          const bad = good.map((record) => record.slice());
          for (const { record, at, value } of changes) bad[record]![at % bad[record]!.length] = value;
          using to = new TestShare({ sharedDir: from.path, ...GUEST_ERROR }, place);
          take(to, bad);
          to.fs.destroy();
          expect(to.fs.stats).to.include({ inodes: 1, handles: 0 });
        }),
        { numRuns: 150 },
      );
    });
  });
}

describe('a share that holds locks for its guest', () => {
  it('cannot be moved', () => {
    using share = new TestShare({ posixLocks: true });
    expect(share.fs.migration).to.equal(undefined);
    expect(-ENOENT).to.equal(share.lookup('none').result);
  });
});
