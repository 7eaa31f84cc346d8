/** Ways in which stock QEMU would go wrong, each kept away from it: see docs/vmm/qemu.md. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  bootGuest,
  exec,
  type Guest,
  guestSuite,
  HostProcess as Host,
  type HostProcess,
  openDaxShare,
  orielDevice,
  startOrielFs,
} from '../index.ts';

describe('what stock QEMU is kept from', () => {
  const suite = guestSuite('dax-avoids');

  describe('several windows in one VM', () => {
    const backends: HostProcess[] = [];
    let dir: string;
    let guest: Guest;

    before(async () => {
      dir = suite.folder('several');
      const qemuArgs: string[] = [];
      for (const [tag, args] of [
        ['one', ['--max-mappings=192']],
        ['two', ['--max-mappings=192']],
        ['ro', ['--max-mappings=96', '--readonly']],
      ] as const) {
        const sharedDir = join(dir, tag);
        mkdirSync(sharedDir);
        writeFileSync(join(sharedDir, 'data'), randomBytes(48 << 20));
        const socketPath = join(dir, `${tag}.sock`);
        const window = tag === 'ro' ? '64M' : '128M';
        backends.push(await startOrielFs({ socketPath, sharedDir, tag, window, args }));
        qemuArgs.push(...orielDevice(socketPath, tag));
      }
      guest = await bootGuest({ environment: suite.environment, qemuArgs });
      await guest.ok('for t in one two ro; do mkdir -p /$t && mount -t virtiofs $t /$t; done');
    });
    after(async () => {
      await guest?.close();
      for (const backend of backends) await backend.stop();
    });

    it('serves them at the same time, their mappings in one memory table', async () => {
      await guest.ok('(mapcheck /one/data & mapcheck /two/data & wait) && mapcheck /one/data && mapcheck /two/data');
      await guest.ok('mapstore /one/data 40000000 both && cmp /one/data /one/data');
      expect(readFileSync(join(dir, 'one/data')).toString('latin1', 40_000_000, 40_000_004)).to.equal('both');
    });

    it('gives no file of a read-only share DAX, since QEMU would map it writable', async () => {
      expect(await guest.ok('statx /ro/data')).to.match(/dax=0/);
      await guest.ok('mapcheck /ro/data');
      expect((await guest.run('echo x >>/ro/data')).output).to.match(/read-only/i);
      await guest.ok('umount /ro');
      expect((await guest.run('mount -t virtiofs -o dax=always ro /ro')).output).to.match(/invalid argument/i);
    });

    it('unmounts and mounts each without disturbing the others', async () => {
      await guest.ok('umount /one && mapcheck /two/data && mount -t virtiofs one /one && mapcheck /one/data');
    });
  });

  describe('files that are not to be mapped', () => {
    it('leaves a file that the host emptied empty, where QEMU would lengthen it', async () => {
      const dir = suite.folder('emptied');
      await using share = await openDaxShare({ environment: suite.environment, dir, args: ['--cache=always'] });
      const path = join(share.hostDir, 'emptied');
      writeFileSync(path, randomBytes(4 << 20));
      // The guest keeps its size, and asks for a mapping of what is not there any more.
      await share.guest.ok('mount -t virtiofs -o dax=always share /mnt && stat /mnt/emptied');
      truncateSync(path, 0);
      expect((await share.guest.run('cat /mnt/emptied >/dev/null')).code).to.not.equal(0);
      expect(statSync(path).size).to.equal(0);
      expect(await share.guest.qmp('query-status')).to.have.property('running', true);
      await share.guest.ok('umount /mnt');
    });

    it('reads a program that the host runs, which cannot be opened for writing', async () => {
      const dir = suite.folder('running');
      await using share = await openDaxShare({ environment: suite.environment, dir });
      const program = join(share.hostDir, 'sleep');
      writeFileSync(program, Buffer.concat([readFileSync('/bin/sleep'), Buffer.alloc(2 << 20)]), { mode: 0o755 });
      truncateSync(program, 2 << 20);
      await using running = Host.start([program, '1000'], { name: 'a running program' });
      await share.guest.ok('mount -t virtiofs share /mnt');
      expect(await share.guest.ok('statx /mnt/sleep')).to.match(/dax=0/);
      const sum = (await exec(['sha256sum', program])).split(' ')[0];
      expect(await share.guest.ok('sha256sum </mnt/sleep')).to.equal(`${sum}  -`);
      expect(running.alive).to.equal(true);
      await share.guest.ok('umount /mnt');
    });
  });

  it('upgrades a mapping from reading to writing without a second one', async () => {
    const dir = suite.folder('upgrade');
    await using share = await openDaxShare({ environment: suite.environment, dir });
    const path = join(share.hostDir, 'file');
    writeFileSync(path, Buffer.alloc(2 << 20));
    await share.guest.ok('mount -t virtiofs share /mnt && mapread /mnt/file 0 1 >/dev/null && mapstore /mnt/file 5 W');
    expect(readFileSync(path)[5]).to.equal('W'.charCodeAt(0));
    await share.guest.ok('umount /mnt');
  });
});
