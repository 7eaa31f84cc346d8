/** Proves the harness with peers only: stock QEMU, stock Linux, virtiofsd. Nothing of Oriel's devices is in here. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  bootGuest,
  buildRootTree,
  FILE_CHECKS,
  type Guest,
  type GuestEnvironment,
  GuestError,
  guestUnsupported,
  type HostProcess,
  setupGuest,
  startVirtiofsd,
  vhostUserFs,
} from '../index.ts';

describe('the guest harness, with virtiofsd', () => {
  let environment: GuestEnvironment;
  let dir: string;

  before(async function () {
    this.timeout(600_000);
    const reason = guestUnsupported();
    if (reason !== undefined) {
      process.stderr.write(`GUEST SUITE SKIPPED: ${reason}\n`);
      this.skip();
    }
    environment = await setupGuest();
    dir = mkdtempSync(join(tmpdir(), 'oriel-baseline-'));
  });

  after(() => {
    if (dir !== undefined) rmSync(dir, { recursive: true, force: true });
  });

  describe('a mounted share', () => {
    let daemon: HostProcess;
    let guest: Guest;
    let share: string;

    before(async () => {
      share = join(dir, 'share');
      mkdirSync(share);
      const socketPath = join(dir, 'share.sock');
      daemon = await startVirtiofsd(environment, { socketPath, sharedDir: share });
      guest = await bootGuest({ environment, qemuArgs: vhostUserFs(socketPath, 'share') });
      await guest.ok('mount -t virtiofs share /mnt');
    });

    after(async () => {
      await guest?.close();
      await daemon?.stop();
    });

    it('reads a random file of the host with the same checksum', async () => {
      const data = randomBytes(3_000_000);
      writeFileSync(join(share, 'random'), data);
      const sum = createHash('sha256').update(data).digest('hex');
      expect(await guest.ok('sha256sum </mnt/random')).to.equal(`${sum}  -`);
    });

    it('writes a file that the host sees', async () => {
      await guest.ok('echo from the guest >/mnt/written');
      expect(readFileSync(join(share, 'written'), 'utf8')).to.equal('from the guest\n');
    });

    for (const check of FILE_CHECKS) {
      it(check.name, () => check.run({ guest, mountpoint: '/mnt', hostDir: share }));
    }

    it('tells the status, the output and the end of a command', async () => {
      expect(await guest.run('echo one; echo two >&2; exit 7')).to.deep.equal({ code: 7, output: 'one\ntwo' });
      expect(await guest.run('syntax ( error')).to.have.property('code', 2);
      expect((await guest.run(`echo ${'x'.repeat(9000)} | wc -c`)).output).to.equal('9001');
      expect(await guest.qmp('query-status')).to.have.property('running', true);
    });

    it('refuses a QMP command that QEMU does not have', async () => {
      const error = await guest.qmp('no-such-command').then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).to.be.instanceOf(GuestError).with.property('code', 'ERR_GUEST_QMP');
    });

    it('unmounts and powers off', async () => {
      await guest.ok('umount /mnt');
      expect(await guest.poweroff()).to.deep.equal({ code: 0, signal: null });
      expect(guest.alive).to.equal(false);
      expect(guest.consoleLog()).to.include('Linux version');
      expect(await daemon.waitExit(10_000)).to.deep.equal({ code: 0, signal: null });
    });
  });

  describe('a root on the share', () => {
    for (const kind of ['small', 'trixie'] as const) {
      it(`boots from a ${kind} tree without an initramfs`, async () => {
        const root = join(dir, `root-${kind}`);
        await buildRootTree(environment, root, { kind });
        const socketPath = join(dir, `root-${kind}.sock`);
        await using daemon = await startVirtiofsd(environment, { socketPath, sharedDir: root });
        await using guest = await bootGuest({
          environment,
          qemuArgs: vhostUserFs(socketPath, 'rootfs'),
          root: { tag: 'rootfs' },
        });
        expect(await guest.ok('grep " / " /proc/mounts')).to.match(/^rootfs \/ virtiofs rw/m);
        await guest.ok('echo kept >/root/file');
        if (kind === 'trixie') expect(await guest.ok(`bash -c 'perl -e "print 6*7"'`)).to.equal('42');
        expect(await guest.poweroff()).to.have.property('code', 0);
        expect(readFileSync(join(root, 'root/file'), 'utf8')).to.equal('kept\n');
        expect((await daemon.waitExit()).code).to.equal(0);
      });
    }
  });

  describe('failures', () => {
    it('reports what QEMU said when it refuses its arguments', async () => {
      const error = await bootGuest({ environment, qemuArgs: ['-device', 'no-such-device'] }).catch(
        (reason: unknown) => reason,
      );
      expect(error).to.be.instanceOf(GuestError).with.property('code', 'ERR_GUEST_EXITED');
      expect((error as Error).message).to.include('no-such-device');
    });

    it('reports a panic with the console, and leaves nothing running', async () => {
      const error = await bootGuest({ environment, root: { tag: 'absent' } }).catch((reason: unknown) => reason);
      expect(error).to.be.instanceOf(GuestError).with.property('code', 'ERR_GUEST_EXITED');
      expect((error as Error).message).to.include('panic');
    });
  });
});
