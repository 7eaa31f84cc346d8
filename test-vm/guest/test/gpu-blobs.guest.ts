/** Blobs of host memory in a stock guest, through `vhost-user-test-device-pci`: bytes, numbers, and what a VM goes through. */
import { readdirSync } from 'node:fs';
import { expect } from 'chai';
import {
  BlobProbe,
  complaints,
  fillBlob,
  type GpuMachine,
  type Guest,
  guestSuite,
  liveBlobs,
  openGpuMachine,
  type WantedBlob,
  wrongBlobs,
} from '../index.ts';

const PAGE = 4096;
const MIB = 1 << 20;
const MOST_PAGES = (16 * MIB) / PAGE;
/** Blobs of one batch: the window has room for more. */
const BATCH_BYTES = 96 * MIB;
const BATCH_BLOBS = 100;

/** `count` blobs of 4 KiB to 16 MiB, the small ones more often; both ends are there. */
function wantedBlobs(firstId: number, count: number): WantedBlob[] {
  return Array.from({ length: count }, (_, n) => {
    const spread = (n * 0.618_033_988_75) % 1;
    const pages = n === 1 ? MOST_PAGES : Math.round(MOST_PAGES ** (spread * spread));
    return { id: firstId + n, size: pages * PAGE };
  });
}

function batches(blobs: readonly WantedBlob[]): WantedBlob[][] {
  const all: WantedBlob[][] = [[]];
  let bytes = 0;
  for (const blob of blobs) {
    if (bytes + blob.size > BATCH_BYTES || all.at(-1)!.length === BATCH_BLOBS) {
      all.push([]);
      bytes = 0;
    }
    all.at(-1)!.push(blob);
    bytes += blob.size;
  }
  return all;
}

/** The console holds the driver until it is told to let go. */
const UNLOAD = 'echo 0 >/sys/class/vtconsole/vtcon1/bind && rmmod virtio_gpu && ! grep -q ^virtio_gpu /proc/modules';
/** The file that init loaded. */
const LOAD = 'insmod /lib/oriel-modules/*-virtio_gpu.ko';

describe('blobs under stock QEMU', () => {
  const suite = guestSuite('gpu-blobs');
  let machine: GpuMachine;
  let guest: Guest;
  let descriptorsBefore: number;

  const descriptors = () => readdirSync(`/proc/${machine.backend.pid}/fd`).length;
  const live = () => liveBlobs(machine.controlSocket);
  /** The host's view of all blobs, once these are all that live. */
  const expectLive = async (wanted: readonly WantedBlob[]) => {
    const blobs = await live();
    expect(blobs.map(({ id, size }) => `${id}: ${size}`).sort()).to.deep.equal(
      wanted.map(({ id, size }) => `${id}: ${size}`).sort(),
    );
    return blobs;
  };
  /** A blob is gone for the device some time after the guest closed it; one fenced by a later command is gone for sure. */
  const expectNone = async () => {
    const probe = await BlobProbe.start(guest);
    await probe.make([{ id: 1, size: PAGE }]);
    await expectLive([{ id: 1, size: PAGE }]);
    await probe.quit();
  };

  before(async () => {
    machine = await openGpuMachine({
      environment: suite.environment,
      dir: suite.folder('blobs'),
      hostVisible: '256M',
      args: ['--max-hostmem=512M'],
      boot: { mayReboot: true },
    });
    guest = machine.guest;
    descriptorsBefore = descriptors();
  });
  after(() => machine?.[Symbol.asyncDispose]());

  it('are offered by the device, as the driver says', async () => {
    const log = await guest.ok('dmesg');
    expect(log).to.match(/features: \+virgl \+edid \+resource_blob \+host_visible/);
    expect(log).to.match(/features: \+context_init/);
    expect(log).to.match(/Host memory window: 0x[0-9a-f]+ \+0x10000000/);
    expect(log).to.match(/number of cap sets: 1\n/);
    const probe = await BlobProbe.start(guest);
    expect(await probe.capabilities()).to.deep.equal([
      'driver=virtio_gpu 3d=1 blob=1 host_visible=1 cross_device=1 context_init=1 capsets=0x40000000',
      'capset 30',
    ]);
    await probe.quit();
  });

  it('carries every byte of 1,000 blobs of 4 KiB to 16 MiB both ways', async () => {
    const wanted = wantedBlobs(1000, 1000);
    expect(Math.min(...wanted.map(({ size }) => size))).to.equal(PAGE);
    expect(Math.max(...wanted.map(({ size }) => size))).to.equal(16 * MIB);
    const probe = await BlobProbe.start(guest);
    for (const batch of batches(wanted)) {
      await probe.make(batch);
      await probe.fill(1);
      const blobs = await expectLive(batch);
      expect(wrongBlobs(blobs, 1), 'what the guest wrote').to.deep.equal([]);
      for (const blob of blobs) fillBlob(blob, 2);
      await probe.check(2);
      await probe.throughDmaBuf(2, 3);
      expect(wrongBlobs(blobs, 3), 'what the guest wrote through the dma-buf').to.deep.equal([]);
      await probe.drop();
    }
    await probe.quit();
    await expectNone();
  });

  it('gives two programs of the guest the same memory by its name', async () => {
    const probe = await BlobProbe.start(guest);
    await probe.make([
      { id: 7, size: MIB },
      { id: 7, size: MIB },
    ]);
    await probe.fill(4);
    const [blob] = await live();
    fillBlob(blob!, 5);
    expect(await probe.check(5)).to.equal(`2 blobs of ${2 * MIB} bytes`);
    await probe.quit();
  });

  it('keeps 300 mappings at a time', async () => {
    const wanted = Array.from({ length: 300 }, (_, n) => ({ id: 3000 + n, size: (1 + (n % 32)) * PAGE }));
    const probe = await BlobProbe.start(guest);
    await probe.make(wanted);
    await probe.fill(6);
    const blobs = await expectLive(wanted);
    expect(wrongBlobs(blobs, 6)).to.deep.equal([]);
    for (const blob of blobs) fillBlob(blob, 7);
    await probe.check(7);
    await probe.quit();
    await expectNone();
  });

  it('keeps blobs over pause and resume', async () => {
    const wanted = wantedBlobs(4000, 20);
    const probe = await BlobProbe.start(guest);
    await probe.make(wanted);
    await probe.fill(1);
    for (let round = 0; round < 3; round++) {
      await guest.qmp('stop');
      expect(await guest.qmp('query-status')).to.have.property('running', false);
      const blobs = await expectLive(wanted);
      expect(wrongBlobs(blobs, 1)).to.deep.equal([]);
      await guest.qmp('cont');
      await probe.check(1);
      // Old ones go and new ones can be made. The new one comes last: its answer says that the device has unmapped the old one
      // too, and a request that is under way at the next stop would kill QEMU (faults/pause-while-mapping).
      const [oldest] = wanted.splice(0, 1);
      await probe.drop(oldest!.id);
      const next = { id: 5000 + round, size: MIB };
      wanted.push(next);
      await probe.make([next]);
      await probe.fill(1);
      expect(wrongBlobs(await expectLive(wanted), 1)).to.deep.equal([]);
    }
    await probe.quit();
    await expectNone();
  });

  it('refuses a blob that the window has no room for, and loses nothing', async () => {
    const probe = await BlobProbe.start(guest);
    expect(await probe.exhaust(6000, 16 * MIB)).to.deep.equal({ made: 16, why: 'No space left on device' });
    await probe.fill(1);
    const full = await live();
    expect(full).to.have.lengthOf(16);
    expect(wrongBlobs(full, 1)).to.deep.equal([]);
    await probe.drop(6003);
    await probe.makeWhenRoom({ id: 6100, size: 8 * MIB });
    await probe.makeWhenRoom({ id: 6101, size: 8 * MIB });
    await probe.fill(2);
    await probe.check(2);
    expect(wrongBlobs(await live(), 2)).to.deep.equal([]);
    expect((await probe.exhaust(6200, PAGE)).made).to.equal(0);
    await probe.drop();
    await probe.makeWhenRoom({ id: 6300, size: 16 * MIB });
    await probe.quit();
    await expectNone();
  });

  it('takes back what a killed program held', async () => {
    const probe = await BlobProbe.start(guest);
    await probe.make(wantedBlobs(7000, 40));
    await probe.fill(1);
    await guest.ok('kill -KILL $(pidof gpublob)');
    await expectNone();
  });

  /** Thirty blobs, seen from both sides. */
  const worksAgain = async () => {
    const wanted = wantedBlobs(8000, 30);
    const probe = await BlobProbe.start(guest);
    await probe.make(wanted);
    await probe.fill(1);
    expect(wrongBlobs(await expectLive(wanted), 1)).to.deep.equal([]);
    await probe.quit();
    await expectNone();
  };

  it('works again after the driver was unloaded and loaded', async () => {
    for (let round = 0; round < 2; round++) {
      await guest.ok(`${UNLOAD} && ${LOAD}`);
      await worksAgain();
    }
  });

  it('works again after a reboot that finds no blob mapped', async () => {
    await guest.reboot();
    expect(await live()).to.deep.equal([]);
    await worksAgain();
  });

  it('leaves no blob and no descriptor behind', async () => {
    await guest.ok(UNLOAD);
    expect(await live()).to.deep.equal([]);
    await guest.ok(LOAD);
    expect(await live()).to.deep.equal([]);
    expect(descriptors()).to.equal(descriptorsBefore);
    expect(guest.alive).to.equal(true);
    expect(complaints(machine.backend)).to.deep.equal([]);
    expect(await guest.poweroff()).to.deep.equal({ code: 0, signal: null });
    expect(machine.backend.alive).to.equal(true);
  });
});
