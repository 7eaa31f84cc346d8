/** virtio-blk (VIRTIO 1.3, 5.2). Nothing here writes to the disk. */
import { put64, type Word } from '../payloads.ts';
import { type DeviceLie, type KnownDevice, UNTOUCHED } from './device.ts';
import {
  SECTOR,
  VIRTIO_BLK_ID_BYTES,
  VIRTIO_BLK_S_OK,
  VIRTIO_BLK_T_DISCARD,
  VIRTIO_BLK_T_GET_ID,
  VIRTIO_BLK_T_IN,
  VIRTIO_BLK_T_OUT,
  VirtioBlkOuthdr,
} from './layout.ts';

const SOURCE = 'VIRTIO 1.3, 5.2.6.2';
const FAR = 1n << 54n;

function header(type: number, sector: Word = 0): Uint8Array {
  const view = new DataView(new ArrayBuffer(VirtioBlkOuthdr.byteLength));
  VirtioBlkOuthdr.type.set(view, 0, type);
  put64(VirtioBlkOuthdr.sector, view, 0, sector);
  return new Uint8Array(view.buffer);
}

function lie(id: string, what: string, readable: readonly Uint8Array[], writable: readonly number[]): DeviceLie {
  return { id, source: SOURCE, what, readable, writable };
}

/** The device as the suite knows it. */
export const blk: KnownDevice = {
  name: 'blk',
  queue: 0,
  honest: { readable: [header(VIRTIO_BLK_T_GET_ID)], writable: [VIRTIO_BLK_ID_BYTES, 1] },
  check: ({ bytes }) => (bytes.at(-1) === VIRTIO_BLK_S_OK ? null : `status ${bytes.at(-1)} for GET_ID`),
  refusal({ bytes }) {
    const status = bytes.at(-1);
    return status === undefined || status === UNTOUCHED || status === VIRTIO_BLK_S_OK ? null : `status ${status}`;
  },
  lies: [
    lie('sector-beyond-end', 'a read of a sector beyond the end', [header(VIRTIO_BLK_T_IN, 1n << 40n)], [SECTOR, 1]),
    lie('sector-wraps', 'a read of a sector whose byte offset wraps', [header(VIRTIO_BLK_T_IN, FAR)], [SECTOR, 1]),
    lie('sector-max', 'a read of sector 2^64 - 1', [header(VIRTIO_BLK_T_IN, (1n << 64n) - 1n)], [2 * SECTOR, 1]),
    lie('write-beyond-end', 'a write far beyond the end', [header(VIRTIO_BLK_T_OUT, FAR), new Uint8Array(SECTOR)], [1]),
    lie('type-unknown', 'a type that there is not', [header(0x7777_7777)], [SECTOR, 1]),
    lie('half-sector', 'a read of half a sector', [header(VIRTIO_BLK_T_IN)], [SECTOR / 2, 1]),
    lie('short-header', 'a header that is cut', [header(VIRTIO_BLK_T_IN).subarray(0, 7)], [SECTOR, 1]),
    lie('no-status', 'no room for the status', [header(VIRTIO_BLK_T_IN)], []),
    lie('no-header', 'no header', [], [SECTOR, 1]),
    lie(
      'discard-beyond-end',
      'a discard of ranges beyond the end',
      [header(VIRTIO_BLK_T_DISCARD), new Uint8Array(16).fill(0xff, 0, 12)],
      [1],
    ),
    lie('discard-cut', 'a discard of half a range', [header(VIRTIO_BLK_T_DISCARD), new Uint8Array(8)], [1]),
  ],
};
