/** INIT: what a session agrees with the driver. */
import { EPROTO } from '@oriel/sys';
import * as C from './constants.ts';
import { FuseInitIn, FuseInitOut } from './layout.ts';
import type { SessionFeatures } from './session-features.ts';

/** The oldest minor served: below it replies had other lengths. virtiofs never spoke an older one. */
export const MINOR_MIN = 27;
const MAX_BACKGROUND = 65535;
/** Three quarters, as the kernel's own default. */
const CONGESTION_THRESHOLD = 49151;
const PAGE = 4096;
/** Bytes of the reply that tells a newer major which one is spoken here. */
const MAJOR_ONLY = 8;

/** Set whenever the driver offers them. */
const ALWAYS_LO =
  C.FUSE_ASYNC_READ |
  C.FUSE_ATOMIC_O_TRUNC |
  C.FUSE_BIG_WRITES |
  C.FUSE_HAS_IOCTL_DIR |
  C.FUSE_ASYNC_DIO |
  C.FUSE_PARALLEL_DIROPS |
  C.FUSE_MAX_PAGES |
  C.FUSE_SETXATTR_EXT |
  C.FUSE_INIT_EXT;
// The driver checks permissions itself, and creating requests keep their ids: nothing here needs the others'.
const ALWAYS_HI = C.flags2(C.FUSE_CREATE_SUPP_GROUP) | C.flags2(C.FUSE_ALLOW_IDMAP);

/** These mean something together only: access lists without the caller's umask would give too much. */
const ACCESS_LISTS = C.FUSE_POSIX_ACL | C.FUSE_DONT_MASK | C.FUSE_SETXATTR_EXT;

function featuresLo({ readdirplus = true, killprivV2 = true, ...features }: SessionFeatures): number {
  return (
    (readdirplus ? C.FUSE_DO_READDIRPLUS | C.FUSE_READDIRPLUS_AUTO : 0) |
    (killprivV2 ? C.FUSE_HANDLE_KILLPRIV_V2 : 0) |
    (features.writebackCache === true ? C.FUSE_WRITEBACK_CACHE : 0) |
    (features.posixAcl === true ? C.FUSE_POSIX_ACL | C.FUSE_DONT_MASK : 0) |
    (features.submounts === true ? C.FUSE_SUBMOUNTS : 0)
  );
}

function featuresHi({ securityContexts, directIoMmap }: SessionFeatures): number {
  return (
    (securityContexts === true ? C.flags2(C.FUSE_SECURITY_CTX) : 0) |
    (directIoMmap === true ? C.flags2(C.FUSE_DIRECT_IO_ALLOW_MMAP) : 0)
  );
}

/** What a session wants beyond the set that is always wanted. */
export interface InitWishes {
  readonly maxPages: number;
  readonly features: SessionFeatures;
  readonly invalidation: 'auto' | 'explicit';
  readonly flagsLo: number;
  readonly flagsHi: number;
  readonly mapAlignment: number;
}

/** An INIT request against the wishes. */
export class Negotiation {
  /** Flags that the driver offered. */
  offeredLo = 0;
  offeredHi = 0;
  /** Flags agreed. */
  flagsLo = 0;
  flagsHi = 0;
  readonly #lo: number;
  readonly #hi: number;
  readonly #wishes: InitWishes;

  constructor(wishes: InitWishes) {
    this.#wishes = wishes;
    const invalidation = wishes.invalidation === 'auto' ? C.FUSE_AUTO_INVAL_DATA : C.FUSE_EXPLICIT_INVAL_DATA;
    this.#lo = ALWAYS_LO | featuresLo(wishes.features) | invalidation | wishes.flagsLo;
    this.#hi = ALWAYS_HI | featuresHi(wishes.features) | wishes.flagsHi;
  }

  /** Of a request. */
  get maxPages(): number {
    return this.#wishes.maxPages;
  }

  /**
   * Reads `fuse_init_in` (`len` bytes at `base`) and, when a session comes of it, notes the flags.
   * @returns bytes of the reply's body (8: the driver's major is newer and it must ask again), or -EPROTO
   */
  take(view: DataView, base: number, len: number): number {
    const major = FuseInitIn.major.get(view, base);
    if (major > C.FUSE_KERNEL_VERSION) {
      return MAJOR_ONLY;
    }
    if (major < C.FUSE_KERNEL_VERSION || FuseInitIn.minor.get(view, base) < MINOR_MIN) {
      return -EPROTO;
    }
    const lo = FuseInitIn.flags.get(view, base);
    const extended = (lo & C.FUSE_INIT_EXT) !== 0 && len >= FuseInitIn.unused.offset;
    this.offeredLo = lo;
    this.offeredHi = extended ? FuseInitIn.flags2.get(view, base) : 0;
    this.flagsLo = (lo & this.#lo & (extended ? ~0 : ~C.FUSE_INIT_EXT)) >>> 0;
    if ((this.flagsLo & C.FUSE_HANDLE_KILLPRIV_V2) === 0) {
      // Then the driver clears set-id bits, by a SETATTR, and after an OPEN that truncates it sends none.
      this.flagsLo = (this.flagsLo & ~C.FUSE_ATOMIC_O_TRUNC) >>> 0;
    }
    if ((this.flagsLo & ACCESS_LISTS) !== ACCESS_LISTS) {
      this.flagsLo = (this.flagsLo & ~(C.FUSE_POSIX_ACL | C.FUSE_DONT_MASK)) >>> 0;
    }
    this.flagsHi = (this.offeredHi & this.#hi) >>> 0;
    return FuseInitOut.byteLength;
  }

  /** Writes `fuse_init_out` at `to`, from the request at `base`. */
  put(view: DataView, base: number, to: number): void {
    const { maxPages, mapAlignment } = this.#wishes;
    for (let at = 0; at < FuseInitOut.byteLength; at += 4) {
      view.setUint32(to + at, 0, true);
    }
    const minor = Math.min(FuseInitIn.minor.get(view, base), C.FUSE_KERNEL_MINOR_VERSION);
    const counted = (this.flagsLo & C.FUSE_MAX_PAGES) !== 0;
    FuseInitOut.major.set(view, to, C.FUSE_KERNEL_VERSION);
    FuseInitOut.minor.set(view, to, minor);
    FuseInitOut.maxReadahead.set(view, to, FuseInitIn.maxReadahead.get(view, base));
    FuseInitOut.flags.set(view, to, this.flagsLo);
    FuseInitOut.maxBackground.set(view, to, MAX_BACKGROUND);
    FuseInitOut.congestionThreshold.set(view, to, CONGESTION_THRESHOLD);
    FuseInitOut.maxWrite.set(view, to, maxPages * PAGE);
    FuseInitOut.timeGran.set(view, to, 1);
    FuseInitOut.maxPages.set(view, to, counted ? maxPages : 0);
    FuseInitOut.mapAlignment.set(view, to, (this.flagsLo & C.FUSE_MAP_ALIGNMENT) !== 0 ? mapAlignment : 0);
    FuseInitOut.flags2.set(view, to, this.flagsHi);
  }

  /** Writes {7, 46} at `to`: the answer to a newer major. */
  putMajor(view: DataView, to: number): void {
    FuseInitOut.major.set(view, to, C.FUSE_KERNEL_VERSION);
    FuseInitOut.minor.set(view, to, C.FUSE_KERNEL_MINOR_VERSION);
  }
}
