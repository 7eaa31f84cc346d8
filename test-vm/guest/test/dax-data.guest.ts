/** Bytes through the window: checksums, coherence both ways, ranges used again, growth, buffers inside the window. */
import { createHash } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type DaxShare, exec, guestSuite, openDaxShare, startOrielFs, vhostUserFs } from '../index.ts';

const MIB = 1 << 20;
const LONG = { timeoutMs: 240_000 };

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path, { highWaterMark: MIB })) hash.update(piece as Buffer);
  return hash.digest('hex');
}

async function randomFile(path: string, mib: number): Promise<void> {
  await exec(['dd', 'if=/dev/urandom', `of=${path}`, 'bs=1M', `count=${mib}`, 'status=none'], { timeoutMs: 120_000 });
}

function bytesAt(path: string, offset: number, len: number): string {
  const fd = openSync(path, 'r');
  const bytes = Buffer.alloc(len);
  readSync(fd, bytes, 0, len, offset);
  closeSync(fd);
  return bytes.toString('latin1');
}

function storeAt(path: string, offset: number, text: string): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, text, offset);
  closeSync(fd);
}

describe('data in the DAX window under stock QEMU', () => {
  const suite = guestSuite('dax-data');
  let share: DaxShare;

  before(async () => {
    const dir = suite.folder('data');
    // A second vhost-user device of the same VM, without a window.
    mkdirSync(join(dir, 'other'));
    const other = { socketPath: join(dir, 'other.sock'), sharedDir: join(dir, 'other') };
    const second = await startOrielFs({ ...other, tag: 'other', window: '0' });
    const opened = await openDaxShare({
      environment: suite.environment,
      dir,
      logLevel: 'trace',
      boot: { qemuArgs: vhostUserFs(other.socketPath, 'other', 'other') },
    });
    share = {
      ...opened,
      [Symbol.asyncDispose]: async () => {
        await opened[Symbol.asyncDispose]();
        await second.stop();
      },
    };
    await randomFile(join(share.hostDir, 'gigabyte'), 1024);
  });
  after(() => share?.[Symbol.asyncDispose]());

  for (const mount of ['', '-o dax=always']) {
    describe(mount === '' ? 'mounted with default options' : `mounted with ${mount}`, () => {
      before(() => share.guest.ok(`mount -t virtiofs ${mount} share /mnt`));
      after(() => share.guest.ok('umount /mnt'));

      it('gives a file of 1 GiB the same SHA-256 by read() and by mmap', async function () {
        this.timeout(480_000);
        const sum = await sha256(join(share.hostDir, 'gigabyte'));
        expect(await share.guest.ok('sha256sum </mnt/gigabyte', LONG)).to.equal(`${sum}  -`);
        expect(await share.guest.ok('mapcat /mnt/gigabyte | sha256sum', LONG)).to.equal(`${sum}  -`);
      });

      it('shows a store through mmap to the host without a FUSE_WRITE', async () => {
        const path = join(share.hostDir, 'stores');
        writeFileSync(path, Buffer.alloc(4 * MIB));
        await share.guest.ok('mapread /mnt/stores 0 1 >/dev/null');
        const from = share.backend.stderr.length;
        await share.guest.ok('mapstore /mnt/stores 3000000 from-the-guest');
        expect(bytesAt(path, 3_000_000, 14)).to.equal('from-the-guest');
        expect(share.backend.stderr.slice(from)).to.not.match(/\bWRITE\b/);
        await share.guest.ok('echo by a request >/mnt/written');
        expect(share.backend.stderr.slice(from), 'a request would be seen').to.match(/\bWRITE\b/);
      });

      it('shows a store of the host to the guest', async () => {
        const path = join(share.hostDir, 'host-stores');
        writeFileSync(path, Buffer.alloc(4 * MIB));
        expect(await share.guest.ok('mapread /mnt/host-stores 1000 5 | od -An -tx1')).to.match(/00 00 00 00 00/);
        storeAt(path, 1000, 'HELLO');
        expect(await share.guest.ok('mapread /mnt/host-stores 1000 5')).to.equal('HELLO');
      });

      it('is right after each step of a file that grows in the guest while mapped', async () => {
        await share.guest.ok('growcheck /mnt/grows-pages 40 4096', LONG);
        await share.guest.ok('growcheck /mnt/grows-bytes 60 1237', LONG);
        await share.guest.ok('growcheck /mnt/grows-large 6 1000000', LONG);
        writeFileSync(join(share.hostDir, 'grows-on'), Buffer.alloc(MIB, 'x'));
        await share.guest.ok('mapcheck /mnt/grows-on; growcheck /mnt/grows-on 30 70001', LONG);
        expect(readFileSync(join(share.hostDir, 'grows-on')).length).to.equal(30 * 70001);
      });

      it('reads a file without DAX by O_DIRECT into memory of a DAX file', async () => {
        await randomFile(join(share.hostDir, 'target'), 8);
        await randomFile(join(share.hostDir, '../other/source'), 8);
        await share.guest.ok('mkdir -p /other && mount -t virtiofs other /other');
        try {
          await share.guest.ok('odirect /other/source /mnt/target', LONG);
          expect(await sha256(join(share.hostDir, 'target'))).to.equal(
            await sha256(join(share.hostDir, '../other/source')),
          );
        } finally {
          await share.guest.ok('umount /other');
        }
      });
    });
  }

  it('serves 512 MiB of files through a window of 64 MiB with no wrong byte', async function () {
    this.timeout(480_000);
    const dir = suite.folder('reclaim');
    await using small = await openDaxShare({ environment: suite.environment, dir, window: '64M' });
    const sums = new Map<string, string>();
    for (let n = 0; n < 8; n++) {
      await randomFile(join(small.hostDir, `file${n}`), 64);
      sums.set(`file${n}`, await sha256(join(small.hostDir, `file${n}`)));
    }
    await small.guest.ok('mount -t virtiofs share /mnt');
    const read = await small.guest.ok('cd /mnt; sha256sum file*; for f in file*; do mapcat $f | sha256sum; done', LONG);
    const lines = read.split('\n').map((line) => line.split(/\s+/)[0]);
    expect(lines).to.deep.equal([...sums.values(), ...sums.values()]);
    await small.guest.ok(
      '(mapcheck /mnt/file0 & mapcheck /mnt/file1 & mapcheck /mnt/file2 & mapcheck /mnt/file3 & wait)',
      LONG,
    );
    await small.guest.ok('umount /mnt');
  });
});
