/** QEMU's front-ends on our back-ends, in every form of the rings: one guest with fourteen devices. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VIRTIO_F_RING_PACKED, VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC } from '@oriel/virtqueue';
import { expect } from 'chai';
import { bootGuest, buildInitramfs, type Guest, guestSuite, HostProcess } from '../index.ts';
import { complaints, startOrielFs } from '../src/oriel.ts';
import type { ServedPeer } from '../src/peer-serve.ts';

const SERVE = fileURLToPath(new URL('../src/peer-serve.ts', import.meta.url));
const DISK_BYTES = 32 << 20;
const SWITCH = ['on', 'off'] as const;
type Switch = (typeof SWITCH)[number];

/** A device of the guest. */
interface Front {
  readonly kind: 'blk' | 'rng' | 'fs';
  /** Its number in the guest's PCI bus, and in all that belongs to it. */
  readonly slot: number;
  readonly packed: Switch;
  readonly eventIdx: Switch;
  readonly indirect: Switch;
}

function every(kind: Front['kind'], first: number, indirects: readonly Switch[]): Front[] {
  const rings = SWITCH.flatMap((packed) =>
    SWITCH.flatMap((eventIdx) => indirects.map((indirect) => ({ packed, eventIdx, indirect }))),
  );
  return rings.map((ring, index) => ({ kind, slot: first + index, ...ring }));
}

const DISKS = every('blk', 3, SWITCH);
/** This front-end does not look at the options for rings: the guest gets what the back-end offers. */
const RNGS = every('rng', 11, ['on']).filter(({ eventIdx }) => eventIdx === 'on');
const SHARES = every('fs', 15, ['on']);

function words({ packed, eventIdx, indirect }: Front): string {
  return `packed=${packed}, event_idx=${eventIdx}, indirect_desc=${indirect}`;
}

describe('QEMU on our back-ends', () => {
  const suite = guestSuite('peer-qemu');
  const shares: HostProcess[] = [];
  let dir: string;
  let served: HostProcess;
  let guest: Guest;

  const pathOf = ({ slot }: Front, what: string) => join(dir, `${slot}.${what}`);

  function qemuDevice(front: Front): string[] {
    const { kind, slot, packed, eventIdx, indirect } = front;
    const own = { blk: ',num-queues=2', rng: '', fs: `,tag=share${slot}` }[kind];
    const ring = `packed=${packed},event_idx=${eventIdx},indirect_desc=${indirect}`;
    return [
      ...['-chardev', `socket,id=c${slot},path=${pathOf(front, 'sock')}`],
      ...['-device', `vhost-user-${kind}-pci,chardev=c${slot},addr=0x${slot.toString(16)},${ring}${own}`],
    ];
  }

  /** Which ring features the guest's driver accepted, in the words of QEMU's options. */
  async function accepted({ slot }: Front): Promise<string> {
    const address = `0000:00:${slot.toString(16).padStart(2, '0')}.0`;
    const features = await guest.ok(`cat /sys/bus/pci/devices/${address}/virtio*/features`);
    const bit = (number: number) => (features[number] === '1' ? 'on' : 'off');
    return `packed=${bit(VIRTIO_F_RING_PACKED)}, event_idx=${bit(VIRTIO_RING_F_EVENT_IDX)}, indirect_desc=${bit(VIRTIO_RING_F_INDIRECT_DESC)}`;
  }

  before(async () => {
    const { environment } = suite;
    dir = suite.folder('devices');
    const peers: ServedPeer[] = RNGS.map((front) => ({
      kind: 'rng',
      socketPath: pathOf(front, 'sock'),
      packed: front.packed === 'on',
    }));
    for (const front of DISKS) {
      const imagePath = pathOf(front, 'img');
      writeFileSync(imagePath, '');
      truncateSync(imagePath, DISK_BYTES);
      const socketPath = pathOf(front, 'sock');
      peers.push({ kind: 'blk', socketPath, imagePath, queues: 2, id: `disk${front.slot}`, packed: true });
    }
    const flags = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];
    served = HostProcess.start([process.execPath, ...flags, SERVE, ...peers.map((peer) => JSON.stringify(peer))], {
      name: 'peer-serve',
    });
    await served.waitOutput(/all are served/);
    for (const front of SHARES) {
      const sharedDir = pathOf(front, 'share');
      mkdirSync(sharedDir);
      const stateDir = pathOf(front, 'state');
      mkdirSync(stateDir);
      const tag = `share${front.slot}`;
      const args = ['--packed-rings'];
      shares.push(
        await startOrielFs({ socketPath: pathOf(front, 'sock'), sharedDir, tag, window: '0', stateDir, args }),
      );
    }
    process.stdout.write(`      peers: QEMU ${environment.qemu.version}, Linux ${environment.kernel.release}\n`);
    guest = await bootGuest({
      environment,
      initramfs: await buildInitramfs(environment, { modules: ['virtio-rng', 'virtio_blk'] }),
      qemuArgs: [...DISKS, ...RNGS, ...SHARES].flatMap(qemuDevice),
    });
  });
  after(async () => {
    await guest?.close();
    await served?.stop();
    for (const share of shares) await share.stop();
  });

  for (const front of DISKS) {
    it(`vhost-user-blk-pci, 2 queues, ${words(front)}: verified writes and reads past the guest's cache`, async () => {
      expect(await accepted(front)).to.equal(words(front));
      const name = await guest.ok(`cd /sys/block; grep -l '^disk${front.slot}$' vd*/serial | cut -d/ -f1`);
      expect(name).to.match(/^vd[a-z]$/);
      expect(await guest.ok(`ls /sys/block/${name}/mq | wc -l`)).to.equal('2');
      // Two programs at once, one on each processor and so on each queue, large requests and small ones.
      await guest.ok(
        'head -c 6291456 /dev/urandom >/tmp/pattern; ' +
          `taskset 1 dd if=/tmp/pattern of=/dev/${name} bs=4k oflag=direct count=512 2>/dev/null & ` +
          `taskset 2 dd if=/tmp/pattern of=/dev/${name} bs=1M oflag=direct skip=2 seek=2 count=4 conv=fsync 2>/dev/null & wait`,
      );
      const sum = (await guest.ok('sha256sum </tmp/pattern')).slice(0, 64);
      for (const size of ['64k', '1M']) {
        const read = `dd if=/dev/${name} bs=${size} iflag=direct 2>/dev/null | head -c 6291456 | sha256sum`;
        expect((await guest.ok(read)).slice(0, 64)).to.equal(sum);
      }
      const image = readFileSync(pathOf(front, 'img')).subarray(0, 6 << 20);
      expect(execFileSync('sha256sum', { input: image, encoding: 'utf8' }).slice(0, 64)).to.equal(sum);
      expect(
        readFileSync(pathOf(front, 'img'))
          .subarray(6 << 20)
          .every((byte) => byte === 0),
      ).to.equal(true);
    });
  }

  for (const [index, front] of RNGS.entries()) {
    it(`vhost-user-rng-pci, ${words(front)}: random bytes`, async () => {
      expect(await accepted(front)).to.equal(words(front));
      await guest.ok(`echo virtio_rng.${index} >/sys/class/misc/hw_random/rng_current`);
      expect(await guest.ok('cat /sys/class/misc/hw_random/rng_current')).to.equal(`virtio_rng.${index}`);
      // What is random does not become smaller.
      expect(Number(await guest.ok('head -c 65536 /dev/hwrng | gzip | wc -c'))).to.be.greaterThan(65536);
    });
  }

  for (const [index, front] of SHARES.entries()) {
    it(`vhost-user-fs-pci, ${words(front)}: files of both sides`, async () => {
      expect(await accepted(front)).to.equal(words(front));
      const host = pathOf(front, 'share');
      const content = Buffer.alloc(3 << 20, `share ${front.slot} `);
      writeFileSync(join(host, 'from-host'), content);
      await guest.ok(`mkdir -p /mnt/${front.slot} && mount -t virtiofs share${front.slot} /mnt/${front.slot}`);
      const sum = execFileSync('sha256sum', { input: content, encoding: 'utf8' }).slice(0, 64);
      expect((await guest.ok(`sha256sum </mnt/${front.slot}/from-host`)).slice(0, 64)).to.equal(sum);
      await guest.ok(
        `cd /mnt/${front.slot}; for n in 1 2 3 4; do (head -c 1500000 /dev/urandom >big$n; for m in 1 2 3 4 5 6 7 8; ` +
          'do mkdir -p d$n && echo $n-$m >d$n/$m; done) & done; wait; sync; sha256sum big* d*/* >sums; ' +
          'echo 3 >/proc/sys/vm/drop_caches; sha256sum -c sums; cd /; ' +
          `umount /mnt/${front.slot}`,
      );
      execFileSync('sha256sum', ['--quiet', '-c', 'sums'], { cwd: host });
      expect(readFileSync(join(host, 'd3/7'), 'utf8')).to.equal('3-7\n');
      expect(complaints(shares[index]!)).to.deep.equal([]);
    });
  }
});
