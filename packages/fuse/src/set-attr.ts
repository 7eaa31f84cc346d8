/** The changes that a SETATTR asks for. */

/** The changes of a SETATTR; only fields named by `valid` mean something. */
export interface SetAttr {
  /** FATTR_* bits. */
  readonly valid: number;
  /** -1 unless FATTR_FH. */
  readonly fh: number;
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds, signed 64 bits as two u32. */
  readonly atimeLo: number;
  readonly atimeHi: number;
  /** Checked: below 10^9. */
  readonly atimeNs: number;
  readonly mtimeLo: number;
  readonly mtimeHi: number;
  readonly mtimeNs: number;
}

/** The record that a session reuses. */
export class SetAttrRecord implements SetAttr {
  valid = 0;
  fh = -1;
  size = 0;
  mode = 0;
  uid = 0;
  gid = 0;
  atimeLo = 0;
  atimeHi = 0;
  atimeNs = 0;
  mtimeLo = 0;
  mtimeHi = 0;
  mtimeNs = 0;
}
