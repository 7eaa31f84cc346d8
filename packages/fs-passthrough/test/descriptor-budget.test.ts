import { lstatSync, rmSync, writeFileSync } from 'node:fs';
import { EBADF, EMFILE, ENFILE, EOVERFLOW, ESTALE, O_RDWR } from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { crowd, needHandles } from './support/file-handles.ts';
import { checkLeaks } from './support/leaks.ts';
import { PLACES, ROOT, TestShare } from './support/share.ts';

const BUDGET = 64;
const limits = { maxInodeDescriptors: BUDGET };

describe('inodes beyond the descriptor budget', () => {
  checkLeaks();
  beforeEach(function () {
    needHandles(this, PLACES[0]!);
  });

  it('are told from new files with their numbers', function () {
    using share = new TestShare({ limits });
    const old = share.put('old', '');
    const { ino } = lstatSync(share.at('old'));
    crowd(share, 'crowd', BUDGET);
    rmSync(share.at('old'));
    let name = '';
    for (let n = 0; n < 1000 && name === ''; n++) {
      writeFileSync(share.at(`new${n}`), 'new');
      name = lstatSync(share.at(`new${n}`)).ino === ino ? `new${n}` : '';
    }
    if (name === '') {
      console.log('      SKIPPED, this file system used no inode number again');
      this.skip();
    }

    const now = share.node(name);

    expect(now).to.not.equal(old);
    expect(share.getattr(now).op.entry.attr.size).to.equal(3);
    expect(share.getattr(old).result).to.equal(-ESTALE);
    share.forget(old);
    expect(share.node(name)).to.equal(now);
    crowd(share, 'more', BUDGET);
    expect(share.node(name)).to.equal(now);
    expect(share.list(share.dirFh(ROOT), 65_536, true).find((record) => record.name === name)!.nodeid).to.equal(now);
  });

  it('lose their number only when their handle is stale', () => {
    const sys = mockSys();
    using share = new TestShare({ sys, limits });
    const old = share.put('file', '');
    crowd(share, 'crowd', BUDGET);

    // The name seems to be another file's, but the inode lives.
    sys.failNext('file.nameToHandleAt', EOVERFLOW);
    expect(share.lookup('file').nodeid).to.equal(old);
    sys.failNext('file.nameToHandleAt', EOVERFLOW);
    sys.failNext('file.openByHandleAt', EMFILE);
    expect(share.lookup('file').result).to.equal(-EMFILE);
    expect(share.lookup('file').nodeid).to.equal(old);
    sys.failNext('file.nameToHandleAt', EOVERFLOW);
    sys.failNext('file.openByHandleAt', ESTALE);
    const now = share.node('file');

    expect(now).to.not.equal(old);
    share.forget(old, 3);
    expect(share.getattr(old).result).to.equal(-EBADF);
    expect(share.node('file')).to.equal(now);
  });

  it('are not taken for what a handle leads to when that is something else', () => {
    const sys = mockSys();
    using share = new TestShare({ sys, limits });
    writeFileSync(share.at('file'), '');
    writeFileSync(share.at('other'), '');
    const nodeid = share.node('file');
    crowd(share, 'crowd', BUDGET);
    const { openByHandleAt } = sys.file;
    sys.file.openByHandleAt = () => sys.file.openat(-100, Buffer.from(`${share.at('other')}\0`), 0o12000000, 0);

    expect(share.getattr(nodeid).result).to.equal(-ESTALE);

    sys.file.openByHandleAt = openByHandleAt;
    expect(share.getattr(nodeid).result).to.equal(0);
  });

  it('keep their descriptors while they are used', () => {
    const sys = mockSys();
    using share = new TestShare({ sys, limits });
    const dir = share.mkdir('dir').nodeid;
    sys.reset();

    for (let n = 0; n < 500; n++) {
      share.create(`f${n}`, O_RDWR, 0o644, dir);
    }

    expect(sys.count('file.openByHandleAt')).to.equal(0);
    expect(share.fs.stats).to.include({ inodes: 502, inodeDescriptors: BUDGET });
  });

  it('keep them while they have no name, and so live on', () => {
    using share = new TestShare({ limits });
    const gone = share.put('gone', 'text');
    rmSync(share.at('gone'));
    const op = share.op();
    expect(share.fs.tmpfile(op, ROOT, O_RDWR, 0o600)).to.equal(0);
    const temporary = op.entry.nodeid;
    crowd(share, 'a', BUDGET);

    expect(share.getattr(gone).op.entry.attr).to.include({ nlink: 0, size: 4 });
    expect(share.link(temporary, 'named').nodeid).to.equal(temporary);
    crowd(share, 'b', BUDGET);
    rmSync(share.at('named'));
    share.fs.release(op, temporary, op.fh);
    expect(share.getattr(temporary).result).to.equal(-ESTALE);
    expect(share.getattr(gone).result).to.equal(0);
  });

  it('that live on without a name and fill the budget leave no room', () => {
    using share = new TestShare({ limits: { maxInodeDescriptors: 6 } });
    for (const name of ['a', 'b', 'c', 'd']) {
      writeFileSync(share.at(name), '');
      share.node(name);
      rmSync(share.at(name));
    }
    writeFileSync(share.at('e'), '');
    const nodes = ['f', 'g'].map((name) => share.mkdir(name).result);

    expect(nodes).to.include(-ENFILE);
    expect(share.lookup('e').result).to.equal(-ENFILE);
    expect(share.fs.stats.inodeDescriptors).to.be.most(7);
  });
});
