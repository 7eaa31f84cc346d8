/** A verified load for any virtio-blk back-end: each block is filled with one pattern, and a model knows which. */
import { expect } from 'chai';
import * as blk from '../../../packages/virtio-device/examples/blk/layout.ts';
import { dice } from '../../../packages/virtio-device/test/dice.ts';
import { header, range } from '../../../packages/virtio-device/test/examples-blk-requests.ts';
import type { PeerRequest } from './peer-machine.ts';

/** VIRTIO 1.3, 5.2.3 and 5.2.6: what the example device does not have. */
export const VIRTIO_BLK_F_WRITE_ZEROES = 14;
const VIRTIO_BLK_T_WRITE_ZEROES = 13;

/** Bytes of a block of the load. */
export const BLK_BLOCK = 4096;
const SECTORS = BLK_BLOCK / blk.SECTOR;

/** What a load does. */
export interface BlkLoad {
  /** The pattern of each block: read and written. */
  readonly model: Uint8Array;
  readonly count: number;
  readonly discard: boolean;
  readonly writeZeroes: boolean;
}

/** The bytes of a block in three buffers, of which two end within a sector. */
function cut(bytes: Uint8Array): Uint8Array[] {
  return [bytes.subarray(0, 512), bytes.subarray(512, 1500), bytes.subarray(1500)];
}

/** Writes, reads that are verified, discards and flushes of random blocks; a block is in one request at a time. */
export function* blkRequests({ model, count, discard, writeZeroes }: BlkLoad): Generator<PeerRequest> {
  const roll = dice(20261122);
  const busy = new Set<number>();
  for (let done = 0; done < count; done++) {
    let block = roll(model.length);
    while (busy.has(block)) block = (block + 1) % model.length;
    busy.add(block);
    yield requestFor(block);
  }

  function requestFor(block: number): PeerRequest {
    const sector = block * SECTORS;
    const kind = roll(100);
    const over = (status: number | undefined, type: number) => {
      busy.delete(block);
      expect(status, `status of request type ${type} of block ${block}`).to.equal(blk.VIRTIO_BLK_S_OK);
    };
    const plain = (type: number, more: readonly Uint8Array[]): PeerRequest => ({
      readable: [header(type, type === blk.VIRTIO_BLK_T_OUT ? sector : 0), ...more],
      writable: [1],
      check: ({ bytes, written }) => {
        expect(written).to.equal(1);
        over(bytes[0], type);
      },
    });
    if (kind < 2) return plain(blk.VIRTIO_BLK_T_FLUSH, []);
    if (kind < 8 && (discard || writeZeroes)) {
      model[block] = 0;
      const type = writeZeroes && (!discard || kind < 5) ? VIRTIO_BLK_T_WRITE_ZEROES : blk.VIRTIO_BLK_T_DISCARD;
      return plain(type, [range(sector, SECTORS)]);
    }
    if (kind < 50) {
      const pattern = 1 + roll(255);
      model[block] = pattern;
      return plain(blk.VIRTIO_BLK_T_OUT, cut(new Uint8Array(BLK_BLOCK).fill(pattern)));
    }
    const pattern = model[block]!;
    return {
      readable: [header(blk.VIRTIO_BLK_T_IN, sector)],
      writable: [512, 988, BLK_BLOCK - 1500, 1],
      check: ({ bytes, written }) => {
        expect(written).to.equal(BLK_BLOCK + 1);
        over(bytes[BLK_BLOCK], blk.VIRTIO_BLK_T_IN);
        expect(
          bytes.subarray(0, BLK_BLOCK).every((byte) => byte === pattern),
          `block ${block} is ${pattern}`,
        ).to.equal(true);
      },
    };
  }
}

/** The first block of an image that is not what the model says; -1: none. */
export function wrongBlock(model: Uint8Array, image: Buffer): number {
  return model.findIndex((pattern, block) => {
    const bytes = image.subarray(block * BLK_BLOCK, (block + 1) * BLK_BLOCK);
    return bytes[0] !== pattern || bytes.compare(bytes, 1, BLK_BLOCK, 0, BLK_BLOCK - 1) !== 0;
  });
}
