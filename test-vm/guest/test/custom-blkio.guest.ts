/**
 * The blk example against peers that no one here wrote and that are no VM (packages qemu-utils, qemu-block-extra, libblkio1):
 * the front-end libblkio, under `qemu-io` and `qemu-img`; and `qemu-storage-daemon`, a back-end, as the oracle for what is
 * refused.
 */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSys } from '@oriel/sys';
import { expect } from 'chai';
import * as blk from '../../../packages/virtio-device/examples/blk/layout.ts';
import { ConnectedMachine } from '../../../packages/virtio-device/src/testing/index.ts';
import { dice } from '../../../packages/virtio-device/test/dice.ts';
import { header, range, refusals } from '../../../packages/virtio-device/test/examples-blk-requests.ts';
import { guestSuite, HostProcess } from '../index.ts';
import { treeTool } from '../src/environment.ts';
import { startStorageDaemon } from '../src/storage-daemon.ts';

const SERVE = fileURLToPath(new URL('../../../packages/virtio-device/examples/serve-blk.ts', import.meta.url));
const BLOCK = 4096;
const BLOCKS = 16384;
const OPERATIONS = 100_000;

/** Commands of qemu-io: random writes of patterns, reads that verify them, now and then a flush. */
function randomCommands(model: Uint8Array): string[] {
  const roll = dice(20251122);
  const commands: string[] = [];
  while (commands.length < OPERATIONS) {
    const block = roll(BLOCKS - 4);
    const place = (count: number) => `${block * BLOCK} ${count * BLOCK}`;
    const kind = roll(1000);
    if (kind === 0) {
      commands.push('flush');
    } else if (kind < 500) {
      const count = 1 + roll(4);
      const pattern = 1 + roll(255);
      model.fill(pattern, block, block + count);
      commands.push(`write -q -P ${pattern} ${place(count)}`);
    } else {
      commands.push(`read -q -P ${model[block]} ${place(1)}`);
    }
  }
  return commands;
}

describe('the blk example beside the tools of QEMU', () => {
  const suite = guestSuite('blkio');
  let dir: string;
  let disk: string;
  let server: HostProcess;
  let socketPath: string;

  /** Runs a program of the tree on the served disk, with a script as its input. @returns all it printed */
  async function tool(name: string, args: readonly string[], script: readonly string[] = []): Promise<string> {
    const { root } = suite.environment;
    const input = join(dir, 'script');
    writeFileSync(input, script.map((line) => `${line}\n`).join(''));
    const options = `driver=virtio-blk-vhost-user,path=${socketPath},cache.direct=on`;
    const command = [...treeTool(root, `usr/bin/${name}`).command, ...args, '--image-opts', options];
    const env = { QEMU_MODULE_DIR: join(root, 'usr/lib/x86_64-linux-gnu/qemu') };
    const program = HostProcess.start(['sh', '-c', 'exec <"$0" "$@"', input, ...command], { name, env });
    const { code } = await program.waitExit(250_000);
    const text = program.stdout + program.stderr;
    expect(code, text).to.equal(0);
    return text;
  }

  beforeEach(async () => {
    dir = suite.folder('blk');
    disk = join(dir, 'disk.img');
    socketPath = join(dir, 'blk.sock');
    writeFileSync(disk, '');
    truncateSync(disk, BLOCKS * BLOCK);
    const flags = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];
    // libblkio shares RAM that is not sealed against shrinking.
    server = HostProcess.start([process.execPath, ...flags, SERVE, '--trust-ram', disk, socketPath], { name: 'blk' });
    await server.waitOutput(/listening/);
  });
  afterEach(async () => {
    await server?.stop();
  });

  it(`does ${OPERATIONS} random operations of qemu-io right, data verified by patterns`, async () => {
    const model = new Uint8Array(BLOCKS);
    const text = await tool('qemu-io', [], randomCommands(model));
    expect(text).not.to.match(/fail|error/i);
    const file = readFileSync(disk);
    const wrong = model.findIndex((pattern, block) => {
      const bytes = file.subarray(block * BLOCK, (block + 1) * BLOCK);
      return bytes[0] !== pattern || bytes.compare(bytes, 1, BLOCK, 0, BLOCK - 1) !== 0;
    });
    expect(wrong).to.equal(-1);
    expect(await server.waitExit(10_000)).to.deep.equal({ code: 0, signal: null });
  });

  it('discards', async () => {
    const commands = ['write -q -P 7 0 128k', 'discard -q 0 64k', 'read -q -P 0 0 64k', 'read -q -P 7 64k 64k'];
    expect(await tool('qemu-io', [], commands)).not.to.match(/fail|error/i);
    expect(readFileSync(disk).indexOf(7)).to.equal(64 << 10);
  });

  it('is told of a pattern that is not there', async () => {
    const program = tool('qemu-io', [], ['read -q -P 1 0 4k', 'read -q -P 0 0 4k']);
    expect(await program.catch((error: Error) => error.message)).to.match(/Pattern verification failed/);
  });

  for (const depth of [1, 64]) {
    it(`bears qemu-img bench with ${depth} writes of 4 KiB at a time`, async () => {
      const args = ['bench', '-w', '-c', '20000', '-d', String(depth), '-s', '4096', '--pattern=90'];
      expect(await tool('qemu-img', args)).to.match(/Run completed in/);
      // It begins again in front of the last block.
      const written = readFileSync(disk).subarray(0, -BLOCK);
      expect(written.every((byte) => byte === 90)).to.equal(true);
    });
  }

  it('refuses what qemu-storage-daemon refuses, with the same status', async () => {
    const peerSocket = join(dir, 'peer.sock');
    const peerDisk = join(dir, 'peer.img');
    writeFileSync(peerDisk, '');
    truncateSync(peerDisk, BLOCKS * BLOCK);
    await using _peer = await startStorageDaemon(suite.environment, { socketPath: peerSocket, imagePath: peerDisk });
    const sectors = (BLOCKS * BLOCK) / blk.SECTOR;
    const good = [
      { what: 'a read', readable: [header(blk.VIRTIO_BLK_T_IN, sectors - 1)], writable: [512, 1] },
      { what: 'a read of nothing', readable: [header(blk.VIRTIO_BLK_T_IN)], writable: [1] },
      { what: 'a flush', readable: [header(blk.VIRTIO_BLK_T_FLUSH)], writable: [1] },
      { what: 'a discard', readable: [header(blk.VIRTIO_BLK_T_DISCARD), range(8, 8)], writable: [1] },
      { what: 'a discard of nothing', readable: [header(blk.VIRTIO_BLK_T_DISCARD), range(0, 0)], writable: [1] },
      { what: 'a name that is cut', readable: [header(blk.VIRTIO_BLK_T_GET_ID)], writable: [7, 1] },
      { what: 'a name', readable: [header(blk.VIRTIO_BLK_T_GET_ID)], writable: [20, 1] },
    ];
    const statuses = [socketPath, peerSocket].map((path) => {
      using machine = new ConnectedMachine({ sys: openSys(), socketPath: path });
      const driver = machine.start(0);
      return [...refusals(sectors), ...good].map(({ what, readable, writable }) => {
        const { bytes } = machine.ask(driver, readable, writable);
        return `${what}: ${bytes.at(-1)}`;
      });
    });
    expect(statuses[0]).to.deep.equal(statuses[1]);
  });
});
