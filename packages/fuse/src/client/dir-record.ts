/** Directory records of a reply, read back and checked as Linux checks them. */
import { Entry } from '../entry.ts';
import { FuseError } from '../errors.ts';
import { FuseDirent, FuseEntryOut } from '../layout.ts';
import { readEntry } from './decode.ts';

/** One record of READDIR or READDIRPLUS. */
export interface DirRecord {
  readonly inoLo: number;
  readonly inoHi: number;
  /** Where to go on behind this record. */
  readonly cookieLo: number;
  readonly cookieHi: number;
  /** DT_*. */
  readonly type: number;
  readonly name: string;
  /** READDIRPLUS with a nodeid; else null. */
  readonly entry: Entry | null;
}

/**
 * Reads all records in [at, end) of `bytes`.
 * @throws FuseError ERR_FUSE_REPLY_RECORD
 */
export function readRecords(bytes: Uint8Array, at: number, end: number, plus: boolean): DirRecord[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: DirRecord[] = [];
  const prefix = plus ? FuseEntryOut.byteLength : 0;
  let next = at;
  while (next < end) {
    const start = next;
    const dirent = start + prefix;
    const nameAt = dirent + FuseDirent.byteLength;
    if (nameAt > end) {
      throw new FuseError('ERR_FUSE_REPLY_RECORD', 'server', `a record at ${start} ends behind ${end}`);
    }
    const nameLen = FuseDirent.namelen.get(view, dirent);
    next = start + ((prefix + FuseDirent.byteLength + nameLen + 7) & ~7);
    const name = bytes.subarray(nameAt, nameAt + nameLen);
    if (nameLen === 0 || next > end || name.includes(0x2f)) {
      throw new FuseError('ERR_FUSE_REPLY_RECORD', 'server', `a record at ${start} with a name of ${nameLen} bytes`);
    }
    let entry: Entry | null = null;
    if (plus && FuseEntryOut.nodeid.get(view, start) !== 0) {
      entry = new Entry();
      readEntry(view, start, entry);
    }
    records.push({
      inoLo: FuseDirent.ino.lo(view, dirent),
      inoHi: FuseDirent.ino.hi(view, dirent),
      cookieLo: FuseDirent.off.lo(view, dirent),
      cookieHi: FuseDirent.off.hi(view, dirent),
      type: FuseDirent.type.get(view, dirent),
      name: Buffer.from(name).toString(),
      entry,
    });
  }
  return records;
}
