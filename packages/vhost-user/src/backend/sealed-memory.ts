/**
 * Memory that the front-end shares beside the guest's: the in-flight areas and the dirty log. Views are made over it, so a file
 * that could shrink under them is refused.
 */
import {
  AT_EMPTY_PATH,
  F_SEAL_SHRINK,
  type Fd,
  Mapping,
  PROT_READ,
  PROT_WRITE,
  STATX_SIZE,
  Statx,
  type Sys,
} from '@oriel/sys';
import { VhostUserError, type VhostUserErrorCode } from '../errors.ts';

/** A piece of a file as a message announces it. */
export interface SharedPiece {
  /** Bytes to map; the caller has bounded them. */
  readonly len: number;
  /** Bytes into the file. */
  readonly offset: number;
  /** The code of a refusal. */
  readonly code: VhostUserErrorCode;
}

const NO_PATH = new Uint8Array(1);

/**
 * Maps part of a file that the front-end handed over.
 * @param fd - lent
 * @throws VhostUserError `piece.code`: the file can shrink, ends before the piece does, or cannot be mapped for writing
 */
export function mapSealed(sys: Pick<Sys, 'mem' | 'file'>, fd: Fd, piece: SharedPiece): Mapping {
  const { len, offset, code } = piece;
  const refusal = (detail: string, cause?: unknown) => new VhostUserError(code, 'frontend', detail, {}, { cause });
  // Seals first: a file that is sealed now cannot shrink between this and the look at its size.
  const seals = sys.mem.getSeals(fd.fd);
  if (seals < 0 || (seals & F_SEAL_SHRINK) === 0) {
    throw refusal('the file can shrink, wants F_SEAL_SHRINK');
  }
  if (offset % sys.mem.pageSize !== 0) {
    throw refusal(`offset ${offset}, wants a multiple of the page size`);
  }
  const stat = new DataView(new ArrayBuffer(Statx.byteLength));
  const result = sys.file.statx(fd.fd, NO_PATH, AT_EMPTY_PATH, STATX_SIZE, stat);
  const size = result === 0 ? Statx.stxSize.get(stat, 0) : 0;
  if (offset + len > size) {
    throw refusal(`${offset}+${len} of a file of ${size} bytes`);
  }
  try {
    return Mapping.shared(sys.mem, fd.fd, len, offset, PROT_READ | PROT_WRITE);
  } catch (error) {
    throw refusal('the file cannot be mapped', error);
  }
}
