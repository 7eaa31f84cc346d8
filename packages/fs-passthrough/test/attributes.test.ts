import { execFileSync } from 'node:child_process';
import { chmodSync, lstatSync, statfsSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import {
  FATTR_ATIME,
  FATTR_ATIME_NOW,
  FATTR_CTIME,
  FATTR_FH,
  FATTR_GID,
  FATTR_MODE,
  FATTR_MTIME,
  FATTR_MTIME_NOW,
  FATTR_SIZE,
  FATTR_UID,
} from '@oriel/fuse';
import { EBADF, EFBIG, EINVAL, EISDIR, EPERM, O_RDONLY, O_RDWR } from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { asRoot } from './support/identity.ts';
import { checkLeaks } from './support/leaks.ts';
import { PLACES, ROOT, TestShare } from './support/share.ts';

for (const place of PLACES) {
  describe(`SETATTR in ${place}`, () => {
    checkLeaks();

    it('changes modes, with a handle and without', () => {
      using share = new TestShare({}, place);
      const nodeid = share.put('file', '');
      const fh = share.fh(nodeid, O_RDWR);

      const first = share.setattr(nodeid, { valid: FATTR_MODE, mode: 0o100640 });
      const second = share.setattr(nodeid, { valid: FATTR_MODE | FATTR_FH, fh, mode: 0o104711 });

      expect([first.result, first.op.entry.attr.mode]).to.deep.equal([0, 0o100640]);
      expect([second.result, second.op.entry.attr.mode]).to.deep.equal([0, 0o104711]);
      expect(statSync(share.at('file')).mode).to.equal(0o104711);
      expect(share.setattr(ROOT, { valid: FATTR_MODE, mode: 0o711 }).op.entry.attr.mode).to.equal(0o40711);
    });

    it('changes sizes, with a handle and without', () => {
      using share = new TestShare({}, place);
      const nodeid = share.put('file', 'abcdef');
      const fh = share.fh(nodeid, O_RDWR);

      const first = share.setattr(nodeid, { valid: FATTR_SIZE, size: 3 });
      const second = share.setattr(nodeid, { valid: FATTR_SIZE | FATTR_FH, fh, size: 2 ** 33 });

      expect([first.result, first.op.entry.attr.size]).to.deep.equal([0, 3]);
      expect([second.result, second.op.entry.attr.size]).to.deep.equal([0, 2 ** 33]);
      expect(share.read(fh, 0, 4)).to.equal('abc\0');
    });

    it('sets times, keeps times, and takes the host time', () => {
      using share = new TestShare({}, place);
      const nodeid = share.put('file', '');
      const start = Math.floor(Date.now() / 1000);

      const set = share.setattr(nodeid, {
        valid: FATTR_ATIME | FATTR_MTIME,
        atimeLo: 1_234_567_890,
        atimeNs: 987_654_321,
        mtimeLo: 0xffff_fff6,
        mtimeHi: 0xffff_ffff,
        mtimeNs: 5,
      }).op.entry.attr;
      const kept = share.setattr(nodeid, { valid: FATTR_MTIME, mtimeLo: 7, mtimeNs: 0 }).op.entry.attr;
      const now = share.setattr(nodeid, { valid: FATTR_ATIME | FATTR_ATIME_NOW, atimeLo: 3 }).op.entry.attr;
      const both = share.setattr(nodeid, { valid: FATTR_MTIME_NOW }).op.entry.attr;

      expect([set.atime, set.atimeNs, set.mtime, set.mtimeNs]).to.deep.equal([1_234_567_890, 987_654_321, -10, 5]);
      expect([kept.atime, kept.atimeNs, kept.mtime]).to.deep.equal([1_234_567_890, 987_654_321, 7]);
      expect([now.atime >= start - 1, now.mtime]).to.deep.equal([true, 7]);
      expect(both.mtime >= start - 1).to.equal(true);
    });

    it('changes what a symbolic link itself has', () => {
      using share = new TestShare({}, place);
      writeFileSync(share.at('target'), '');
      symlinkSync('target', share.at('link'));
      const nodeid = share.node('link');
      const before = statSync(share.at('target'));

      expect(share.setattr(nodeid, { valid: FATTR_MTIME, mtimeLo: 99 }).op.entry.attr.mtime).to.equal(99);
      if (process.geteuid!() === 0) {
        expect(share.setattr(nodeid, { valid: FATTR_UID, uid: 1000 }).op.entry.attr.uid).to.equal(1000);
      }

      expect(statSync(share.at('target'))).to.include({ mtimeMs: before.mtimeMs, uid: before.uid });
    });
  });
}

describe('SETATTR', () => {
  checkLeaks();

  asRoot('changes owners one by one, and refuses the id that means "leave it"', () => {
    using share = new TestShare();
    const nodeid = share.put('file', '');

    share.setattr(nodeid, { valid: FATTR_UID, uid: 1000, gid: 5 });
    share.setattr(nodeid, { valid: FATTR_GID, uid: 5, gid: 1001 });

    expect(statSync(share.at('file'))).to.include({ uid: 1000, gid: 1001 });
    expect(share.setattr(nodeid, { valid: FATTR_UID, uid: 0xffff_ffff }).result).to.equal(-EINVAL);
    expect(share.setattr(nodeid, { valid: FATTR_GID, gid: 0xffff_ffff }).result).to.equal(-EINVAL);
  });

  it('stops at the first change that fails', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    const nodeid = share.put('file', 'abc');
    sys.failNext('file.fchmodat', EPERM);

    const { result } = share.setattr(nodeid, { valid: FATTR_MODE | FATTR_SIZE, mode: 0o600, size: 0 });

    expect(result).to.equal(-EPERM);
    expect(statSync(share.at('file')).size).to.equal(3);
  });

  it('gives sizes only to regular files, and passes on what the host says', () => {
    using share = new TestShare();
    const nodeid = share.put('file', '');
    const reader = share.fh(nodeid, O_RDONLY);

    expect(share.setattr(ROOT, { valid: FATTR_SIZE, size: 0 }).result).to.equal(-EISDIR);
    expect(share.setattr(nodeid, { valid: FATTR_SIZE, size: 2 ** 53 - 1 }).result).to.equal(-EFBIG);
    expect(share.setattr(nodeid, { valid: FATTR_SIZE | FATTR_FH, fh: reader, size: 0 }).result).to.equal(-EINVAL);
    expect(share.setattr(99, { valid: FATTR_MODE, mode: 0 }).result).to.equal(-EBADF);
  });

  it('leaves to the host what the host keeps: the change time', () => {
    using share = new TestShare();
    writeFileSync(share.at('file'), 'abc');

    const { result, op } = share.setattr(share.node('file'), { valid: FATTR_CTIME });

    expect([result, op.entry.attr.size]).to.deep.equal([0, 3]);
  });
});

describe('GETATTR', () => {
  checkLeaks();

  it('sees changes of the host', () => {
    using share = new TestShare();
    const nodeid = share.put('file', 'abc');
    truncateSync(share.at('file'), 1);
    chmodSync(share.at('file'), 0o600);

    const { attr } = share.getattr(nodeid, share.fh(nodeid)).op.entry;

    expect([attr.size, attr.mode]).to.deep.equal([1, 0o100600]);
  });

  it('tells a size beyond 2^53 as the largest exact one', function () {
    using share = new TestShare({}, '/dev/shm');
    try {
      execFileSync('truncate', ['-s', '9223372036854771712', share.at('huge')], { stdio: 'ignore' });
    } catch {
      this.skip();
    }

    const { result, op } = share.lookup('huge');

    expect([result, op.entry.attr.size]).to.deep.equal([0, Number.MAX_SAFE_INTEGER]);
    expect(lstatSync(share.at('huge'), { bigint: true }).size > 2n ** 53n).to.equal(true);
  });
});

describe('STATFS', () => {
  checkLeaks();

  it('tells what statfs tells', () => {
    using share = new TestShare();
    const out = { blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0, bsize: 0, namelen: 0, frsize: 0 };

    expect(share.fs.statfs(share.op(), ROOT, out)).to.equal(0);

    const host = statfsSync(share.path);
    expect(out).to.include({ blocks: host.blocks, files: host.files, bsize: host.bsize, namelen: 255 });
    expect(out.frsize).to.equal(host.bsize);
    expect(out.bavail).to.be.greaterThan(0).and.at.most(out.bfree);
    expect(share.fs.statfs(share.op(), 99, out)).to.equal(-EBADF);
  });
});
