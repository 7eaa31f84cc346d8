/** Options of `oriel fs` as a Linux guest sees them: a file's birth and attributes, access lists and umask, other ids. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { bootGuest, type Guest, guestSuite, type HostProcess, orielDevice, startOrielFs } from '../index.ts';

describe('oriel fs with options of virtiofsd, in a guest', () => {
  const suite = guestSuite('fs-options');
  let backend: HostProcess;
  let guest: Guest;
  let sharedDir: string;

  before(async function () {
    this.timeout(120_000);
    const dir = suite.folder('options');
    sharedDir = join(dir, 'share');
    mkdirSync(sharedDir);
    writeFileSync(join(sharedDir, 'file'), 'some text');
    const socketPath = join(dir, 'fs.sock');
    const args = ['--xattr', '--posix-acl', '--writeback', '--security-label', '--killpriv-v2', '--allow-direct-io'];
    backend = await startOrielFs({ socketPath, sharedDir, window: '0', args, stateDir: suite.folder('state') });
    guest = await bootGuest({
      environment: suite.environment,
      memoryMiB: 384,
      smp: 1,
      qemuArgs: orielDevice(socketPath),
    });
    await guest.ok('mount -t virtiofs share /mnt');
  });
  after(async () => {
    await guest?.close();
    await backend?.stop();
  });

  it("shows a file's birth and attributes, and sets those that are its own affair", async () => {
    const file = join(sharedDir, 'file');
    const birth = Math.floor(statSync(file).birthtimeMs / 1000);
    const before = (await guest.ok('fileflags /mnt/file')).trim().split(' ');
    expect(before[0]).to.equal(String(birth));
    const [, flags, extended] = (await guest.ok('fileflags /mnt/file +40')).trim().split(' ');
    expect(Number.parseInt(flags!, 16) & 0x40, 'FS_NODUMP_FL').to.equal(0x40);
    expect(Number.parseInt(extended!, 16) & 0x80, 'FS_XFLAG_NODUMP').to.equal(0x80);
    expect(execFileSync('lsattr', [file], { encoding: 'utf8' }).split(' ')[0]).to.include('d');
    expect(await guest.ok('fileflags /mnt/file +10 2>&1 || true')).to.include('Operation not permitted');
  });

  it('writes what is kept in its cache, with its times', async () => {
    await guest.ok('echo cached > /mnt/new && touch -d @1000000 /mnt/new && sync /mnt/new');
    const { mtimeMs, size } = statSync(join(sharedDir, 'new'));
    expect([mtimeMs, size]).to.deep.equal([1_000_000_000, 7]);
    await guest.ok('echo more >> /mnt/new && sync /mnt/new');
    expect(statSync(join(sharedDir, 'new')).size).to.equal(12);
  });

  it('makes files with the umask of its callers', async () => {
    await guest.ok('umask 027; touch /mnt/masked; mkdir /mnt/masked-dir; mkfifo /mnt/masked-fifo');
    const modes = ['masked', 'masked-dir', 'masked-fifo'].map((name) => statSync(join(sharedDir, name)).mode & 0o777);
    expect(modes).to.deep.equal([0o640, 0o750, 0o640]);
  });

  it('does not know other ioctls', async () => {
    expect(await guest.ok('stty -F /mnt/file 2>&1 || true')).to.include('Inappropriate ioctl for device');
  });
});
