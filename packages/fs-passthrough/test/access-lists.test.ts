/** POSIX access lists and the umask, beside what the host's own programs make. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { FUSE_DONT_MASK, FUSE_POSIX_ACL, FUSE_SETXATTR_ACL_KILL_SGID } from '@oriel/fuse';
import { EOPNOTSUPP, O_RDWR, S_IFREG } from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { DrivenShare } from './support/driven-share.ts';
import { checkLeaks } from './support/leaks.ts';
import { ROOT } from './support/share.ts';

const ACCESS = 'system.posix_acl_access';
const DEFAULT = 'system.posix_acl_default';
const NO_ID = 0xffff_ffff;

/** Linux's version 2: tag, permissions, id each. */
function accessList(...entries: readonly (readonly [tag: number, perm: number, id?: number])[]): Uint8Array {
  const bytes = new Uint8Array(4 + 8 * entries.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 2, true);
  entries.forEach(([tag, perm, id = NO_ID], index) => {
    view.setUint16(4 + 8 * index, tag, true);
    view.setUint16(6 + 8 * index, perm, true);
    view.setUint32(8 + 8 * index, id, true);
  });
  return bytes;
}

const USER_1000 = accessList([0x1, 7], [0x2, 6, 1000], [0x4, 5], [0x10, 7], [0x20, 1]);
const mode = (path: string): string => (statSync(path).mode & 0o7777).toString(8);

describe('access lists', () => {
  checkLeaks();
  let umask = 0;
  before(() => {
    umask = process.umask(0);
  });
  after(() => process.umask(umask));

  it('are agreed, set, read and listed', function () {
    using driven = new DrivenShare({ posixAcl: true });
    const { driver, share } = driven;
    const { request } = driver;
    writeFileSync(share.at('file'), '');
    const nodeid = driven.node('file');
    const { flagsLo } = driver.init().readInit();
    expect(flagsLo & (FUSE_POSIX_ACL | FUSE_DONT_MASK)).to.equal(FUSE_POSIX_ACL | FUSE_DONT_MASK);
    const again = driven.node('file');
    expect(again).not.to.equal(nodeid);
    if (driver.call(request.setxattr(again, ACCESS, USER_1000)).error === EOPNOTSUPP) {
      console.log('      SKIPPED, the temporary directory has no access lists');
      this.skip();
    }
    expect(mode(share.at('file'))).to.equal('771');
    expect(Buffer.from(driver.call(request.getxattr(again, ACCESS, 100)).data)).to.deep.equal(Buffer.from(USER_1000));
    expect(Buffer.from(driver.call(request.listxattr(again, 100)).data).toString()).to.equal(`${ACCESS}\0`);
    expect(driver.call(request.removexattr(again, ACCESS)).error).to.equal(0);
  });

  it('are hidden where they were not agreed', () => {
    using driven = new DrivenShare({ posixAcl: true });
    const { driver, share } = driven;
    const { request } = driver;
    writeFileSync(share.at('file'), '');
    driver.call(request.setxattr(driven.node('file'), ACCESS, USER_1000));
    driver.call(request.init({ flagsLo: 0x7fff_fffb & ~FUSE_POSIX_ACL }));
    const nodeid = driven.node('file');
    expect(driver.call(request.getxattr(nodeid, ACCESS, 100)).error).to.equal(EOPNOTSUPP);
    expect(driver.call(request.listxattr(nodeid, 100)).data).to.have.length(0);
  });

  it('and the umask make of a mode what they make of it on the host', () => {
    using driven = new DrivenShare({ posixAcl: true });
    const { driver, share } = driven;
    const { request } = driver;
    for (const name of ['plain', 'listed']) mkdirSync(share.at(name));
    driver.call(request.setxattr(driven.node('listed'), DEFAULT, USER_1000));
    for (const name of ['plain', 'listed']) {
      const path = share.at(name);
      const nodeid = driven.node(name);
      const made = (what: string): string => `${what} ${mode(`${path}/made`)}`;
      const host = (command: string): string => {
        execFileSync('sh', ['-c', `umask 027; ${command}`], { cwd: path });
        const result = made(command.split(' ')[0]!);
        rmSync(`${path}/made`, { recursive: true });
        return result;
      };
      const guest = (what: string, error: number): string => {
        expect(error, what).to.equal(0);
        const result = made(what);
        rmSync(`${path}/made`, { recursive: true });
        return result;
      };
      expect(guest('touch', driver.call(request.create(nodeid, 'made', O_RDWR, 0o666, 0o027)).error)).to.equal(
        host('touch made'),
      );
      expect(guest('mkdir', driver.call(request.mkdir(nodeid, 'made', 0o777, 0o027)).error)).to.equal(
        host('mkdir made'),
      );
      expect(guest('mkfifo', driver.call(request.mknod(nodeid, 'made', 0o10666, 0, 0o027)).error)).to.equal(
        host('mkfifo made'),
      );
    }
    writeFileSync(share.at('after'), '');
    expect(mode(share.at('after')), 'the umask is as it was').to.equal('666');
  });

  it('take the set-group-ID bit away when the driver asks for it', () => {
    using driven = new DrivenShare({ posixAcl: true });
    const { driver, share } = driven;
    const { request } = driver;
    writeFileSync(share.at('file'), '');
    chownSync(share.at('file'), 1000, 1001);
    chmodSync(share.at('file'), 0o2770);
    const nodeid = driven.node('file');
    expect(driver.call(request.setxattr(nodeid, ACCESS, USER_1000)).error).to.equal(0);
    expect(mode(share.at('file'))).to.equal('2771');
    expect(driver.call(request.setxattr(nodeid, ACCESS, USER_1000, 0, FUSE_SETXATTR_ACL_KILL_SGID)).error).to.equal(0);
    expect(mode(share.at('file'))).to.equal('771');
  });

  it('have the thread leave the others for its umask, if it may', () => {
    for (const [options, times] of [
      [{ posixAcl: true }, 1],
      [{ posixAcl: true, sharedUmask: true }, 0],
      [{}, 0],
    ] as const) {
      const sys = mockSys();
      using driven = new DrivenShare({ sys, ...options });
      expect(sys.count('cred.unshare')).to.equal(times);
      expect(driven.driver.call(driven.driver.request.mkdir(ROOT, 'dir', 0o777, 0o027)).error).to.equal(0);
      expect(mode(driven.share.at('dir'))).to.equal('posixAcl' in options ? '750' : '777');
      expect(process.umask()).to.equal(0);
    }
  });

  it('without the option leave the umask to the driver', () => {
    using driven = new DrivenShare({ xattr: true });
    const { driver, share } = driven;
    expect(driver.call(driver.request.mknod(ROOT, 'made', S_IFREG | 0o666, 0, 0o077)).error).to.equal(0);
    expect(mode(share.at('made'))).to.equal('666');
  });
});
