/** A hand-over on its way: a frozen device as descriptors in a store, for whichever process comes next. */
import { AT_EMPTY_PATH, check, Fd, MFD_CLOEXEC, STATX_SIZE, Statx, type Sys } from '@oriel/sys';
import { DeviceError } from '../errors.ts';
import type { FdStore } from './fd-store.ts';
import { type FrozenDevice, readFrozenRings } from './frozen-device.ts';

type HandoverSys = Pick<Sys, 'mem' | 'fd' | 'file'>;

const NO_PATH = new Uint8Array(1);
/** More than any device can have to say. */
const MAX_BYTES = 64 << 20;

/** Puts a hand-over into a store and takes it out again, under names that begin with `prefix`. */
export class HandoverStore {
  readonly #sys: HandoverSys;
  readonly #store: FdStore;
  readonly #name: string;

  constructor(sys: HandoverSys, store: FdStore, prefix: string) {
    this.#sys = sys;
    this.#store = store;
    this.#name = `${prefix}.handover`;
  }

  /** Leaves it to the next process; its descriptors are closed here. @returns false when the store took it not: it is lost */
  put({ connection, rings }: FrozenDevice): boolean {
    const { fds, state } = connection;
    try {
      using plan = this.#write(JSON.stringify({ connection: state, fds: fds.length, rings }));
      // The plan last: without it nothing is found.
      return (
        fds.every((fd, index) => this.#store.put(this.#part(index), fd.fd)) && this.#store.put(this.#name, plan.fd)
      );
    } finally {
      for (const fd of fds) {
        fd.close();
      }
    }
  }

  /**
   * Takes what the process before left, if anything. It is nobody's but the caller's then: a process that dies with it loses
   * the front-end, and must not hand it over a second time.
   * @param queueCount - of the device here
   * @throws DeviceError ERR_DEVICE_HANDOVER
   */
  take(queueCount: number): FrozenDevice | null {
    using plan = this.#store.take(this.#name);
    const names = this.#store.names.filter((name) => name.startsWith(`${this.#name}.`));
    const fds: Fd[] = [];
    try {
      if (plan === null) {
        return null;
      }
      const { connection, fds: count, rings } = this.#read(plan);
      for (let index = 0; index < names.length && index < Number(count); index++) {
        const fd = this.#store.take(this.#part(index));
        if (fd === null) {
          throw new DeviceError('ERR_DEVICE_HANDOVER', `descriptor ${index} of ${String(count)} is missing`);
        }
        fds.push(fd);
      }
      const frozen = { connection: { state: connection, fds: [...fds] }, rings: readFrozenRings(rings, queueCount) };
      fds.length = 0;
      return frozen;
    } finally {
      for (const name of plan === null ? names : [this.#name, ...names]) {
        this.#store.remove(name);
      }
      for (const fd of fds) {
        fd.close();
      }
    }
  }

  #part(index: number): string {
    return `${this.#name}.${index}`;
  }

  #write(text: string): Fd {
    const { mem, fd: calls } = this.#sys;
    const file = new Fd(calls, check(mem.memfdCreate(this.#name, MFD_CLOEXEC), 'memfd_create'));
    try {
      const bytes = new TextEncoder().encode(text);
      for (let at = 0; at < bytes.length; ) {
        at += check(calls.pwrite(file.fd, bytes.subarray(at), bytes.length - at, at), 'pwrite');
      }
      return file;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  #read(plan: Fd): Readonly<Record<string, unknown>> {
    const stat = new DataView(new ArrayBuffer(Statx.byteLength));
    check(this.#sys.file.statx(plan.fd, NO_PATH, AT_EMPTY_PATH, STATX_SIZE, stat), 'statx');
    const bytes = new Uint8Array(Math.min(MAX_BYTES, Statx.stxSize.get(stat, 0)));
    const read = check(this.#sys.fd.pread(plan.fd, bytes, bytes.length, 0), 'pread');
    try {
      return JSON.parse(new TextDecoder().decode(bytes.subarray(0, read))) as Readonly<Record<string, unknown>>;
    } catch (cause) {
      throw new DeviceError('ERR_DEVICE_HANDOVER', 'the plan of the process before cannot be read', { cause });
    }
  }
}
