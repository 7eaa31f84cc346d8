/**
 * Live migration of a stock guest between two stock QEMUs, over vhost-user-fs-pci without a window, under load: the back-end's
 * writes to memory are in QEMU's dirty log, and the session of the share goes on at the other side.
 */
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import {
  bootGuest,
  complaints,
  type Guest,
  guestSuite,
  type HostProcess,
  startOrielFs,
  vhostUserFs,
} from '../index.ts';

const LONG = { timeoutMs: 120_000 };
const MEMORY_MIB = 512;
/** Slow enough that the guest does thousands of requests while its memory goes over. */
const BANDWIDTH = 60 << 20;
const RECORD = 512;

/** What QEMU says of every virtio-fs back-end that has a tag. */
const OF_CONFIG = /^.*warning: vhost-user backend supports VHOST_USER_PROTOCOL_F_CONFIG but QEMU does not\.\n/m;

interface Moves {
  readonly mode: 'find-paths' | 'file-handles';
  /** The other side has a copy of the directory, made while the VM stands still. */
  readonly copy: boolean;
}

const MOVES: readonly Moves[] = [
  { mode: 'find-paths', copy: false },
  { mode: 'find-paths', copy: true },
  { mode: 'file-handles', copy: false },
];

interface MigrationInfo {
  readonly status: string;
  readonly 'error-desc'?: string;
  readonly ram?: { readonly 'dirty-sync-count': number };
}

/** More than once, so that descriptors, names and contents of other files change meanwhile, too. */
const LOAD = `(n=0; while [ ! -e /tmp/stop ]; do n=$((n + 1)); mkdir d$n && head -c 70000 /dev/urandom >d$n/f && cp d$n/f d$n/g
  mv d$n e$n && cmp e$n/f e$n/g || echo "load $n" >>/tmp/wrong; [ $n -lt 9 ] || rm -r e$((n - 8)); done; echo $n >/tmp/load.done) </dev/null >>/tmp/wrong 2>&1 &`;

describe('live migration between two QEMUs', () => {
  const suite = guestSuite('migration');

  async function waitFor(guest: Guest, wanted: string): Promise<MigrationInfo> {
    for (;;) {
      const info = (await guest.qmp('query-migrate')) as MigrationInfo;
      if (info.status === wanted) return info;
      if (['failed', 'completed', 'cancelled'].includes(info.status)) {
        throw new Error(`migration ${info.status}: ${info['error-desc']}\n${guest.stderr}`);
      }
      await pause(20);
    }
  }

  for (const { mode, copy } of MOVES) {
    it(`${mode}, ${copy ? 'to a copy of the directory' : 'the same directory'}: nothing lost, open files and the working directory go on`, async function () {
      this.timeout(300_000);
      const dir = suite.folder(mode);
      const directories = [join(dir, 'share'), join(dir, copy ? 'copy' : 'share')] as const;
      mkdirSync(join(directories[0], 'work'), { recursive: true });
      const backends: HostProcess[] = [];
      const guests: Guest[] = [];
      const open = async (side: 0 | 1, incoming?: string): Promise<Guest> => {
        const socketPath = join(dir, `${side}.sock`);
        const args = [`--migration-mode=${mode}`, '--cache=auto'];
        const sharedDir = directories[side];
        mkdirSync(sharedDir, { recursive: true });
        backends.push(await startOrielFs({ socketPath, sharedDir, window: '0', args }));
        const guest = await bootGuest({
          environment: suite.environment,
          memoryMiB: MEMORY_MIB,
          qemuArgs: vhostUserFs(socketPath, 'share'),
          ...(incoming === undefined ? {} : { incoming }),
        });
        guests.push(guest);
        return guest;
      };
      try {
        const source = await open(0);
        await source.ok('mount -t virtiofs share /mnt && cd /mnt/work && mkdir load');
        const unlinked = mode === 'file-handles' ? 'unlinked' : '';
        await source.ok(
          `(moving /mnt/work ${unlinked} </dev/null >/tmp/moving.out 2>&1; echo $? >/tmp/moving.status) >/dev/null 2>&1 &`,
        );
        await source.ok(`cd /mnt/work/load; ${LOAD}`);
        const rounds = (guest: Guest) =>
          guest.ok('cat /tmp/moving.rounds 2>/dev/null || { cat /tmp/moving.out; echo 0; }').then(Number);
        while ((await rounds(source)) < 200) await pause(50);
        const address = `unix:${join(dir, 'migration.sock')}`;
        const target = await open(1, address);
        await source.qmp('migrate-set-parameters', { 'max-bandwidth': BANDWIDTH, 'downtime-limit': 2000 });
        await source.qmp('migrate-set-capabilities', {
          capabilities: [{ capability: 'pause-before-switchover', state: true }],
        });
        const before = await rounds(source);
        await source.qmp('migrate', { uri: address });
        const standing = await waitFor(source, 'pre-switchover');
        if (copy) cpSync(directories[0], directories[1], { recursive: true, preserveTimestamps: true, force: true });
        await source.qmp('migrate-continue', { state: 'pre-switchover' });
        await waitFor(source, 'completed');
        expect(standing.ram!['dirty-sync-count']).to.be.greaterThan(1);
        expect((await source.qmp('query-status')) as object).to.include({ status: 'postmigrate' });
        await source.kill();
        const after = await rounds(target);
        expect(after, 'requests while the memory went over').to.be.greaterThan(before);
        while ((await rounds(target)) < after + 200) await pause(50);
        const end = await target.ok(
          'touch /tmp/stop; until [ -e /tmp/moving.status -a -e /tmp/load.done ]; do sleep 0.1; done; cat /tmp/moving.out',
          LONG,
        );
        expect(end).to.match(/^ok rounds=\d+$/);
        expect(await target.ok('cat /tmp/wrong')).to.equal('');
        const total = Number(end.slice('ok rounds='.length));
        const work = join(directories[1], 'work');
        const onHost = readFileSync(join(work, 'records'));
        expect(onHost.length).to.equal(total * RECORD);
        const sum = createHash('sha256').update(onHost).digest('hex');
        expect(await target.ok('sha256sum </mnt/work/records')).to.equal(`${sum}  -`);
        expect(readdirSync(work).sort()).to.deep.equal(['even', 'load', `name.${total}`, 'odd', 'records']);
        await target.ok('cd /mnt/work && echo new >new && mv new newer && cat newer && cd / && umount /mnt', LONG);
        expect(readFileSync(join(work, 'newer'), 'utf8')).to.equal('new\n');
        expect(await target.poweroff()).to.deep.equal({ code: 0, signal: null });
        for (const guest of guests) expect(guest.stderr.replace(OF_CONFIG, ''), 'QEMU').to.equal('');
        for (const backend of backends) expect(complaints(backend)).to.deep.equal([]);
        expect(backends[1]!.stderr).to.match(/the session of another host goes on/);
      } finally {
        for (const guest of guests) await guest.close();
        for (const backend of backends) await backend.stop();
      }
    });
  }

  it('stays where it is when the other side has not its files, and goes on', async function () {
    this.timeout(180_000);
    const dir = suite.folder('refused');
    const address = `unix:${join(dir, 'migration.sock')}`;
    const backends: HostProcess[] = [];
    const guests: Guest[] = [];
    const open = async (name: string, incoming: { incoming?: string }): Promise<Guest> => {
      const [socketPath, sharedDir] = [join(dir, `${name}.sock`), join(dir, name)];
      mkdirSync(sharedDir);
      backends.push(await startOrielFs({ socketPath, sharedDir, window: '0' }));
      const qemuArgs = vhostUserFs(socketPath, 'share');
      guests.push(await bootGuest({ environment: suite.environment, memoryMiB: 256, qemuArgs, ...incoming }));
      return guests.at(-1)!;
    };
    try {
      const source = await open('here', {});
      await source.ok('mount -t virtiofs share /mnt && echo before >/mnt/file');
      await source.ok(
        '(exec 3>>/mnt/file; until [ -e /tmp/go ]; do sleep 0.1; done; echo after >&3; exec 3>&-; echo >/tmp/gone) </dev/null >/dev/null 2>&1 &',
      );
      const target = await open('there', { incoming: address });
      await source.qmp('migrate-set-capabilities', { capabilities: [{ capability: 'return-path', state: true }] });
      await source.qmp('migrate', { uri: address });
      expect((await target.waitExit()).code).to.not.equal(0);
      expect(backends[1]!.stderr).to.match(/nodeid \d+ at "file" is not here \(ENOENT\): the VM cannot come/);
      await waitFor(source, 'failed');
      await source.ok('touch /tmp/go; until [ -e /tmp/gone ]; do sleep 0.1; done; cd / && umount /mnt');
      expect(readFileSync(join(dir, 'here/file'), 'utf8')).to.equal('before\nafter\n');
      expect(complaints(backends[0]!)).to.deep.equal([]);
    } finally {
      for (const guest of guests) await guest.close();
      for (const backend of backends) await backend.stop();
    }
  });
});
