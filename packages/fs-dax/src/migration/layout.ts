/** The state of a virtio-fs device as it moves to another host: a header, then pieces, each with a head; little-endian. */
import { struct, U32 } from '@oriel/layout';

/** "OrFM" */
export const MAGIC = 0x4d46_724f;
export const VERSION = 1;

export const StateHeader = struct('fs_state', { magic: U32, version: U32, reserved: U32, reserved2: U32 });

/** Of `len` bytes behind it. */
export const PieceHead = struct('fs_state_piece', { kind: U32, len: U32 });

/** The FUSE session, first; left out where none was begun. */
export const SESSION = 1;
/** A record of the file system. */
export const RECORD = 2;
/** The end: whatever has none was cut. */
export const END = 3;

/** What INIT agreed; the request behind its header follows. */
export const SessionPiece = struct('fs_state_session', { flagsLo: U32, flagsHi: U32, maxPages: U32, reserved: U32 });

/** How many pieces came before. */
export const EndPiece = struct('fs_state_end', { pieces: U32 });

/** Of a request of INIT; what follows in longer ones nothing reads. */
export const INIT_MAX = 192;
