import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BlockingLoop, NodeLoop } from '@oriel/sys';
import { leakCheck, type TempDir, tempDir } from '@oriel/sys/testing';
import { FeatureSet } from '@oriel/vhost-user';
import { expect } from 'chai';
import { BlkDevice } from '../examples/blk/device.ts';
import { Image } from '../examples/blk/image.ts';
import * as blk from '../examples/blk/layout.ts';
import {
  ConnectedMachine,
  deviceConformance,
  type MockDriver,
  type SampleRequest,
  ServedProgram,
} from '../src/testing/index.ts';
import { dice } from './dice.ts';
import { example } from './examples.ts';
import { header, range, refusals } from './examples-blk-requests.ts';
import { sys } from './machine.ts';

const SIZE = 1 << 20;
const SECTORS = SIZE / blk.SECTOR;
const ALL = new FeatureSet(0xffff_ffff, 0xffff_ffff);

class Disk implements AsyncDisposable {
  readonly #dir: TempDir;
  readonly #program: ServedProgram;
  readonly machine: ConnectedMachine;
  readonly path: string;
  readonly drivers: readonly MockDriver[];

  private constructor(dir: TempDir, path: string, program: ServedProgram, features: FeatureSet) {
    this.#dir = dir;
    this.path = path;
    this.#program = program;
    this.machine = new ConnectedMachine({ sys, socketPath: join(dir.path, 'blk.sock'), features });
    this.drivers = [0, 1].map((index) => this.machine.start(index, 128));
  }

  static async open(features = ALL, ...args: string[]): Promise<Disk> {
    const dir = tempDir();
    const path = join(dir.path, 'image');
    writeFileSync(path, '');
    truncateSync(path, SIZE);
    const program = await ServedProgram.start(example('serve-blk.ts'), path, join(dir.path, 'blk.sock'), ...args);
    return new Disk(dir, path, program, features);
  }

  /** @returns the status, and the data in front of it */
  ask(readable: readonly Uint8Array[], writable: readonly number[], queue = 0): { status: number; data: Uint8Array } {
    const { bytes } = this.machine.ask(this.drivers[queue]!, readable, writable);
    return { status: bytes.at(-1)!, data: bytes.slice(0, -1) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.machine[Symbol.dispose]();
    expect(await this.#program.ended, this.#program.text).to.deep.equal([0, null]);
    this.#dir[Symbol.dispose]();
  }
}

describe('the blk example, as a program', () => {
  it('reads and writes the file from two queues', async () => {
    await using disk = await Disk.open();
    const data = new Uint8Array(3 * blk.SECTOR).map((_, at) => at % 251);
    const pieces = [data.subarray(0, 100), data.subarray(100, 1000), data.subarray(1000)];
    expect(disk.ask([header(blk.VIRTIO_BLK_T_OUT, 7), ...pieces], [1], 1).status).to.equal(blk.VIRTIO_BLK_S_OK);
    expect(
      readFileSync(disk.path)
        .subarray(7 * blk.SECTOR, 10 * blk.SECTOR)
        .equals(data),
    ).to.equal(true);
    const { bytes, written } = disk.machine.ask(disk.drivers[0]!, [header(blk.VIRTIO_BLK_T_IN, 7)], [512, 1000, 24, 1]);
    expect(written).to.equal(data.length + 1);
    expect(Buffer.from(bytes.subarray(0, -1)).equals(data)).to.equal(true);
    expect(bytes.at(-1)).to.equal(blk.VIRTIO_BLK_S_OK);
  });

  it('says in its configuration what it takes', async () => {
    await using disk = await Disk.open();
    const bytes = disk.machine.config(blk.VirtioBlkConfig.byteLength);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const { capacity, segMax, blkSize, numQueues, maxDiscardSeg } = blk.VirtioBlkConfig;
    const fields = [capacity, segMax, blkSize, numQueues, maxDiscardSeg].map((field) => field.get(view, 0));
    expect(fields).to.deep.equal([SECTORS, 126, 512, 4, 1]);
  });

  it('flushes, discards and tells its name', async () => {
    await using disk = await Disk.open();
    const data = new Uint8Array(16 * blk.SECTOR).fill(7);
    disk.ask([header(blk.VIRTIO_BLK_T_OUT, 0), data], [1]);
    expect(disk.ask([header(blk.VIRTIO_BLK_T_FLUSH)], [1]).status).to.equal(blk.VIRTIO_BLK_S_OK);
    const { blocks } = statSync(disk.path);
    expect(disk.ask([header(blk.VIRTIO_BLK_T_DISCARD), range(8, 8)], [1]).status).to.equal(blk.VIRTIO_BLK_S_OK);
    expect(statSync(disk.path).blocks).to.equal(blocks - 8);
    expect(
      readFileSync(disk.path)
        .subarray(0, 16 * blk.SECTOR)
        .lastIndexOf(7),
    ).to.equal(8 * blk.SECTOR - 1);
    const { status, data: id } = disk.ask([header(blk.VIRTIO_BLK_T_GET_ID)], [20, 1]);
    expect(status).to.equal(blk.VIRTIO_BLK_S_OK);
    expect(Buffer.from(id).toString()).to.equal('oriel'.padEnd(20, '\0'));
  });

  it('refuses what lies outside or has no shape, and goes on', async () => {
    await using disk = await Disk.open();
    const { VIRTIO_BLK_T_IN: IN, VIRTIO_BLK_T_OUT: OUT, VIRTIO_BLK_T_DISCARD: DISCARD } = blk;
    const before = readFileSync(disk.path);
    const sector = new Uint8Array(blk.SECTOR).fill(1);
    for (const { what, readable, writable, status } of refusals(SECTORS)) {
      expect(disk.ask(readable, writable).status, what).to.equal(status);
    }
    const half = header(IN).subarray(0, 8);
    expect(disk.ask([half], [512, 1]).status, 'half a header').to.equal(blk.VIRTIO_BLK_S_IOERR);
    expect(disk.machine.ask(disk.drivers[0]!, [header(OUT), sector], []).written, 'no status byte').to.equal(0);
    expect(readFileSync(disk.path).equals(before)).to.equal(true);
    expect(disk.ask([header(IN)], [512, 1]).status).to.equal(blk.VIRTIO_BLK_S_OK);
    expect(disk.ask([header(IN)], [1]).status, 'nothing').to.equal(blk.VIRTIO_BLK_S_OK);
    expect(disk.ask([header(DISCARD), range(0, 0)], [1]).status, 'nothing').to.equal(blk.VIRTIO_BLK_S_OK);
  });

  it('writes nothing to a disk that is read-only', async () => {
    await using disk = await Disk.open(ALL, '--readonly');
    expect(disk.machine.mock.frontend.features.has(blk.VIRTIO_BLK_F_RO)).to.equal(true);
    const sector = new Uint8Array(blk.SECTOR).fill(1);
    expect(disk.ask([header(blk.VIRTIO_BLK_T_OUT), sector], [1]).status).to.equal(blk.VIRTIO_BLK_S_IOERR);
    expect(disk.ask([header(blk.VIRTIO_BLK_T_DISCARD), range(0, 1)], [1]).status).to.equal(blk.VIRTIO_BLK_S_IOERR);
    expect(disk.ask([header(blk.VIRTIO_BLK_T_IN)], [512, 1]).status).to.equal(blk.VIRTIO_BLK_S_OK);
  });

  for (const flushes of [true, false]) {
    it(`does 600 random requests right, 40 at a time, for a driver that ${flushes ? 'flushes' : 'cannot flush'}`, async () => {
      await using disk = await Disk.open(flushes ? ALL : ALL.without(blk.VIRTIO_BLK_F_FLUSH));
      const roll = dice(4711);
      const model = new Uint8Array(SIZE);
      const kinds = flushes ? 4 : 3;
      for (let round = 0; round < 15; round++) {
        // The order of what is under way is free: each request of a round has 8 sectors of its own.
        const places = Array.from({ length: SECTORS / 8 }, (_, at) => at * 8).sort(() => roll(2) - 0.5);
        const expected = disk.drivers.map(() => new Map<number, Uint8Array | null>());
        for (let n = 0; n < 40; n++) {
          const queue = roll(2);
          const sector = places[n]!;
          const len = (1 + roll(8)) * blk.SECTOR;
          const driver = disk.drivers[queue]!;
          const at = sector * blk.SECTOR;
          switch (roll(kinds)) {
            case 0: {
              const data = new Uint8Array(len).fill(roll(256));
              model.set(data, at);
              expected[queue]!.set(driver.send([header(blk.VIRTIO_BLK_T_OUT, sector), data], [1]), null);
              break;
            }
            case 1:
              model.fill(0, at, at + len);
              expected[queue]!.set(
                driver.send([header(blk.VIRTIO_BLK_T_DISCARD), range(sector, len / blk.SECTOR)], [1]),
                null,
              );
              break;
            case 2:
              expected[queue]!.set(
                driver.send([header(blk.VIRTIO_BLK_T_IN, sector)], [len, 1]),
                model.slice(at, at + len),
              );
              break;
            default:
              expected[queue]!.set(driver.send([header(blk.VIRTIO_BLK_T_FLUSH)], [1]), null);
          }
        }
        for (const [queue, left] of expected.entries()) {
          while (left.size > 0) {
            const { head, bytes } = disk.machine.answer(disk.drivers[queue]!);
            expect(bytes.at(-1)).to.equal(blk.VIRTIO_BLK_S_OK);
            const data = left.get(head);
            if (data) expect(Buffer.from(bytes.subarray(0, -1)).equals(data)).to.equal(true);
            left.delete(head);
          }
        }
      }
      expect(readFileSync(disk.path).equals(model)).to.equal(true);
    });
  }

  it('takes rings in RAM that may shrink only where it is told to trust its front-end', async () => {
    const unsealed = { ...sys, mem: { ...sys.mem, addSeals: () => 0 } };
    for (const flags of [[], ['--trust-ram']]) {
      using dir = tempDir();
      const [path, socketPath] = [join(dir.path, 'image'), join(dir.path, 'blk.sock')];
      writeFileSync(path, new Uint8Array(SIZE));
      await using program = await ServedProgram.start(example('serve-blk.ts'), ...flags, path, socketPath);
      {
        using machine = new ConnectedMachine({ sys: unsealed, socketPath });
        if (flags.length === 0) {
          expect(() => machine.start(0)).to.throw(/refused|ERR_VU/);
        } else {
          const { bytes } = machine.ask(machine.start(0), [header(blk.VIRTIO_BLK_T_IN)], [512, 1]);
          expect(bytes.at(-1)).to.equal(blk.VIRTIO_BLK_S_OK);
        }
      }
      expect(await program.ended).to.deep.equal([0, null]);
    }
  });

  it('answers more requests at a time than its helpers take', async () => {
    await using disk = await Disk.open();
    for (const driver of disk.drivers) {
      for (let n = 0; n < 60; n++) driver.send([header(blk.VIRTIO_BLK_T_FLUSH)], [1]);
    }
    for (const driver of disk.drivers) {
      for (let n = 0; n < 60; n++) expect(disk.machine.answer(driver).bytes[0]).to.equal(blk.VIRTIO_BLK_S_OK);
    }
  });
});

describe('an image', () => {
  it('is locked, and must be a file of at least a sector', () => {
    using _leaks = leakCheck();
    using dir = tempDir();
    const path = join(dir.path, 'image');
    writeFileSync(path, new Uint8Array(700));
    using image = new Image(sys, path);
    expect(image.sectors).to.equal(1);
    expect(() => new Image(sys, path)).to.throw(/EAGAIN|EWOULDBLOCK/);
    expect(() => new Image(sys, path, { readOnly: true })).to.throw(/EAGAIN|EWOULDBLOCK/);
    writeFileSync(join(dir.path, 'small'), new Uint8Array(511));
    expect(() => new Image(sys, join(dir.path, 'small'))).to.throw(RangeError);
    expect(() => new Image(sys, '/dev/null')).to.throw(RangeError);
  });
});

const requests: readonly SampleRequest[] = [
  [header(blk.VIRTIO_BLK_T_OUT, 1), new Uint8Array(blk.SECTOR).fill(5)],
  [header(blk.VIRTIO_BLK_T_FLUSH)],
  [header(blk.VIRTIO_BLK_T_DISCARD), range(4, 4)],
].map((readable) => ({
  queue: 0,
  readable,
  writable: [1],
  verify: ({ bytes }) => expect(bytes[0]).to.equal(blk.VIRTIO_BLK_S_OK),
}));

for (const [driver, Loop] of Object.entries({ blocking: BlockingLoop, node: NodeLoop })) {
  describe(`deviceConformance of the blk example, ${driver} driver`, () => {
    let dir: TempDir;
    let image: Image;
    before(() => {
      dir = tempDir();
      writeFileSync(join(dir.path, 'image'), new Uint8Array(64 * blk.SECTOR));
      image = new Image(sys, join(dir.path, 'image'));
      new Loop(sys)[Symbol.dispose]();
    });
    after(() => {
      image[Symbol.dispose]();
      dir[Symbol.dispose]();
    });
    const makeDevice = () => new BlkDevice({ sys, image });
    for (const { name, run } of deviceConformance(makeDevice, {
      sys,
      makeLoop: () => new Loop(sys),
      requests,
      survives: true,
    })) {
      it(name, run);
    }
  });
}
