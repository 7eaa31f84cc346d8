/** Where a Filesystem puts directory records. */
import type { Entry } from './entry.ts';

/** Where READDIR(PLUS) puts its records; false: the record did not fit (and must not be counted). */
export interface DirSink {
  /** Room left, bytes. */
  readonly room: number;
  /** Bytes that a record with this name length needs (plus: with its entry). */
  need(nameLen: number): number;
  /**
   * Adds a READDIR record, or in a READDIRPLUS sink one with `entry`; `null` there: no attributes, nodeid 0 is written.
   * @param name - holds the name's bytes from `nameOffset`
   * @param cookieLo - what the driver passes back to go on behind this record, with `cookieHi` as two u32
   * @param type - DT_*
   * @returns false when the record did not fit: stop, and take back what was counted for it
   */
  add(
    name: Uint8Array,
    nameOffset: number,
    nameLen: number,
    inoLo: number,
    inoHi: number,
    cookieLo: number,
    cookieHi: number,
    type: number,
    entry: Entry | null,
  ): boolean;
}
