/** The virtio-blk formats (VIRTIO 1.3, 5.2; linux/virtio_blk.h), little-endian. */
import { bytes, pad, struct, U8, U16, U32, U64 } from '@oriel/layout';

export const VIRTIO_ID_BLOCK = 2;

/** Feature bits (5.2.3). */
export const VIRTIO_BLK_F_SEG_MAX = 2;
export const VIRTIO_BLK_F_RO = 5;
export const VIRTIO_BLK_F_BLK_SIZE = 6;
export const VIRTIO_BLK_F_FLUSH = 9;
export const VIRTIO_BLK_F_MQ = 12;
export const VIRTIO_BLK_F_DISCARD = 13;

/** `type` of a request (5.2.6). */
export const VIRTIO_BLK_T_IN = 0;
export const VIRTIO_BLK_T_OUT = 1;
export const VIRTIO_BLK_T_FLUSH = 4;
export const VIRTIO_BLK_T_GET_ID = 8;
export const VIRTIO_BLK_T_DISCARD = 11;

/** The last byte of the writable part. */
export const VIRTIO_BLK_S_OK = 0;
export const VIRTIO_BLK_S_IOERR = 1;
export const VIRTIO_BLK_S_UNSUPP = 2;

/** Bytes of the string that GET_ID answers with; no NUL is needed at its end. */
export const VIRTIO_BLK_ID_BYTES = 20;
/** The unit of `sector` and of `capacity`, whatever the block size. */
export const SECTOR = 512;

/** `struct virtio_blk_config` up to the fields of WRITE_ZEROES. */
export const VirtioBlkConfig = struct('virtio_blk_config', {
  capacity: U64,
  sizeMax: U32,
  segMax: U32,
  geometry: bytes(4, 2),
  blkSize: U32,
  physicalBlockExp: U8,
  alignmentOffset: U8,
  minIoSize: U16,
  optIoSize: U32,
  wce: U8,
  unused: pad(1),
  numQueues: U16,
  maxDiscardSectors: U32,
  maxDiscardSeg: U32,
  discardSectorAlignment: U32,
  maxWriteZeroesSectors: U32,
  maxWriteZeroesSeg: U32,
  writeZeroesMayUnmap: U8,
  unused1: pad(3),
});

/** `struct virtio_blk_outhdr`: what every request begins with. */
export const VirtioBlkOuthdr = struct('virtio_blk_outhdr', { type: U32, ioprio: U32, sector: U64 });

/** `struct virtio_blk_discard_write_zeroes`: one range. */
export const VirtioBlkDiscard = struct('virtio_blk_discard_write_zeroes', { sector: U64, numSectors: U32, flags: U32 });
