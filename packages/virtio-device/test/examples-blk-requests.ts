/** Requests for a virtio-blk device, and those that every such device must refuse. */
import * as blk from '../examples/blk/layout.ts';

const { VIRTIO_BLK_S_IOERR: IOERR, VIRTIO_BLK_S_UNSUPP: UNSUPP } = blk;
const { VIRTIO_BLK_T_IN: IN, VIRTIO_BLK_T_OUT: OUT, VIRTIO_BLK_T_DISCARD: DISCARD } = blk;

/** The bytes that every request begins with; `high` is the upper word of the sector. */
export function header(type: number, sector = 0, high = 0): Uint8Array {
  const bytes = new Uint8Array(blk.VirtioBlkOuthdr.byteLength);
  const view = new DataView(bytes.buffer);
  blk.VirtioBlkOuthdr.type.set(view, 0, type);
  blk.VirtioBlkOuthdr.sector.setParts(view, 0, sector, high);
  return bytes;
}

/** The range of a discard. */
export function range(sector: number, sectors: number, flags = 0): Uint8Array {
  const bytes = new Uint8Array(blk.VirtioBlkDiscard.byteLength);
  const view = new DataView(bytes.buffer);
  blk.VirtioBlkDiscard.sector.set(view, 0, sector);
  blk.VirtioBlkDiscard.numSectors.set(view, 0, sectors);
  blk.VirtioBlkDiscard.flags.set(view, 0, flags);
  return bytes;
}

/** A request by its parts, and the status that answers it. */
export interface BlkRefusal {
  readonly what: string;
  readonly readable: readonly Uint8Array[];
  readonly writable: readonly number[];
  readonly status: number;
}

/** What a disk of so many sectors refuses. */
export function refusals(sectors: number): readonly BlkRefusal[] {
  const sector = new Uint8Array(blk.SECTOR).fill(1);
  const table: readonly (readonly [string, readonly Uint8Array[], readonly number[], number])[] = [
    ['a read from the end', [header(IN, sectors)], [512, 1], IOERR],
    ['a read over the end', [header(IN, sectors - 1)], [1024, 1], IOERR],
    ['a sector above 2^53', [header(IN, 0, 0xffff_ffff)], [512, 1], IOERR],
    ['a sector that is in range once it is cut to 32 bits', [header(IN, 0, 1)], [512, 1], IOERR],
    ['a read of half a sector', [header(IN)], [256, 1], IOERR],
    ['a write over the end', [header(OUT, sectors - 1), sector, sector], [1], IOERR],
    ['a write of half a sector', [header(OUT), sector.subarray(0, 256)], [1], IOERR],
    ['a type that nobody knows', [header(77)], [1], UNSUPP],
    ['a discard over the end', [header(DISCARD), range(sectors - 1, 2)], [1], IOERR],
    ['a discard that is too long', [header(DISCARD), range(0, 0xffff_ffff)], [1], IOERR],
    ['a discard with the unmap flag', [header(DISCARD), range(0, 1, 1)], [1], UNSUPP],
    ['two ranges where one is allowed', [header(DISCARD), range(0, 1), range(2, 1)], [1], UNSUPP],
    ['half a range', [header(DISCARD), range(0, 1).subarray(0, 8)], [1], IOERR],
  ];
  return table.map(([what, readable, writable, status]) => ({ what, readable, writable, status }));
}
