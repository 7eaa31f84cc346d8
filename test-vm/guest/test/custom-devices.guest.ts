/** The example devices of `@oriel/virtio-device` under stock QEMU: one guest with all of them. */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VIRTIO_F_RING_PACKED, VIRTIO_RING_F_EVENT_IDX } from '@oriel/virtqueue';
import { expect } from 'chai';
import {
  bootGuest,
  buildInitramfs,
  compileProbe,
  type Guest,
  guestSuite,
  HostProcess,
  vhostUserTestDevice,
} from '../index.ts';

const EXAMPLES = fileURLToPath(new URL('../../../packages/virtio-device/examples/', import.meta.url));
const DRIVER = fileURLToPath(new URL('custom-driver.c', import.meta.url));
const MODULES = ['virtio-rng', 'virtio_blk', 'ext4'] as const;
const DISK_BYTES = 64 << 20;

describe('the example devices under stock QEMU', () => {
  const suite = guestSuite('custom');
  const programs = new Map<string, HostProcess>();
  let dir: string;
  /** Paths of the images, by the name of the disk in the guest. */
  const disks = { vda: '', vdb: '' };
  let keyboard: number;
  let guest: Guest;

  /** Starts an example; `input` is a path that its stdin comes from. @returns the path of its socket */
  async function start(name: string, args: readonly string[] = [], input = '/dev/null', as = name): Promise<string> {
    const socketPath = join(dir, `${as}.sock`);
    const node = [process.execPath, '--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];
    const command = [...node, join(EXAMPLES, `serve-${name}.ts`), ...args, socketPath];
    const program = HostProcess.start(['sh', '-c', 'exec <"$0" "$@"', input, ...command], { name });
    programs.set(as, program);
    await program.waitOutput(/listening/);
    return socketPath;
  }

  /** A stock front-end for a served example. */
  function frontend(name: string, socketPath: string, options = ''): string[] {
    const id = basename(socketPath, '.sock');
    return [
      ...['-chardev', `socket,id=${id},path=${socketPath}`],
      ...['-device', `vhost-user-${name}-pci,chardev=${id}${options}`],
    ];
  }

  async function startDisk(name: keyof typeof disks): Promise<string> {
    const path = join(dir, `${name}.img`);
    writeFileSync(path, 'written by the host');
    truncateSync(path, DISK_BYTES);
    disks[name] = path;
    return start('blk', [path], '/dev/null', name);
  }

  /** Runs the driver in user space. @returns what each step printed */
  async function drive(id: number, ...steps: string[]): Promise<string[]> {
    return (await guest.ok(`custom-driver ${id} ${steps.join(' ')}`)).split('\n');
  }

  before(async () => {
    dir = suite.folder('examples');
    const typed = join(dir, 'typed');
    execFileSync('mkfifo', [typed]);
    keyboard = openSync(typed, 'r+');
    const [rng, vda, vdb, gpio, con, clock] = await Promise.all([
      start('rng'),
      startDisk('vda'),
      startDisk('vdb'),
      start('gpio'),
      start('console', [], typed),
      start('clock'),
    ]);
    const { environment } = suite;
    const probe = await compileProbe(environment, DRIVER);
    guest = await bootGuest({
      environment,
      initramfs: await buildInitramfs(environment, { modules: MODULES, files: { '/bin/custom-driver': probe.path } }),
      qemuArgs: [
        ...frontend('rng', rng),
        ...frontend('blk', vda),
        ...frontend('blk', vdb, ',packed=on,event_idx=off'),
        ...frontend('gpio', gpio),
        ...vhostUserTestDevice({ socketPath: con, virtioId: 3, queueCount: 2, queueSize: 64, configSize: 12 }),
        ...vhostUserTestDevice({ socketPath: clock, virtioId: 21, queueCount: 1, queueSize: 64, configSize: 4 }),
      ],
    });
  });
  after(async () => {
    await guest?.close();
    for (const program of programs.values()) await program.stop();
    if (keyboard !== undefined) closeSync(keyboard);
  });

  it('rng: feeds the random number generator of the guest', async () => {
    expect(await guest.ok('cat /sys/class/misc/hw_random/rng_current')).to.match(/^virtio_rng/);
    const [one, two] = await Promise.all([0, 1].map(() => guest.ok('head -c 4096 /dev/hwrng | sha256sum')));
    expect(one).to.match(/^[0-9a-f]{64} /);
    expect(one).not.to.equal(two);
  });

  for (const name of ['vda', 'vdb'] as const) {
    it(`${name}: is a disk of the size of the file, with its bytes, its name and two queues (${name === 'vda' ? 'split' : 'packed'} rings)`, async () => {
      expect(await guest.ok(`cat /sys/block/${name}/size /sys/block/${name}/serial`)).to.equal(
        `${DISK_BYTES / 512}\noriel`,
      );
      expect(await guest.ok(`ls /sys/block/${name}/mq | wc -l`)).to.equal('2');
      const features = await guest.ok(`cat /sys/block/${name}/device/features`);
      expect([features[VIRTIO_F_RING_PACKED], features[VIRTIO_RING_F_EVENT_IDX]]).to.deep.equal(
        name === 'vda' ? ['0', '1'] : ['1', '0'],
      );
      expect(await guest.ok(`cat /sys/block/${name}/queue/write_cache`)).to.equal('write back');
      expect(await guest.ok(`head -c 19 /dev/${name}`)).to.equal('written by the host');
    });

    it(`${name}: takes what the guest writes past its own cache, and flushes it`, async () => {
      await guest.ok('head -c 8388608 /dev/urandom >/tmp/pattern');
      await guest.ok(`dd if=/tmp/pattern of=/dev/${name} bs=256k seek=16 oflag=direct conv=fsync 2>/dev/null`);
      const sum = await guest.ok('sha256sum </tmp/pattern');
      expect(
        await guest.ok(`dd if=/dev/${name} bs=64k skip=64 count=128 iflag=direct 2>/dev/null | sha256sum`),
      ).to.equal(sum);
      const host = execFileSync('sha256sum', {
        input: readFileSync(disks[name]).subarray(4 << 20, 12 << 20),
        encoding: 'utf8',
      });
      expect(host.trim()).to.equal(sum);
    });

    it(`${name}: bears a file system under load, and gives what is deleted back to the host`, async () => {
      await guest.ok(
        `mke2fs -b 4096 /dev/${name} >/dev/null && mkdir -p /mnt/${name} && mount -t ext4 /dev/${name} /mnt/${name}`,
      );
      await guest.ok(
        `for n in 1 2 3 4; do (head -c 4000000 /dev/urandom >/mnt/${name}/$n; sync /mnt/${name}/$n) & done; wait; ` +
          `sha256sum /mnt/${name}/* >/tmp/sums; sync; echo 3 >/proc/sys/vm/drop_caches; sha256sum -c /tmp/sums`,
      );
      const { blocks } = statSync(disks[name]);
      await guest.ok(`rm /mnt/${name}/[123]; sync; fstrim /mnt/${name}; sha256sum /mnt/${name}/4; umount /mnt/${name}`);
      expect(blocks - statSync(disks[name]).blocks).to.be.greaterThan(12_000_000 / 512);
    });
  }

  it('console: prints what the guest says, and types', async () => {
    const program = programs.get('console')!;
    await guest.ok('echo hello from the guest >/dev/hvc0');
    await program.waitOutput(/hello from the guest/);
    const typed = guest.ok('head -n 1 </dev/hvc0');
    writeSync(keyboard, 'typed on the host\n');
    expect(await typed).to.equal('typed on the host');
  });

  it('gpio: lights a lamp for a driver in user space, and gives the level back over a wire', async () => {
    const program = programs.get('gpio')!;
    const answers = await drive(
      41,
      'c:8',
      'q:0500020001000000:2', // SET_VALUE of line 2: 1
      'q:0300020001000000:2', // SET_DIRECTION of line 2: out
      'q:0300060002000000:2', // SET_DIRECTION of line 6: in
      'q:0400060000000000:2', // GET_VALUE of line 6
      'q:0400090000000000:2', // GET_VALUE of a line that is not there
    );
    expect(answers).to.deep.equal(['080000002c000000', '2 0000', '2 0000', '2 0000', '2 0001', '2 0100']);
    await program.waitOutput(/lamp 2 is on/);
    // That this driver is gone shows when the next one starts.
    expect(await drive(41, 'q:0200020000000000:2')).to.deep.equal(['2 0000']);
    await program.waitOutput(/lamp 2 is off/);
  });

  it('clock: a page of the host in the guest goes on by itself, and requests wait for a tick', async () => {
    const steps = ['q::8', 'm:0:0:32', 'q::8', 'q::8', 'm:0:0:32'];
    const [first, before, , third, after] = (await drive(21, ...steps)) as [string, string, string, string, string];
    const number = (answer: string): number => Number(Buffer.from(answer.slice(2), 'hex').readBigUInt64LE());
    expect(first).to.match(/^8 /);
    expect(number(third)).to.be.greaterThan(number(first) + 1);
    const [old, now] = [before, after].map((hex) => Buffer.from(hex, 'hex')) as [Buffer, Buffer];
    expect(old.readUInt32LE(4), 'the period').to.equal(10);
    expect(Number(now.readBigUInt64LE(8)), 'ticks in the page').to.be.at.least(number(third));
    expect(Number(now.readBigUInt64LE(8))).to.be.greaterThan(Number(old.readBigUInt64LE(8)));
    expect(Number(now.readBigUInt64LE(16)), 'seconds').to.be.closeTo(Date.now() / 1000, 60);
  });

  it('serves on over a pause, and every program ends with the guest', async () => {
    await guest.qmp('stop');
    await guest.qmp('cont');
    expect(await guest.ok('dd if=/dev/vda bs=4k count=1 iflag=direct 2>/dev/null | wc -c')).to.equal('4096');
    expect(await guest.ok('head -c 32 /dev/hwrng | wc -c')).to.equal('32');
    expect(await guest.poweroff()).to.deep.equal({ code: 0, signal: null });
    for (const [name, program] of programs) {
      expect(await program.waitExit(10_000), name).to.deep.equal({ code: 0, signal: null });
    }
  });
});
