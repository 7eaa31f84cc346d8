/** virtio-fs and virtio-gpu of one `oriel run`, in one guest, with both windows in use at once. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  BlobProbe,
  bootGuest,
  buildInitramfs,
  complaints,
  fillBlob,
  GPU_MODULES,
  type Guest,
  guestSuite,
  type HostProcess,
  liveBlobs,
  orielDevice,
  orielGpuDevice,
  startOriel,
  wrongBlobs,
} from '../index.ts';

const MIB = 1 << 20;
const SECONDS = process.env['ORIEL_SOAK'] ? 600 : 60;
/** More bytes than the window of fs holds: its ranges are used again and again. */
const FILES = 12;
const FILE_MIB = 12;

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

/** Reads every file by mmap and by read(), and stores into one, until the time is over. */
const FS_LOAD = `end=$(($(date +%s) + ${SECONDS})); rounds=0
while [ $(date +%s) -lt $end ]; do
  for file in /mnt/file*; do
    sum=$(cat /mnt/sums/\${file##*/})
    [ "$(mapcat $file | sha256sum)" = "$sum  -" ] || { echo "$file by mmap, round $rounds"; exit 1; }
    [ "$(sha256sum <$file)" = "$sum  -" ] || { echo "$file by read, round $rounds"; exit 1; }
  done
  mapstore /mnt/stored $((rounds * 8)) $(printf '%07d.' $rounds)
  rounds=$((rounds + 1))
done
echo $rounds rounds`;

describe('fs and gpu of one process under stock QEMU', () => {
  const suite = guestSuite('gpu-beside-fs');
  let backend: HostProcess;
  let guest: Guest;
  let hostDir: string;
  let controlSocket: string;

  before(async () => {
    const dir = suite.folder('both');
    hostDir = join(dir, 'share');
    mkdirSync(join(hostDir, 'sums'), { recursive: true });
    controlSocket = join(dir, 'control.sock');
    for (let n = 0; n < FILES; n++) {
      const data = randomBytes(FILE_MIB * MIB);
      writeFileSync(join(hostDir, `file${n}`), data);
      writeFileSync(join(hostDir, 'sums', `file${n}`), sha256(data));
    }
    writeFileSync(join(hostDir, 'stored'), Buffer.alloc(4 * MIB));
    const [fsSocket, gpuSocket] = [join(dir, 'fs.sock'), join(dir, 'gpu.sock')];
    // Nobody truncates, and it takes root to guard files.
    const fs = `fs,socket-path=${fsSocket},shared-dir=${hostDir},tag=share,window=64M,state-dir=${dir},dax-unguarded`;
    const gpu = `gpu,socket-path=${gpuSocket},host-visible=128M`;
    backend = await startOriel(['run', `--device=${fs}`, `--device=${gpu}`, `--control-socket=${controlSocket}`], 2);
    guest = await bootGuest({
      environment: suite.environment,
      initramfs: await buildInitramfs(suite.environment, { modules: GPU_MODULES }),
      qemuArgs: [...orielDevice(fsSocket, 'fs'), ...orielGpuDevice(gpuSocket)],
    });
    await guest.ok('mount -t virtiofs share /mnt && statx /mnt/file0 | grep dax=1');
  });
  after(async () => {
    await guest?.close();
    await backend?.stop();
  });

  /** Blobs of the device, seen from both sides. */
  async function checksBlobs(probe: BlobProbe, firstId: number): Promise<void> {
    await probe.make(Array.from({ length: 20 }, (_, n) => ({ id: firstId + n, size: (1 + n * 40) * 4096 })));
    await probe.fill(1);
    const blobs = await liveBlobs(controlSocket);
    expect(blobs).to.have.lengthOf(20);
    expect(wrongBlobs(blobs, 1)).to.deep.equal([]);
    for (const blob of blobs) fillBlob(blob, 2);
    await probe.check(2);
    await probe.drop();
  }

  it(`keep every byte right for ${SECONDS} seconds`, async function () {
    this.timeout((SECONDS + 240) * 1000);
    const probe = await BlobProbe.start(guest);
    await checksBlobs(probe, 1);
    const load = Buffer.from(FS_LOAD).toString('base64');
    await guest.ok(`echo ${load} | base64 -d >/tmp/load; mkfifo /tmp/load.ended
(sh /tmp/load >/tmp/load.log 2>&1; echo $? >/tmp/load.ended) >/dev/null 2>&1 &`);
    const churned = await probe.churn(SECONDS, 1000);
    expect(churned, 'blobs made, checked and dropped').to.be.greaterThan(SECONDS * 5);
    const ended = await guest.ok('read status </tmp/load.ended; cat /tmp/load.log; exit $status', {
      timeoutMs: 120_000,
    });
    const rounds = Number(/^(\d+) rounds$/.exec(ended)?.[1]);
    expect(rounds, 'times that all files were read').to.be.greaterThan(0);
    await checksBlobs(probe, 100);
    await probe.quit();
    const stored = readFileSync(join(hostDir, 'stored')).toString('latin1', 0, rounds * 8);
    expect(stored).to.equal(Array.from({ length: rounds }, (_, n) => `${String(n).padStart(7, '0')}.`).join(''));
    for (let n = 0; n < FILES; n++) {
      expect(sha256(readFileSync(join(hostDir, `file${n}`)))).to.equal(
        readFileSync(join(hostDir, 'sums', `file${n}`), 'utf8'),
      );
    }
  });

  it('pause and resume together', async () => {
    const probe = await BlobProbe.start(guest);
    await probe.make([{ id: 1, size: MIB }]);
    await probe.fill(1);
    for (let round = 0; round < 3; round++) {
      await guest.qmp('stop');
      await guest.qmp('cont');
      await probe.check(1);
      await guest.ok('mapcheck /mnt/file1 && mapcheck /mnt/file2');
    }
    await probe.quit();
  });

  it('end in order', async () => {
    await guest.ok('umount /mnt');
    // That it is unguarded is said at every start.
    expect(complaints(backend).filter((line) => !line.includes('--dax-unguarded'))).to.deep.equal([]);
    expect(await guest.poweroff()).to.deep.equal({ code: 0, signal: null });
    expect(backend.alive).to.equal(true);
  });
});
