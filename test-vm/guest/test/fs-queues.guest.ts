/** Several request queues under stock QEMU, over both of its devices for virtio-fs: Linux sends by the queue of the processor. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  bootGuest,
  complaints,
  type Guest,
  guestSuite,
  type HostProcess,
  orielDevice,
  startOrielFs,
  vhostUserFs,
} from '../index.ts';

const QUEUES = 4;
const CPUS = [...Array(QUEUES).keys()];
const FILE_BYTES = 300_000;
/** The shares: by vhost-user-fs-pci, and by the device that has a window. */
const TAGS = ['plain', 'window'] as const;

describe('several request queues', () => {
  const suite = guestSuite('fs-queues');
  const backends: HostProcess[] = [];
  const sums: string[] = [];
  let guest: Guest | undefined;

  before(async function () {
    this.timeout(180_000);
    const dir = suite.folder('queues');
    const sharedDir = join(dir, 'share');
    mkdirSync(sharedDir);
    for (const cpu of CPUS) {
      const bytes = randomBytes(FILE_BYTES);
      sums.push(createHash('sha256').update(bytes).digest('hex'));
      writeFileSync(join(sharedDir, `file-${cpu}`), bytes);
    }
    const socketOf = (tag: string) => join(dir, `${tag}.sock`);
    for (const tag of TAGS) {
      const window = tag === 'window' ? '64M' : '0';
      const args = [`--num-request-queues=${QUEUES}`];
      backends.push(await startOrielFs({ socketPath: socketOf(tag), sharedDir, tag, window, args }));
    }
    guest = await bootGuest({
      environment: suite.environment,
      memoryMiB: 512,
      smp: QUEUES,
      qemuArgs: [
        ...vhostUserFs(socketOf('plain'), 'plain', 'plain', QUEUES),
        ...orielDevice(socketOf('window'), 'window', QUEUES),
      ],
    });
    for (const tag of TAGS) await guest.ok(`mkdir /${tag} && mount -t virtiofs ${tag} /${tag}`);
  });
  after(async () => {
    await guest?.close();
    for (const backend of backends) await backend.stop();
  });

  for (const tag of TAGS) {
    it(`${tag}: each processor has its own, and gets its answers there`, async () => {
      const folder = `$(dirname $(grep -lx ${tag} /sys/fs/virtiofs/*/tag))`;
      const queues = await guest!.ok(
        `cd ${folder}/mqs && for q in *; do echo "$(cat $q/name):$(cat $q/cpu_list)"; done`,
      );
      const cpuOf = new Map(queues.split('\n').map((line) => line.split(':') as [string, string]));
      expect([...cpuOf.keys()].sort()).to.deep.equal(['hiprio', ...CPUS.map((i) => `requests.${i}`)]);
      cpuOf.delete('hiprio');
      expect([...cpuOf.values()].sort()).to.deep.equal(CPUS.map(String));
      for (const cpu of CPUS) {
        const output = await guest!.ok(`taskset -c ${cpu} sha256sum </${tag}/file-${cpu}`);
        expect(output).to.include(sums[cpu]!);
      }
    });
  }

  it('the interrupts of all of them come', async () => {
    const lines = (await guest!.ok('grep requests /proc/interrupts')).split('\n');
    expect(lines).to.have.length(QUEUES);
    for (const line of lines) {
      const counts = line
        .trim()
        .split(/\s+/)
        .slice(1, 1 + QUEUES);
      expect(
        counts.some((count) => Number(count) > 0),
        line,
      ).to.equal(true);
    }
  });

  it('all of them at once bring the right bytes, and none waits for good', async function () {
    this.timeout(120_000);
    const reader = (tag: string, cpu: number) => {
      const once = `echo 1 >/proc/sys/vm/drop_caches; taskset -c ${cpu} sha256sum </${tag}/file-${cpu} >>/tmp/${tag}-${cpu}`;
      return `(for i in $(seq 8); do ${once}; done) &`;
    };
    const all = TAGS.flatMap((tag) => CPUS.map((cpu) => reader(tag, cpu))).join('\n');
    await guest!.ok(`${all}\nwait`, { timeoutMs: 110_000 });
    for (const tag of TAGS) {
      for (const cpu of CPUS) {
        const output = await guest!.ok(`sort /tmp/${tag}-${cpu} | uniq -c`);
        expect(output.trim().split(/\s+/).slice(0, 2)).to.deep.equal(['8', sums[cpu]]);
      }
    }
    expect(backends.flatMap(complaints)).to.deep.equal([]);
  });
});
