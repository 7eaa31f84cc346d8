/** A share whose back-end is shut in, under stock QEMU: any system call that is not on the list ends it. */
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { O_ACCMODE, O_RDWR, openSys } from '@oriel/sys';
import { canGuard, canSandbox } from '@oriel/sys/testing';
import { expect } from 'chai';
import {
  complaints,
  type DaxShare,
  guestSuite,
  openDaxShare,
  ServedProbe,
  startOrielFs,
  vhostUserFs,
} from '../index.ts';

/** `Seccomp:` of /proc/PID/status: filters are loaded (proc_pid_status(5)). */
const FILTERED = '2';

/** What its options are worth a word for. */
const EXPECTED = /--dax-unguarded|dax-tail copy|another process may not truncate/;

const SANDBOXES = {
  'namespaces, inodes by descriptor, Landlock': ['--inode-file-handles=never', '--xattr'],
  'namespaces, inodes by file handle': ['--sandbox=namespace', '--inode-file-handles=prefer', '--posix-acl'],
  chroot: ['--sandbox=chroot', '--dax-tail=copy'],
};

/** Files below a directory that a process has open, and how: their path and access mode (proc_pid_fdinfo(5)). */
function openFiles(pid: number, directory: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    const path = readlinkSync(`/proc/${pid}/fd/${fd}`);
    if (path.startsWith(directory)) {
      const flags = /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))![1]!;
      found.set(path, Number.parseInt(flags, 8) & O_ACCMODE);
    }
  }
  return found;
}

describe('a share from a sandbox', () => {
  const suite = guestSuite('sandbox');

  for (const [name, sandbox] of Object.entries(SANDBOXES)) {
    describe(name, () => {
      let dir: string;
      let share: DaxShare;
      let pid: number;

      before(async function () {
        if (process.getuid?.() !== 0 || !canSandbox()) {
          process.stderr.write('SANDBOX SUITE SKIPPED: these modes take root\n');
          this.skip();
        }
        dir = suite.folder('share');
        const args = [...sandbox, '--seccomp=kill', '--flock', '--posix-lock'];
        share = await openDaxShare({ environment: suite.environment, dir, args });
        writeFileSync(join(share.hostDir, 'host'), Buffer.alloc(8 << 20, 'of the host '));
        pid = share.backend.pid;
        await share.guest.ok('mount -t virtiofs share /mnt');
      });
      after(() => share?.[Symbol.asyncDispose]());

      it('is closed while the guest has it mounted', () => {
        expect(readlinkSync(`/proc/${pid}/cwd`)).to.equal(readlinkSync(`/proc/${pid}/root`));
        for (const task of readdirSync(`/proc/${pid}/task`)) {
          const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8');
          expect(/^Seccomp:\s+(\d)$/m.exec(status)?.[1]).to.equal(FILTERED);
          expect(/^NoNewPrivs:\s+(\d)$/m.exec(status)?.[1]).to.equal('1');
        }
      });

      it('reads, by read() and through the window', async () => {
        const sum = await share.guest.ok('sha256sum </mnt/host');
        expect(await share.guest.ok('mapcat /mnt/host | sha256sum')).to.equal(sum);
        const stats = readFileSync(join(share.hostDir, 'host'));
        expect(stats).to.have.length(8 << 20);
      });

      it('writes, renames, links, locks, and takes away', async () => {
        const { guest, hostDir } = share;
        await guest.ok('mkdir /mnt/dir && echo one >/mnt/dir/a && mv /mnt/dir/a /mnt/b && ln /mnt/b /mnt/dir/c');
        expect(readFileSync(join(hostDir, 'dir/c'), 'utf8')).to.equal('one\n');
        await guest.ok('ln -s b /mnt/link && [ "$(cat /mnt/link)" = one ] && mkfifo /mnt/fifo && chmod 600 /mnt/b');
        await guest.ok('chown 12:34 /mnt/b && touch -d @1000000000 /mnt/b && : >/mnt/dir/c && sync');
        expect(await guest.ok('stat -c "%u %g %a %s" /mnt/b')).to.equal('12 34 600 0');
        const locks = await ServedProbe.start(guest, 'locks', ['/mnt/b']);
        expect([await locks.ask('set w 0 0'), await locks.ask('flock w')]).to.deep.equal([['got'], ['got']]);
        await locks.quit();
        await guest.ok('truncate -s 100000 /mnt/b && fallocate -l 200000 /mnt/b');
        await guest.ok('cp /mnt/host /mnt/copy && cmp /mnt/host /mnt/copy && df /mnt && ls -lR /mnt');
        await guest.ok('rm -r /mnt/dir /mnt/b /mnt/link /mnt/fifo /mnt/copy');
        expect(readdirSync(hostDir)).to.deep.equal(['host']);
      });

      it('guards what the guest has mapped, although it could not itself', async function () {
        if (!canGuard(openSys(), share.hostDir)) this.skip();
        await share.guest.ok(
          'umount /mnt && mount -t virtiofs -o dax=always share /mnt && mapcat /mnt/host >/dev/null',
        );
        const path = join(share.hostDir, 'host');
        // In the middle of a range that can only be unmapped whole.
        expect(() => truncateSync(path, (2 << 20) + 4096))
          .to.throw()
          .with.property('code', 'ETXTBSY');
        truncateSync(path, 4 << 20);
        await share.guest.ok('umount /mnt && mount -t virtiofs share /mnt');
        expect(await share.guest.ok('stat -c %s /mnt/host')).to.equal(String(4 << 20));
        expect(share.guest.alive).to.equal(true);
      });

      it('makes files for any user of the guest', async () => {
        await share.guest.ok('mkdir -m 777 /mnt/open && echo "some:x:1234:1234::/:/bin/sh" >>/etc/passwd');
        await share.guest.ok('su some -c "echo x >/mnt/open/mine"');
        expect(await share.guest.ok('stat -c %u:%g /mnt/open/mine')).to.equal('1234:1234');
        await share.guest.ok('rm -r /mnt/open');
      });

      it('is unmounted, and ends without a trace', async () => {
        await share.guest.ok('umount /mnt');
        expect(complaints(share.backend).filter((line) => !EXPECTED.test(line))).to.deep.equal([]);
        share.backend.kill('SIGTERM');
        expect(await share.backend.waitExit(5000)).to.deep.equal({ code: 0, signal: null });
        expect(existsSync(share.socketPath)).to.equal(false);
        expect(readFileSync('/proc/self/mountinfo', 'utf8')).to.not.include(dir);
        expect(readdirSync(dir)).to.deep.equal(['share']);
      });
    });
  }

  describe('beside a neighbour', () => {
    it('has the files that the guest maps handed to it by QEMU, whatever its sandbox is', async function () {
      if (process.getuid?.() !== 0 || !canSandbox()) this.skip();
      const dir = suite.folder('two');
      const other = { socketPath: join(dir, 'other.sock'), sharedDir: join(dir, 'other') };
      mkdirSync(other.sharedDir);
      const neighbour = await startOrielFs({ ...other, tag: 'other', window: '0', args: ['--sandbox=namespace'] });
      try {
        const boot = { qemuArgs: vhostUserFs(other.socketPath, 'other', 'other') };
        await using share = await openDaxShare({
          environment: suite.environment,
          dir,
          args: ['--sandbox=namespace', '--dax-unguarded'],
          boot,
        });
        const path = join(share.hostDir, 'mapped');
        writeFileSync(path, Buffer.alloc(4 << 20, 'x'));
        writeFileSync(join(share.hostDir, 'never'), Buffer.alloc(4 << 20, 'y'));
        const handed = (): Map<string, number> => openFiles(neighbour.pid, `${share.hostDir}/`);
        await share.guest.ok(
          'mkdir /other && mount -t virtiofs other /other && mount -t virtiofs -o dax=always share /mnt',
        );
        expect(handed()).to.deep.equal(new Map());
        await share.guest.ok('mapcat /mnt/mapped | cmp - /mnt/mapped');
        // A request of the other device, so that it has had its messages.
        await share.guest.ok('ls /other');
        expect(handed()).to.deep.equal(new Map([[path, O_RDWR]]));
        await share.guest.ok('umount /mnt && umount /other');
      } finally {
        await neighbour.stop();
      }
    });
  });
});
