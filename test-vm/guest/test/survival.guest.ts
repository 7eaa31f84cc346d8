/**
 * A disk under a stock front-end that reconnects, `vhost-user-blk-pci` with `reconnect-ms`: its back-end is killed again and
 * again while the guest writes and verifies.
 */
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { bootGuest, buildInitramfs, type Guest, guestSuite, HostProcess } from '../index.ts';

const SERVE = fileURLToPath(new URL('../../../packages/virtio-device/examples/serve-blk.ts', import.meta.url));
const KILLS = 20;
/** In the guest: the size of a piece that is written and read at once, and how many fit. */
const PIECE = 512 << 10;
const PIECES = 60;
const RINGS = { vda: 'split', vdb: 'packed' } as const;
type Disk = keyof typeof RINGS;
const DISKS = Object.keys(RINGS) as Disk[];

/** Writes, reads and compares past the guest's cache until `/tmp/stop` is there; what is wrong goes to `/tmp/wrong.DISK`. */
function work(disk: Disk): string {
  const piece = `/tmp/piece.${disk}`;
  const blocks = PIECE >> 16;
  return `(n=0; : >/tmp/wrong.${disk}; while [ ! -e /tmp/stop ]; do
    at=$((n * 7 % ${PIECES} * ${blocks}))
    head -c ${PIECE} /dev/urandom >${piece}
    dd if=${piece} of=/dev/${disk} bs=64k seek=$at oflag=direct 2>/dev/null || echo "write $n" >>/tmp/wrong.${disk}
    dd if=/dev/${disk} bs=64k skip=$at count=${blocks} iflag=direct 2>/dev/null >${piece}.back || echo "read $n" >>/tmp/wrong.${disk}
    [ "$(sha256sum <${piece})" = "$(sha256sum <${piece}.back)" ] || echo "bytes $n" >>/tmp/wrong.${disk}
    n=$((n + 1)); echo $n >/tmp/rounds.${disk}
  done; echo done >/tmp/done.${disk}) </dev/null >/dev/null 2>&1 &`;
}

describe('a disk under QEMU whose back-end is killed', () => {
  const suite = guestSuite('survival');
  const programs = new Map<Disk, HostProcess>();
  let dir: string;
  let guest: Guest;

  async function serve(disk: Disk): Promise<void> {
    const flags = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];
    const paths = [join(dir, `${disk}.img`), join(dir, `${disk}.sock`)];
    const program = HostProcess.start([process.execPath, ...flags, SERVE, '--survive', ...paths], { name: disk });
    programs.set(disk, program);
    await program.waitOutput(/listening/);
  }

  function frontend(disk: Disk): string[] {
    const packed = RINGS[disk] === 'packed' ? 'on' : 'off';
    return [
      ...['-chardev', `socket,id=${disk},path=${join(dir, `${disk}.sock`)},reconnect-ms=50`],
      ...['-device', `vhost-user-blk-pci,chardev=${disk},packed=${packed}`],
    ];
  }

  const rounds = async (disk: Disk): Promise<number> => Number(await guest.ok(`cat /tmp/rounds.${disk} || echo 0`));

  before(async () => {
    dir = suite.folder('disks');
    for (const disk of DISKS) {
      writeFileSync(join(dir, `${disk}.img`), '');
      truncateSync(join(dir, `${disk}.img`), PIECES * PIECE);
      await serve(disk);
    }
    const { environment } = suite;
    guest = await bootGuest({
      environment,
      initramfs: await buildInitramfs(environment, { modules: ['virtio_blk'] }),
      qemuArgs: DISKS.flatMap(frontend),
    });
  });
  after(async () => {
    await guest?.close();
    for (const program of programs.values()) await program.stop();
  });

  it(`loses, doubles and spoils nothing over ${KILLS} kills (split and packed rings)`, async () => {
    for (const disk of DISKS) await guest.ok(work(disk));
    for (let kill = 0; kill < KILLS; kill++) {
      const before = await Promise.all(DISKS.map(rounds));
      for (const disk of DISKS) {
        const program = programs.get(disk)!;
        program.kill('SIGKILL');
        expect(await program.waitExit(5000)).to.deep.equal({ code: null, signal: 'SIGKILL' });
        await serve(disk);
        await programs.get(disk)!.waitOutput(/started/);
      }
      for (const [at, disk] of DISKS.entries()) {
        while ((await rounds(disk)) <= before[at]!);
      }
    }
    await guest.ok('touch /tmp/stop; until [ -e /tmp/done.vda -a -e /tmp/done.vdb ]; do sleep 0.1; done');
    for (const disk of DISKS) {
      expect(await guest.ok(`cat /tmp/wrong.${disk}`), disk).to.equal('');
      expect(await rounds(disk)).to.be.greaterThan(KILLS);
    }
  });
});
