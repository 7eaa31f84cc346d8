/** The state memory of one device: a sealed file and named descriptors, all held by the store. */
import {
  AT_EMPTY_PATH,
  check,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  Fd,
  type Logger,
  Mapping,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  PROT_READ,
  PROT_WRITE,
  STATX_SIZE,
  Statx,
  type Sys,
} from '@oriel/sys';
import type { StateMemory, VirtioDevice } from '../device.ts';
import type { FdStore } from './fd-store.ts';

const SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
const NAME = /^[A-Za-z0-9._-]{1,64}$/;
const NO_PATH = new Uint8Array(1);

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
  readonly #memory: Mapping;
  #used: boolean;

  /** Takes up what the store holds, if it is of this size. @throws SysError ENOMEM, EMFILE */
  constructor(options: SessionStateOptions) {
    const { sys, store, prefix, size, log } = options;
    this.#options = options;
    const name = `${prefix}.state`;
    using found = store.take(name);
    if (found !== null && fits(sys, found, size)) {
      this.#memory = Mapping.shared(sys.mem, found.fd, size, 0, PROT_READ | PROT_WRITE);
      this.#used = true;
      return;
    }
    if (found !== null) {
      log.warn(
        `the state held under ${name} is not of ${size} bytes: another version of the device left it, it is lost`,
      );
    }
    using made = new Fd(sys.fd, check(sys.mem.memfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'));
    check(sys.file.ftruncate(made.fd, size), 'ftruncate');
    check(sys.mem.addSeals(made.fd, SEALS), 'fcntl');
    this.#memory = Mapping.shared(sys.mem, made.fd, size, 0, PROT_READ | PROT_WRITE);
    this.#used = false;
    this.#forgetKept();
    if (!store.put(name, made.fd)) {
      log.warn(`nobody holds the state of ${prefix}: it ends with this process`);
    }
  }

  get bytes(): Uint8Array {
    return this.#memory.u8;
  }

  keep(name: string, fd: Fd): boolean {
    return this.#options.store.put(this.#keptName(name), fd.fd);
  }

  forget(name: string): void {
    this.#options.store.remove(this.#keptName(name));
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

  /** What `to` has from now on is what this has; both are of one size. */
  copyTo(to: SessionState): void {
    to.#used = this.#used;
    to.bytes.set(this.bytes);
  }

  /** A new session begins. */
  clear(): void {
    this.#used = true;
    this.#forgetKept();
    this.bytes.fill(0);
  }

  /** Lets go of the memory; the store holds it. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }

  #keptName(name: string): string {
    if (!NAME.test(name)) {
      throw new RangeError(`a name of up to 64 characters A-Z a-z 0-9 . _ - is wanted, got '${name}'`);
    }
    return `${this.#options.prefix}.kept.${name}`;
  }

  #forgetKept(): void {
    const { store, prefix } = this.#options;
    for (const name of store.names.filter((held) => held.startsWith(`${prefix}.kept.`))) {
      store.remove(name);
    }
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
