/** The label that a new inode is to have from its birth on (`struct fuse_secctx`). */
import type { Address } from '@oriel/sys';
import { type Name, NativeName } from './name.ts';

/** A security label; valid until the operation is complete. */
export interface SecurityContext {
  /** The extended attribute that holds it: `security.selinux`, say. */
  readonly name: Name;
  readonly value: Address;
  /** Bytes. */
  readonly size: number;
}

/** The record that an operation reuses. */
export class SecurityRecord implements SecurityContext {
  readonly name: NativeName = new NativeName();
  value: Address = 0;
  size = 0;
}
