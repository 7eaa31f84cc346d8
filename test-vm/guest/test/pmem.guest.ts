/** A file of the host as persistent memory of a stock guest: `oriel pmem` through `vhost-user-test-device-pci`. */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { bootGuest, buildInitramfs, type Guest, guestSuite, type HostProcess, vhostUserTestDevice } from '../index.ts';
import { startOriel } from '../src/oriel.ts';

const VIRTIO_PMEM = { virtioId: 27, queueCount: 1, queueSize: 64, configSize: 16, id: 'pmem' } as const;
/** In the order of loading: the device comes last, when everything that looks for it is there. */
const MODULES = ['libnvdimm', 'nd_btt', 'nd_pmem', 'nd_virtio', 'ext4', 'virtio_pmem'] as const;
const SIZE = 128 << 20;
const PLACE = 64 << 20;

describe('persistent memory under stock QEMU', () => {
  const suite = guestSuite('pmem');
  let file: string;
  let backend: HostProcess;
  let guest: Guest;

  before(async () => {
    const dir = suite.folder('pmem');
    const socketPath = join(dir, 'pmem.sock');
    file = join(dir, 'image');
    writeFileSync(file, 'written by the host');
    truncateSync(file, SIZE);
    backend = await startOriel(['pmem', `--socket-path=${socketPath}`, `--file=${file}`]);
    const { environment } = suite;
    const initramfs = await buildInitramfs(environment, { modules: MODULES });
    guest = await bootGuest({
      environment,
      initramfs,
      mayReboot: true,
      qemuArgs: vhostUserTestDevice({ socketPath, ...VIRTIO_PMEM }),
    });
  });
  after(async () => {
    await guest?.close();
    await backend?.stop();
  });

  it('is a block device of the size of the file, with its bytes', async () => {
    expect(await guest.ok('cat /sys/block/pmem0/size')).to.equal(String(SIZE / 512));
    expect(await guest.ok('head -c 19 /dev/pmem0')).to.equal('written by the host');
  });

  it('takes what the guest writes into the file, and fsync through its queue', async () => {
    await guest.ok(`printf 'written by the guest' | dd of=/dev/pmem0 bs=1 seek=${PLACE} conv=fsync 2>/dev/null`);
    expect(
      readFileSync(file)
        .subarray(PLACE, PLACE + 20)
        .toString(),
    ).to.equal('written by the guest');
  });

  it('bears a file system whose files are mapped straight from the host (dax=always)', async () => {
    await guest.ok(
      'mke2fs -b 4096 /dev/pmem0 >/dev/null && mkdir -p /mnt/pmem && mount -t ext4 -o dax=always /dev/pmem0 /mnt/pmem',
    );
    expect(await guest.ok('grep pmem0 /proc/mounts')).to.include('dax=always');
    await guest.ok('seq 100000 >/mnt/pmem/numbers && sync && sync /mnt/pmem/numbers');
    const inside = await guest.ok('sha256sum </mnt/pmem/numbers');
    expect(inside).to.equal(await guest.ok('seq 100000 | sha256sum'));
    expect(readFileSync(file).includes('99997\n99998\n99999\n100000\n'), 'the host sees the blocks').to.equal(true);
  });

  it('keeps it over a pause, and over a reboot', async () => {
    await guest.qmp('stop');
    await guest.qmp('cont');
    const sum = 'sha256sum </mnt/pmem/numbers';
    const before = await guest.ok(sum);
    await guest.ok('umount /mnt/pmem');
    await guest.reboot();
    await guest.ok('mkdir -p /mnt/pmem && mount -t ext4 -o dax=always /dev/pmem0 /mnt/pmem');
    expect(await guest.ok(sum)).to.equal(before);
    expect(guest.alive).to.equal(true);
  });
});
