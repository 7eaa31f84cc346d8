/** The memory of a guest that exists only for its driver: a sealed memfd, handed out once and never taken back. */
import {
  check,
  F_SEAL_GROW,
  F_SEAL_SHRINK,
  Fd,
  Mapping,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  PROT_READ,
  PROT_WRITE,
  type Sys,
} from '@oriel/sys';

/** Guest physical address of the memory: above 4 GiB, where most of a real guest's memory lies. */
export const RAM_GPA = 0x1_0000_0000;
/** Bytes of a page, and of each piece of file data. */
export const PAGE = 4096;
/** A cache line: what begins at a multiple of it shares none. */
const GRAIN = 64;

/** Guest memory. Places in it are offsets in bytes from its start. */
export class GuestRam implements Disposable {
  readonly size: number;
  readonly u8: Uint8Array;
  readonly words: Uint32Array;
  readonly view: DataView;
  readonly file: Fd;
  readonly #mapping: Mapping;
  readonly #pages: Uint32Array;
  #usedPages = 0;
  #next = 0;

  /**
   * @param smallBytes - room for rings and messages
   * @param pageCount - pages that `takePages` can give
   * @throws SysError when there is no memory
   */
  constructor(sys: Pick<Sys, 'mem' | 'fd' | 'file'>, smallBytes: number, pageCount: number) {
    const pagesAt = Math.ceil(smallBytes / PAGE) * PAGE;
    this.size = pagesAt + pageCount * PAGE;
    using cleanup = new DisposableStack();
    const memfd = check(sys.mem.memfdCreate('oriel-bench-ram', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create');
    this.file = cleanup.use(new Fd(sys.fd, memfd));
    check(sys.file.ftruncate(memfd, this.size), 'ftruncate');
    check(sys.mem.addSeals(memfd, F_SEAL_SHRINK | F_SEAL_GROW), 'fcntl');
    this.#mapping = Mapping.shared(sys.mem, memfd, this.size, 0, PROT_READ | PROT_WRITE);
    cleanup.move();
    this.u8 = this.#mapping.u8;
    this.words = new Uint32Array(this.u8.buffer);
    this.view = new DataView(this.u8.buffer);
    // Every page is touched before anything is timed.
    this.u8.fill(0);
    this.#pages = scattered(pagesAt, pageCount);
  }

  /** Where the memory lies in this process. */
  get userAddr(): number {
    return this.#mapping.addr;
  }

  /** Takes `len` bytes in one piece. @throws RangeError when none are left */
  take(len: number, align = GRAIN): number {
    const at = Math.ceil(this.#next / align) * align;
    if (at + len > this.size - this.#pages.length * PAGE) throw new RangeError(`${len} bytes of guest memory at ${at}`);
    this.#next = at + len;
    return at;
  }

  /** Takes pages that lie apart from each other, as a guest's page cache does. @throws RangeError when none are left */
  takePages(count: number): Uint32Array {
    if (this.#usedPages + count > this.#pages.length) throw new RangeError(`${count} pages of guest memory`);
    const pages = this.#pages.subarray(this.#usedPages, this.#usedPages + count);
    this.#usedPages += count;
    return pages;
  }

  [Symbol.dispose](): void {
    this.#mapping[Symbol.dispose]();
    this.file.close();
  }
}

/** Offsets of all pages in an order that is mixed, and the same in every run. */
function scattered(at: number, count: number): Uint32Array {
  const pages = Uint32Array.from({ length: count }, (_, i) => at + i * PAGE);
  let seed = 1;
  for (let i = count - 1; i > 0; i--) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const other = Math.floor((seed / 2 ** 32) * (i + 1));
    const page = pages[i]!;
    pages[i] = pages[other]!;
    pages[other] = page;
  }
  return pages;
}
