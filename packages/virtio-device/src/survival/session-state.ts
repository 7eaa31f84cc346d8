/** The state memory of one device: a sealed file and named descriptors, all held by the store. */
import {
  AT_EMPTY_PATH,
  check,
  ENXIO,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  Fd,
  type Logger,
  Mapping,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  PROT_READ,
  PROT_WRITE,
  SEEK_DATA,
  SEEK_HOLE,
  STATX_SIZE,
  Statx,
  type Sys,
} from '@oriel/sys';
import type { StateMemory, VirtioDevice } from '../device.ts';
import type { FdStore } from './fd-store.ts';

const SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
const NAME = /^[A-Za-z0-9._-]{1,64}$/;
const NO_PATH = new Uint8Array(1);
/** Descriptors kept for one device: each is held twice, and where a guest has a say in how many, it must not have them all. */
const MAX_KEPT = 1024;

/** What the state of a device stands on. */
export interface SessionStateOptions {
  readonly sys: Pick<Sys, 'mem' | 'fd' | 'file'>;
  readonly store: FdStore;
  /** Begins the names in the store. */
  readonly prefix: string;
  /** Bytes of state; at least 1. */
  readonly size: number;
  readonly log: Logger;
}

/** The state of the session at hand; it lives as long as the server, over all its connections. */
export class SessionState implements StateMemory, Disposable {
  readonly #options: SessionStateOptions;
  readonly #file: Fd;
  readonly #memory: Mapping;
  /** Names in the store. */
  readonly #kept: Set<string>;
  #used: boolean;

  /** Takes up what the store holds, if it is of this size. @throws SysError ENOMEM, EMFILE */
  constructor(options: SessionStateOptions) {
    const { sys, store, prefix, size, log } = options;
    this.#options = options;
    const name = `${prefix}.state`;
    this.#kept = new Set(store.names.filter((held) => held.startsWith(`${prefix}.kept.`)));
    using found = store.take(name);
    this.#used = found !== null && fits(sys, found, size);
    if (found !== null && !this.#used) {
      log.warn(
        `the state held under ${name} is not of ${size} bytes: another version of the device left it, it is lost`,
      );
    }
    using file = this.#used ? found!.dup() : makeFile(sys, name, size);
    this.#memory = Mapping.shared(sys.mem, file.fd, size, 0, PROT_READ | PROT_WRITE);
    if (!this.#used) {
      this.#forgetKept();
      if (!store.put(name, file.fd)) {
        log.warn(`nobody holds the state of ${prefix}: it ends with this process`);
      }
    }
    this.#file = new Fd(sys.fd, file.take());
  }

  get bytes(): Uint8Array {
    return this.#memory.u8;
  }

  keep(name: string, fd: Fd): boolean {
    const held = this.#keptName(name);
    if (!this.#kept.has(held) && this.#kept.size >= MAX_KEPT) {
      return false;
    }
    const taken = this.#options.store.put(held, fd.fd);
    if (taken) {
      this.#kept.add(held);
    } else {
      this.#kept.delete(held);
    }
    return taken;
  }

  forget(name: string): void {
    const held = this.#keptName(name);
    if (this.#kept.delete(held)) {
      this.#options.store.remove(held);
    }
  }

  take(name: string): Fd | null {
    return this.#options.store.take(this.#keptName(name));
  }

  /**
   * A front-end starts its first ring: the session goes on, or a new one begins.
   * @param device - gets its state back, if it was left here
   * @param known - the driver of the session goes on
   * @returns false when it does, but the device cannot
   */
  begin(device: VirtioDevice, known: boolean): boolean {
    if (known && this.#used && device.restore!()) {
      return true;
    }
    this.clear();
    return !known;
  }

  /** What `to` has from now on is what this has, but for descriptors; both are of one size. @throws SysError */
  copyTo(to: SessionState): void {
    to.#used = this.#used;
    to.#zero();
    const { file } = this.#options.sys;
    for (let at = 0; at < this.bytes.length; ) {
      const data = Number(file.lseek(this.#file.fd, at, SEEK_DATA));
      if (data === -ENXIO) {
        break;
      }
      const end = Number(check(Number(file.lseek(this.#file.fd, check(data, 'lseek'), SEEK_HOLE)), 'lseek'));
      to.bytes.set(this.bytes.subarray(data, end), data);
      at = end;
    }
  }

  /** A new session begins. @throws SysError */
  clear(): void {
    this.#used = true;
    this.#forgetKept();
    this.#zero();
  }

  /** Lets go of the memory; the store holds it. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
    this.#file.close();
  }

  /** Most of it was never written: the memory of what was goes back, and none is taken for the rest. */
  #zero(): void {
    const holes = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    check(this.#options.sys.file.fallocate(this.#file.fd, holes, 0, this.bytes.length), 'fallocate');
  }

  #keptName(name: string): string {
    if (!NAME.test(name)) {
      throw new RangeError(`a name of up to 64 characters A-Z a-z 0-9 . _ - is wanted, got '${name}'`);
    }
    return `${this.#options.prefix}.kept.${name}`;
  }

  #forgetKept(): void {
    for (const name of this.#kept) {
      this.#options.store.remove(name);
    }
    this.#kept.clear();
  }
}

/** @throws SysError EMFILE */
function makeFile(sys: SessionStateOptions['sys'], name: string, size: number): Fd {
  const file = new Fd(sys.fd, check(sys.mem.memfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'));
  try {
    check(sys.file.ftruncate(file.fd, size), 'ftruncate');
    check(sys.mem.addSeals(file.fd, SEALS), 'fcntl');
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** The file can neither shrink nor grow, and is as long as wanted. */
function fits(sys: SessionStateOptions['sys'], fd: Fd, size: number): boolean {
  const seals = sys.mem.getSeals(fd.fd);
  const wanted = F_SEAL_SHRINK | F_SEAL_GROW;
  const stat = new DataView(new ArrayBuffer(Statx.byteLength));
  return (
    seals >= 0 &&
    (seals & wanted) === wanted &&
    sys.file.statx(fd.fd, NO_PATH, AT_EMPTY_PATH, STATX_SIZE, stat) === 0 &&
    Statx.stxSize.get(stat, 0) === size
  );
}
