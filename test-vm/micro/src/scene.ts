/** A window with one range of each kind in it: what children and guests touch. */
import { type DiscardMeans, type UnmappedPolicy, Window, type WindowFault } from '@oriel/shm-region';
import { check, Fd, MFD_CLOEXEC, type Sys } from '@oriel/sys';

/** The kinds of range. */
export type RangeKind = 'unmapped' | 'mapped' | 'read-only' | 'truncated';
export const RANGE_KINDS: readonly RangeKind[] = ['mapped', 'read-only', 'unmapped', 'truncated'];

/** The page of each kind; the page before `truncated` belongs to the same mapping and keeps its file. */
const PAGES: Readonly<Record<RangeKind, number>> = { mapped: 0, 'read-only': 1, truncated: 3, unmapped: 5 };
const PAGES_IN_ALL = 8;

/** What the files hold in every word: 'FILE'. */
export const FILE_WORD = 0x454c_4946;
/** What accesses store. */
export const STORED_WORD = 0x5a5a_5a5a;

export interface SceneOptions {
  readonly policy: UnmappedPolicy;
  readonly discardMeans?: DiscardMeans;
}

export class Scene implements Disposable {
  readonly window: Window;
  readonly faults: WindowFault[] = [];
  readonly #sys: Sys;
  readonly #file: Fd;
  readonly #constant: Fd;
  readonly #short: Fd;

  constructor(sys: Sys, { policy, discardMeans }: SceneOptions) {
    this.#sys = sys;
    const { pageSize } = sys.mem;
    using stack = new DisposableStack();
    this.window = stack.use(
      new Window(sys, {
        shmid: 0,
        size: PAGES_IN_ALL * pageSize,
        unmapped: policy,
        discardMeans: discardMeans ?? 'wiping',
        onFault: (fault) => this.faults.push(fault),
      }),
    );
    this.#file = stack.use(this.#makeFile(1));
    this.#constant = stack.use(this.#makeFile(1));
    this.#short = stack.use(this.#makeFile(2));
    this.#map('mapped', 1, this.#file, true);
    this.#map('read-only', 1, this.#constant, false);
    check(
      this.window.map(
        { shmid: 0, shmOffset: 2 * pageSize, len: 2 * pageSize, fdOffset: 0, writable: true },
        this.#short.dup(),
      ),
      'map',
    );
    check(sys.file.ftruncate(this.#short.fd, pageSize), 'ftruncate');
    stack.move();
  }

  /** Where a kind lies, bytes. */
  offset(kind: RangeKind): number {
    return PAGES[kind] * this.#sys.mem.pageSize;
  }

  /** Maps the page that is unmapped at first. */
  mapUnmapped(): number {
    return this.#map('unmapped', 1, this.#file, true);
  }

  unmapUnmapped(): number {
    const { pageSize } = this.#sys.mem;
    const shmOffset = this.offset('unmapped');
    return this.window.unmap({ shmid: 0, shmOffset, len: pageSize, fdOffset: 0, writable: true });
  }

  /** A word of the file of `mapped`. */
  fileWord(): number {
    const word = new Uint32Array(1);
    check(this.#sys.fd.pread(this.#file.fd, word, 4, 0), 'pread');
    return word[0]!;
  }

  [Symbol.dispose](): void {
    this.window[Symbol.dispose]();
    this.#file.close();
    this.#constant.close();
    this.#short.close();
  }

  #map(kind: RangeKind, pages: number, file: Fd, writable: boolean): number {
    const len = pages * this.#sys.mem.pageSize;
    return this.window.map({ shmid: 0, shmOffset: this.offset(kind), len, fdOffset: 0, writable }, file.dup());
  }

  #makeFile(pages: number): Fd {
    const { mem, fd, file } = this.#sys;
    const made = new Fd(fd, check(mem.memfdCreate('scene', MFD_CLOEXEC), 'memfd_create'));
    const words = new Uint32Array((pages * mem.pageSize) / 4).fill(FILE_WORD);
    check(file.ftruncate(made.fd, words.byteLength), 'ftruncate');
    check(fd.pwrite(made.fd, words, words.byteLength, 0), 'pwrite');
    return made;
  }
}
