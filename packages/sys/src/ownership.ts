/** Owners of descriptors and memory: one owner each, released by `Symbol.dispose`. */
import type { Address, SysFd, SysMem } from './sys.ts';

/** A descriptor with an owner. A parameter of type `Fd` is given away; a `number` is lent for the call. */
export declare class Fd implements Disposable {
  constructor(sys: Pick<SysFd, 'close' | 'dup'>, fd: number);
  /** The number. @throws RangeError once closed or taken */
  readonly fd: number;
  readonly closed: boolean;
  dup(): Fd;
  /** Gives the number away; this object is then empty. */
  take(): number;
  close(): void;
  [Symbol.dispose](): void;
}

/** A mapping with an owner; `dispose` detaches its views, then unmaps. */
export declare class Mapping implements Disposable {
  readonly addr: Address;
  readonly len: number;
  /** The memory as bytes. Made at first use; only for memory that cannot shrink. */
  readonly u8: Uint8Array;
  /** Anonymous private memory, zeroed: scratch for system calls, aligned to a page. @throws SysError ENOMEM */
  static anonymous(sys: SysMem, len: number): Mapping;
  /** Maps a file shared. @throws SysError */
  static shared(sys: SysMem, fd: number, len: number, offset: number, prot: number): Mapping;
  [Symbol.dispose](): void;
}
