import { chmodSync, chownSync, lstatSync, mkdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import {
  EACCES,
  EBADF,
  EEXIST,
  EINVAL,
  EMFILE,
  ENOENT,
  EPERM,
  EROFS,
  O_ACCMODE,
  O_APPEND,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  openSys,
  S_IFIFO,
  S_IFREG,
} from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { asRoot, checkIdentity } from './support/identity.ts';
import { checkLeaks } from './support/leaks.ts';
import { PLACES, ROOT, TestShare } from './support/share.ts';

const USER = 1000;
const GROUP = 1001;
const OTHER_GROUP = 1002;

for (const place of PLACES) {
  describe(`creating in ${place}`, () => {
    checkLeaks();
    checkIdentity();

    asRoot('gives what a user makes to that user', () => {
      using share = new TestShare({}, place);
      chmodSync(share.path, 0o777);
      const op = () => share.op(USER, GROUP);

      const results = [
        share.create('file', O_RDWR, 0o640, ROOT, op()).result,
        share.mkdir('dir', 0o750, ROOT, op()).result,
        share.mknod('fifo', S_IFIFO | 0o600, 0, ROOT, op()).result,
        share.mknod('plain', S_IFREG | 0o600, 0, ROOT, op()).result,
        share.symlink('link', 'target', ROOT, op()).result,
      ];

      expect(results).to.deep.equal([0, 0, 0, 0, 0]);
      for (const name of ['file', 'dir', 'fifo', 'plain', 'link']) {
        const { uid, gid } = lstatSync(share.at(name));
        expect([uid, gid], name).to.deep.equal([USER, GROUP]);
      }
      expect(lstatSync(share.at('file')).mode & 0o7777).to.equal(0o640);
      expect(lstatSync(share.at('dir')).mode & 0o7777).to.equal(0o750);
      expect(readlinkSync(share.at('link'))).to.equal('target');
      expect(share.node('file')).to.equal(2);
    });

    asRoot('makes a file without a name, which can be linked in', () => {
      using share = new TestShare({}, place);
      chmodSync(share.path, 0o777);
      const op = share.op(USER, GROUP);

      const result = share.fs.tmpfile(op, ROOT, O_RDWR, 0o600);

      expect(result).to.equal(0);
      expect(op.entry.attr.nlink).to.equal(0);
      expect(share.write(op.fh, 0, 'text')).to.equal(4);
      expect(share.link(op.entry.nodeid, 'named').result).to.equal(0);
      expect(statSync(share.at('named'))).to.include({ uid: USER, gid: GROUP, size: 4, nlink: 1 });
    });
  });
}

describe('creating', () => {
  checkLeaks();
  checkIdentity();

  asRoot('lets the host refuse a user without rights in the directory', () => {
    using share = new TestShare();
    chmodSync(share.path, 0o755);
    const op = () => share.op(USER, GROUP);

    expect(share.create('file', O_RDWR, 0o644, ROOT, op()).result).to.equal(-EACCES);
    expect(share.mkdir('dir', 0o755, ROOT, op()).result).to.equal(-EACCES);
    expect(share.fs.stats.inodes).to.equal(1);
  });

  asRoot('adds the supplementary group that came with the request, for that request', () => {
    using share = new TestShare();
    chownSync(share.path, 0, OTHER_GROUP);
    chmodSync(share.path, 0o770);
    const member = share.op(USER, GROUP);
    member.supplementaryGroup = OTHER_GROUP;

    const made = share.mkdir('dir', 0o755, ROOT, member);

    expect(made.result).to.equal(0);
    expect(statSync(share.at('dir'))).to.include({ uid: USER, gid: GROUP });
    expect(share.mkdir('dir2', 0o755, ROOT, share.op(USER, GROUP)).result).to.equal(-EACCES);
  });

  asRoot('inherits the group of a set-group-ID directory', () => {
    using share = new TestShare();
    mkdirSync(share.at('shared'));
    chownSync(share.at('shared'), 0, OTHER_GROUP);
    chmodSync(share.at('shared'), 0o2777);

    const made = share.create('file', O_RDWR, 0o664, share.node('shared'), share.op(USER, GROUP));

    expect(made.result).to.equal(0);
    expect(statSync(share.at('shared', 'file'))).to.include({ uid: USER, gid: OTHER_GROUP });
  });

  it('refuses the ids that mean "nobody in particular"', () => {
    using share = new TestShare();

    expect(share.mkdir('a', 0o755, ROOT, share.op(0xffff_ffff, 0)).result).to.equal(-EINVAL);
    expect(share.create('b', O_RDWR, 0o644, ROOT, share.op(0, 0xffff_ffff)).result).to.equal(-EINVAL);
    expect(() => lstatSync(share.at('b'))).to.throw('ENOENT');
  });

  asRoot('goes back to its own ids when a switch fails half-way', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    chmodSync(share.path, 0o777);
    sys.failNext('cred.setresuid', EPERM);

    const { result } = share.mkdir('dir', 0o755, ROOT, share.op(USER, GROUP));

    expect(result).to.equal(-EPERM);
    expect([process.geteuid!(), process.getegid!()]).to.deep.equal([0, 0]);
    expect(share.mkdir('dir', 0o755, ROOT, share.op(USER, GROUP)).result).to.equal(0);
  });

  asRoot('throws when it cannot go back', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    chmodSync(share.path, 0o777);
    sys.failNext('cred.setresuid', EPERM, 1, 1);

    expect(() => share.mkdir('dir', 0o755, ROOT, share.op(USER, 0))).to.throw('ERR_PASSTHROUGH_CREDENTIALS');

    expect(openSys().cred.setresuid(-1, 0, -1)).to.equal(0);
  });

  it('switches nothing when it is not root', () => {
    const sys = mockSys({ cred: { geteuid: () => USER } });
    using share = new TestShare({ sys });

    expect(share.mkdir('dir', 0o755, ROOT, share.op(7, 8)).result).to.equal(0);

    const changes = sys.calls.filter(({ name }) => /setres|setgroups|capset/.test(name));
    expect(changes).to.deep.equal([]);
  });
});

describe('CREATE', () => {
  checkLeaks();
  checkIdentity();

  it('opens what is there, unless O_EXCL is given', () => {
    using share = new TestShare();
    const known = share.put('file', 'old text');

    const opened = share.create('file', O_RDWR);
    const refused = share.create('file', O_RDWR | O_EXCL);

    expect([opened.result, opened.nodeid]).to.deep.equal([0, known]);
    expect(opened.op.entry.attr.size).to.equal(8);
    expect(share.read(opened.op.fh, 0, 20)).to.equal('old text');
    expect(refused.result).to.equal(-EEXIST);
    expect(share.fs.stats).to.include({ inodes: 2, handles: 1 });
  });

  it('truncates what is there with O_TRUNC, and tells the new size', () => {
    using share = new TestShare();
    writeFileSync(share.at('file'), 'old text');

    const { result, op } = share.create('file', O_WRONLY | O_TRUNC);

    expect([result, op.entry.attr.size]).to.deep.equal([0, 0]);
  });

  it('counts one lookup, of a new file and of one that was there', () => {
    using share = new TestShare();

    const first = share.create('file', O_RDWR);
    const second = share.create('file', O_RDWR);
    share.forget(first.nodeid);

    expect(second.nodeid).to.equal(first.nodeid);
    expect(share.getattr(first.nodeid).result).to.equal(0);
    share.forget(first.nodeid);
    expect(share.getattr(first.nodeid).result).to.be.lessThan(0);
  });

  it('takes an inode back when the file cannot be opened', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    writeFileSync(share.at('file'), '');
    sys.failNext('file.openat', EMFILE);

    const { result } = share.create('file', O_RDWR);

    expect(result).to.equal(-EMFILE);
    expect(share.fs.stats).to.include({ inodes: 1, handles: 0 });
  });

  it('keeps nothing when the new file cannot be made known', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    for (const call of ['file.openat', 'file.statx'] as const) {
      sys.failNext(call, EMFILE);

      expect(share.create(`file-${call}`, O_RDWR).result).to.equal(-EMFILE);
      expect(share.fs.stats).to.include({ inodes: 1, handles: 0 });
    }
  });

  it('passes modes with set-id bits, and no flags of the guest that could mislead', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    const mode = 0o106755;

    const { result } = share.create('file', (0o77777777 & ~O_EXCL & ~3) | O_RDWR, mode);

    expect(result).to.equal(0);
    expect(lstatSync(share.at('file')).mode & 0o7777).to.equal(0o6755);
    const flags = sys.calls.find(({ name, args }) => name === 'file.openat2' && args[3] !== 0)!.args[2] as number;
    expect(flags & O_APPEND).to.equal(0);
  });

  it('makes a file that is opened for neither reading nor writing', () => {
    using share = new TestShare();

    const made = share.create('file', O_ACCMODE);
    expect(made.result).to.equal(0);
    expect(share.read(made.op.fh, 0, 1)).to.equal(-EBADF);
    expect(share.write(made.op.fh, 0, 'x')).to.equal(-EBADF);
    expect(lstatSync(share.at('file')).size).to.equal(0);
    expect(share.fs.tmpfile(share.op(), ROOT, O_ACCMODE, 0o600)).to.equal(0);
  });

  it('opens for reading on a read-only share, and makes nothing there', () => {
    using share = new TestShare({ readonly: true });
    writeFileSync(share.at('file'), 'text');

    expect(share.create('file', O_RDONLY).result).to.equal(0);
    expect(share.create('file', O_RDWR).result).to.equal(-EROFS);
    expect(share.create('file', O_RDONLY | O_TRUNC).result).to.equal(-EROFS);
    expect(share.create('file', O_RDONLY | O_EXCL).result).to.equal(-EEXIST);
    expect(share.create('new', O_RDONLY).result).to.equal(-EROFS);
    expect(share.lookup('new').result).to.equal(-ENOENT);
  });
});
