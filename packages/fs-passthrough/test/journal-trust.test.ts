/** A journal that says what no share would have written, and a share that has changed since. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  check,
  EBADF,
  Fd,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  openSys,
} from '@oriel/sys';
import { expect } from 'chai';
import { FileStatus } from '../src/file-status.ts';
import { Scratch } from '../src/scratch.ts';
import { checkLeaks } from './support/leaks.ts';
import { Survivor } from './support/survivor.ts';

const ROOT = 1;

describe('a journal', () => {
  let dir: string;
  checkLeaks();
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'oriel-journal-'));
    writeFileSync(join(dir, 'file'), 'content');
    mkdirSync(join(dir, 'dir'));
    symlinkSync('file', join(dir, 'link'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const openFile = (survivor: Survivor, name = 'file', flags = O_RDWR): { nodeid: number; fh: number } => {
    const { request } = survivor;
    const { nodeid } = survivor.call(request.lookup(ROOT, name)).readEntry();
    return { nodeid, fh: survivor.call(request.open(nodeid, flags)).fh };
  };

  for (const opcode of ['destroy', 'init'] as const) {
    it(`is of use after a kill at any step of ${opcode.toUpperCase()}`, () => {
      let steps = 1;
      for (let step = 1; step <= steps; step++) {
        using survivor = new Survivor(dir);
        const { request } = survivor;
        openFile(survivor);
        survivor.call(request.unlink(ROOT, 'file'));
        survivor.call(request.opendir(survivor.call(request.lookup(ROOT, 'dir')).readEntry().nodeid));
        if (step === 1) {
          // Its own run: what follows is about one that was cut short.
          steps = survivor.stepsOf(request[opcode]()).steps;
          expect(steps).to.be.above(5);
        } else {
          survivor.killedAt(step, request[opcode]());
        }
        expect(survivor.call(request.init()).error, `step ${step}`).to.equal(0);
        expect(survivor.stats).to.deep.include({ inodes: 1, handles: 0 });
        writeFileSync(join(dir, 'file'), 'content');
        openFile(survivor);
        expect(survivor.stats).to.deep.include({ inodes: 2, handles: 1 });
        expect([...survivor.store.held.keys()].filter((name) => name.startsWith('inode'))).to.deep.equal([]);
      }
    });
  }

  it('is of use where rows are left of a session that ended', () => {
    using survivor = new Survivor(dir);
    const { request } = survivor;
    openFile(survivor);
    survivor.call(request.unlink(ROOT, 'file'));
    survivor.endJournal();
    survivor.rebirth();
    expect(survivor.call(request.init()).error).to.equal(0);
    expect(survivor.stats).to.deep.include({ inodes: 1, handles: 0 });
    expect([...survivor.store.held.keys()].filter((name) => name.startsWith('inode'))).to.deep.equal([]);
  });

  it('is taken up by the next process when one dies in the middle of that', () => {
    for (let step = 1, dies = true; dies; step++) {
      using survivor = new Survivor(dir);
      const { request } = survivor;
      writeFileSync(join(dir, 'nameless'), 'gone');
      const { nodeid, fh } = openFile(survivor);
      const nameless = openFile(survivor, 'nameless');
      survivor.call(request.unlink(ROOT, 'nameless'));
      dies = survivor.stillborn(step);
      survivor.rebirth();
      expect(survivor.stats, `step ${step}`).to.deep.include({ inodes: 3, handles: 2 });
      expect(survivor.call(request.read(nodeid, fh, 0, 7)).error).to.equal(0);
      expect(survivor.call(request.read(nameless.nodeid, nameless.fh, 0, 4)).error).to.equal(0);
      expect(dies || step > 10).to.equal(true);
    }
  });

  it('opens a handle with no flag that a guest could not have used', () => {
    for (const flags of [O_CREAT | O_EXCL | O_RDWR, O_PATH, O_TMPFILE | O_RDWR, O_DIRECTORY, -1, 3]) {
      using survivor = new Survivor(dir);
      const { request } = survivor;
      const { nodeid, fh } = openFile(survivor);
      survivor.journal.openFlags[1] = flags;
      survivor.rebirth();
      const lost = (flags & O_DIRECTORY) !== 0 || (flags & 3) === 3;
      expect(survivor.call(request.read(nodeid, fh, 0, 7)).error, `${flags}`).to.equal(lost ? EBADF : 0);
      expect(readdirSync(dir)).to.have.members(['file', 'dir', 'link']);
    }
  });

  it('makes no nameless file of a handle of a directory', () => {
    using survivor = new Survivor(dir);
    const { request } = survivor;
    const { nodeid } = survivor.call(request.lookup(ROOT, 'dir')).readEntry();
    const { fh } = survivor.call(request.opendir(nodeid));
    survivor.journal.openFlags[1] = O_TMPFILE | O_RDWR;
    survivor.rebirth();
    expect(survivor.call(request.readdir(nodeid, fh, 0, 0, 1000)).error).to.equal(0);
    survivor.journal.openFlags[1] = O_RDONLY;
    survivor.rebirth();
    expect(survivor.call(request.read(nodeid, fh, 0, 7)).error).to.equal(EBADF);
    expect(survivor.stats.handles).to.equal(0);
  });

  it('leaves no file open for writing in a share that is read-only now', () => {
    using survivor = new Survivor(dir);
    const { request } = survivor;
    const { nodeid, fh } = openFile(survivor);
    const reader = survivor.call(request.open(nodeid, O_RDONLY)).fh;
    survivor.options = { readonly: true };
    survivor.rebirth();
    expect(survivor.call(request.write(nodeid, fh, 0, 1), Buffer.from('x')).error).to.equal(EBADF);
    expect(survivor.call(request.read(nodeid, reader, 0, 7)).error).to.equal(0);
  });

  it('has no record for a message without a place: a driver of a packed ring names it as it likes', () => {
    using survivor = new Survivor(dir);
    const { request } = survivor;
    for (const place of [-1, 4, 65535, Number.NaN]) {
      survivor.place = place;
      expect(survivor.call(request.mkdir(ROOT, `at${place}`, 0o700)).error).to.equal(0);
    }
    survivor.place = 3;
    expect(survivor.killedAt(9, request.mkdir(ROOT, 'last', 0o700)).error).to.equal(0);
  });

  it('counts no lookups that are no number of lookups', () => {
    for (const count of [Number.NaN, Number.POSITIVE_INFINITY, -1, 0.5, 2 ** 60]) {
      using survivor = new Survivor(dir);
      openFile(survivor);
      survivor.journal.lookups[2] = count;
      survivor.rebirth();
      expect(survivor.stats, `${count}`).to.deep.include({ inodes: 1, handles: 0 });
    }
  });

  it('believes a kept descriptor only for the file that it was kept for', () => {
    using survivor = new Survivor(dir);
    const { request } = survivor;
    const { nodeid } = openFile(survivor);
    survivor.call(request.unlink(ROOT, 'file'));
    const sys = openSys();
    using other = new Fd(sys.fd, check(sys.file.openat(-100, Buffer.from(`${dir}/dir\0`), O_PATH, 0), 'open'));
    survivor.store.keep(`inode-${nodeid}`, other);
    survivor.rebirth();
    expect(survivor.call(request.getattr(nodeid)).error).to.not.equal(0);
    expect(survivor.stats.handles).to.equal(0);
  });

  it('is that of one directory: another one on another mount may have its inode number', () => {
    using survivor = new Survivor(dir);
    openFile(survivor);
    const sys = openSys();
    using root = new Fd(sys.fd, check(sys.file.openat(-100, Buffer.from(`${dir}\0`), O_PATH, 0), 'open'));
    const scratch = new Scratch(sys.mem);
    const status = new FileStatus(sys.file, scratch.empty, scratch.statx);
    check(status.ofFd(root.fd), 'statx');
    const { inoLo, inoHi, devMajor, devMinor } = status;
    scratch[Symbol.dispose]();
    const { journal } = survivor;
    expect(journal.isOf({ inoLo, inoHi, devMajor, devMinor })).to.equal(true);
    expect(journal.isOf({ inoLo: inoLo + 1, inoHi, devMajor, devMinor })).to.equal(false);
    journal.sign({ inoLo, inoHi, devMajor, devMinor: devMinor + 1 });
    expect(() => survivor.rebirth()).to.throw('no journal: -116');
  });
});
