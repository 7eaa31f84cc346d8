/** What a VM goes through: pause, unmount, reboot, shutdown, a back-end that dies, a root file system on the window. */
import { randomBytes } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  bootGuest,
  buildRootTree,
  compareTrees,
  describeGuestTree,
  describeTree,
  exec,
  FILE_CHECKS,
  guestSuite,
  openDaxShare,
  orielDevice,
  startOrielFs,
  vhostUserFs,
} from '../index.ts';

describe('the life of a share under stock QEMU', () => {
  const suite = guestSuite('dax-life');

  it('survives pause and resume with live mappings, unmount, mount, reboot and shutdown', async () => {
    const dir = suite.folder('life');
    await using share = await openDaxShare({ environment: suite.environment, dir, boot: { mayReboot: true } });
    const { guest, hostDir } = share;
    for (const name of ['one', 'two', 'three']) writeFileSync(join(hostDir, name), randomBytes(6 << 20));
    await guest.ok('mount -t virtiofs -o dax=always share /mnt && mapcheck /mnt/one');

    for (let round = 0; round < 3; round++) {
      await guest.qmp('stop');
      expect(await guest.qmp('query-status')).to.have.property('running', false);
      await guest.qmp('cont');
      await guest.ok(`mapcheck /mnt/one && mapstore /mnt/one ${round} z && mapcheck /mnt/two`);
    }
    await guest.ok(
      'umount /mnt && mount -t virtiofs share /mnt && mapcheck /mnt/one && mapcheck /mnt/three && umount /mnt',
    );

    await guest.reboot();
    await guest.ok(
      'mount -t virtiofs -o dax=always share /mnt && mapcheck /mnt/one && mapcheck /mnt/three && umount /mnt',
    );
    expect(await guest.poweroff()).to.deep.equal({ code: 0, signal: null });
    expect(share.backend.alive).to.equal(true);

    await using again = await bootGuest({ environment: suite.environment, qemuArgs: orielDevice(share.socketPath) });
    await again.ok('mount -t virtiofs share /mnt && mapcheck /mnt/two && umount /mnt');
    expect(await again.poweroff()).to.have.property('code', 0);
  });

  it('leaves QEMU alive when the back-end is killed, and serves the next QEMU at once', async () => {
    const dir = suite.folder('killed');
    await using share = await openDaxShare({ environment: suite.environment, dir });
    writeFileSync(join(share.hostDir, 'file'), randomBytes(4 << 20));
    await share.guest.ok('mount -t virtiofs -o dax=always share /mnt && mapcheck /mnt/file');
    share.backend.kill('SIGKILL');
    await share.backend.waitExit();
    expect(await share.guest.qmp('query-status')).to.have.property('running', true);
    await share.guest.ok('echo still here');

    const { socketPath, hostDir } = share;
    await using next = await startOrielFs({ socketPath, sharedDir: hostDir, window: '256M' });
    await using guest = await bootGuest({ environment: suite.environment, qemuArgs: orielDevice(socketPath) });
    await guest.ok('mount -t virtiofs -o dax=always share /mnt && mapcheck /mnt/file');
    expect(next.alive).to.equal(true);
    const exit = await next.stop();
    expect(exit).to.deep.equal({ code: 0, signal: null });
  });

  for (const [flags, files] of [
    [undefined, 20_000],
    ['dax=always', 90],
  ] as const) {
    it(`boots with its root on the window (${flags ?? 'default options'}) and unpacks ${files} files`, async function () {
      this.timeout(900_000);
      const dir = suite.folder('root');
      const root = join(dir, 'share');
      await buildRootTree(suite.environment, root, { kind: 'small' });
      const source = join(dir, 'source');
      makeTree(source, files);
      await exec(['tar', '-C', dir, '-cf', join(root, 'tree.tar'), 'source']);
      const dax = flags === undefined ? {} : { flags };
      // Programs stay off window ranges that are used again, as TCG runs stale code then: the 128 ranges hold them all.
      const args = flags === undefined ? [] : ['--dax-tail=grow'];
      await using share = await openDaxShare({
        environment: suite.environment,
        dir,
        args,
        boot: { root: { tag: 'share', ...dax } },
      });
      expect(await share.guest.ok('grep " / " /proc/mounts')).to.match(/^share \/ virtiofs rw/m);
      await share.guest.ok('cd /root && tar -xf /tree.tar && sync', { timeoutMs: 480_000 });
      const onHost = describeTree(join(root, 'root/source'));
      expect(onHost.size).to.be.greaterThan(files);
      // busybox tar gives a symbolic link the time of its unpacking.
      expect(compareTrees(describeTree(source), onHost, ['mtime'])).to.deep.equal([]);
      expect(compareTrees(await describeGuestTree(share.guest, '/root/source', 300_000), onHost)).to.deep.equal([]);
      expect(await share.guest.poweroff()).to.have.property('code', 0);
    });
  }

  describe('without a window, as vhost-user-fs-pci', () => {
    it('passes the file checks', async () => {
      const dir = suite.folder('plain');
      const hostDir = join(dir, 'share');
      await exec(['mkdir', hostDir]);
      const socketPath = join(dir, 'share.sock');
      await using backend = await startOrielFs({ socketPath, sharedDir: hostDir, window: '0' });
      await using guest = await bootGuest({
        environment: suite.environment,
        qemuArgs: vhostUserFs(socketPath, 'share'),
      });
      await guest.ok('mount -t virtiofs share /mnt');
      for (const check of FILE_CHECKS) await check.run({ guest, mountpoint: '/mnt', hostDir });
      await guest.ok('umount /mnt');
      expect(await guest.poweroff()).to.have.property('code', 0);
      expect(backend.alive).to.equal(true);
    });
  });
});

/** Folders of 100 files of 0 to 3999 bytes, with links and odd modes. */
function makeTree(dir: string, files: number): void {
  mkdirSync(dir);
  for (let n = 0; n < files; n++) {
    const folder = join(dir, `dir${Math.floor(n / 100)}`);
    if (n % 100 === 0) mkdirSync(folder);
    writeFileSync(join(folder, `file${n}`), Buffer.alloc((n * 37) % 4000, 65 + (n % 26)));
  }
  symlinkSync('dir0/file1', join(dir, 'link'));
  linkSync(join(dir, 'dir0/file2'), join(dir, 'hard'));
  chmodSync(join(dir, 'dir0/file3'), 0o600);
  chmodSync(join(dir, 'dir0/file4'), 0o4755);
}
