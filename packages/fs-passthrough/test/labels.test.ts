/** Labels that inodes have from their birth on. */
import { existsSync, readdirSync } from 'node:fs';
import { EOPNOTSUPP, EPERM, O_RDWR, openSys, S_IFIFO } from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { DrivenShare } from './support/driven-share.ts';
import { checkLeaks } from './support/leaks.ts';
import { ROOT } from './support/share.ts';

const LABEL = { name: 'security.selinux', value: Buffer.from('u:r:t:s0\0') };

/** The attribute of a host's file, by the system call itself. */
function hostValue(path: string, name: string): string | number {
  const value = Buffer.alloc(100);
  const len = openSys().file.getxattr(Buffer.from(`${path}\0`), Buffer.from(`${name}\0`), value, value.length);
  return len < 0 ? len : value.toString('latin1', 0, len);
}

describe('security labels', () => {
  checkLeaks();

  it('come with all that is made', function () {
    using driven = new DrivenShare({ securityLabel: true });
    const { driver, share } = driven;
    const { request } = driver;
    request.security = LABEL;
    const made = driver.call(request.mkdir(ROOT, 'dir', 0o755));
    if (made.error === EPERM || made.error === EOPNOTSUPP) {
      console.log('      SKIPPED, security attributes cannot be set here');
      this.skip();
    }
    expect(driver.call(request.mknod(ROOT, 'fifo', S_IFIFO | 0o600)).error).to.equal(0);
    const { fh } = driver.call(request.create(ROOT, 'file', O_RDWR, 0o600));
    expect(fh).to.be.greaterThan(0);
    for (const name of ['dir', 'fifo', 'file']) {
      expect(hostValue(share.at(name), LABEL.name), name).to.equal(LABEL.value.toString('latin1'));
    }
    const nameless = driver.call(request.tmpfile(ROOT, O_RDWR, 0o600));
    const { nodeid } = nameless.readEntry();
    expect(driver.call(request.getxattr(nodeid, LABEL.name, 100)).data).to.deep.equal(new Uint8Array(LABEL.value));
    request.security = null;
    expect(driver.call(request.symlink(ROOT, 'link', 'file')).error).to.equal(0);
    expect(driver.call(request.setxattr(nodeid, LABEL.name, Buffer.from('other'))).error, 'relabelled').to.equal(0);
  });

  it('go under the name that a rule gives them', function () {
    using driven = new DrivenShare({ securityLabel: true, xattrMap: ':map:security.:user.virtiofs.:' });
    const { driver, share } = driven;
    driver.request.security = LABEL;
    const { error } = driver.call(driver.request.mkdir(ROOT, 'dir', 0o755));
    if (error === EOPNOTSUPP) {
      console.log('      SKIPPED, the temporary directory has no user attributes');
      this.skip();
    }
    expect(error).to.equal(0);
    expect(hostValue(share.at('dir'), 'user.virtiofs.security.selinux')).to.equal(LABEL.value.toString('latin1'));
  });

  it('that cannot be had undo what was made', () => {
    const sys = mockSys();
    using driven = new DrivenShare({ sys, securityLabel: true });
    const { driver, share } = driven;
    const { request } = driver;
    request.security = LABEL;
    for (const one of [
      () => request.mkdir(ROOT, 'dir', 0o755),
      () => request.mknod(ROOT, 'fifo', S_IFIFO | 0o600),
      () => request.symlink(ROOT, 'link', 'x'),
      () => request.create(ROOT, 'file', O_RDWR, 0o600),
      () => request.tmpfile(ROOT, O_RDWR, 0o600),
    ]) {
      sys.failNext('file.setxattr', EOPNOTSUPP);
      expect(driver.call(one()).error).to.equal(EOPNOTSUPP);
    }
    expect(readdirSync(share.path)).to.deep.equal([]);
    expect(share.fs.stats).to.include({ inodes: 1, handles: 0 });
  });

  it('of other attributes than labels are refused, and of none at all without the option', () => {
    using labelled = new DrivenShare({ securityLabel: true });
    for (const name of ['security.ima', 'trusted.x', 'system.posix_acl_access']) {
      labelled.driver.request.security = { name, value: LABEL.value };
      expect(labelled.driver.call(labelled.driver.request.mkdir(ROOT, 'dir', 0o755)).error, name).to.be.oneOf([
        EPERM,
        EOPNOTSUPP,
      ]);
      expect(existsSync(labelled.share.at('dir'))).to.equal(false);
    }
    using plain = new DrivenShare({ xattr: true });
    plain.driver.request.security = LABEL;
    expect(plain.driver.call(plain.driver.request.mkdir(ROOT, 'dir', 0o755)).error).to.equal(EOPNOTSUPP);
  });
});
