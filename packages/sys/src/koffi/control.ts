/** Control messages of Unix sockets: descriptors packed into SCM_RIGHTS, and taken out again. */
import { SCM_RIGHTS, SOL_SOCKET } from '../constants/socket.ts';
import { Cmsghdr, Iovec, Msghdr } from '../layouts.ts';
import type { RecvResult } from '../sys.ts';
import type { Scratch, ScratchPiece } from './scratch.ts';

/** Most descriptors the kernel takes in one message (SCM_MAX_FD). */
export const SCM_MAX_FD = 253;

const HEADER_LEN = Cmsghdr.byteLength;

/** One `struct msghdr` with one iovec and room for the most descriptors. */
export class Message {
  readonly header: ScratchPiece;
  readonly #view: DataView;
  readonly #iovec: ScratchPiece;
  readonly #control: ScratchPiece;

  constructor(scratch: Scratch) {
    this.#view = scratch.view;
    this.header = scratch.take(Msghdr.byteLength);
    this.#iovec = scratch.take(Iovec.byteLength);
    this.#control = scratch.take(HEADER_LEN + SCM_MAX_FD * 4 + 4);
    Msghdr.msgIov.set(this.#view, this.header.base, this.#iovec.addr);
    Msghdr.msgIovlen.set(this.#view, this.header.base, 1);
  }

  /** Points at `len` bytes of data, with `fds[0..fdCount)` beside them. */
  pack(addr: number, len: number, fds: Int32Array | null, fdCount: number): void {
    this.#point(addr, len);
    const view = this.#view;
    if (fds === null || fdCount === 0) {
      this.#setControl(0);
      return;
    }
    const base = this.#control.base;
    Cmsghdr.cmsgLen.set(view, base, HEADER_LEN + fdCount * 4);
    Cmsghdr.cmsgLevel.set(view, base, SOL_SOCKET);
    Cmsghdr.cmsgType.set(view, base, SCM_RIGHTS);
    for (let index = 0; index < fdCount; index++) {
      view.setInt32(base + HEADER_LEN + index * 4, fds[index]!, true);
    }
    this.#setControl((HEADER_LEN + fdCount * 4 + 7) & ~7);
  }

  /** Makes room for `len` bytes of data and exactly `maxFds` descriptors: the kernel installs no more than fit. */
  expect(addr: number, len: number, maxFds: number): void {
    this.#point(addr, len);
    this.#setControl(maxFds === 0 ? 0 : HEADER_LEN + maxFds * 4);
  }

  /** Takes the descriptors that came out of the control data. */
  unpack(result: RecvResult): void {
    const view = this.#view;
    const fds = result.fds;
    const start = this.#control.base;
    const end = start + Msghdr.msgControllen.get(view, this.header.base);
    let found = 0;
    let base = start;
    while (base + HEADER_LEN <= end) {
      const len = Cmsghdr.cmsgLen.get(view, base);
      if (len < HEADER_LEN || base + len > end) {
        break;
      }
      if (Cmsghdr.cmsgLevel.get(view, base) === SOL_SOCKET && Cmsghdr.cmsgType.get(view, base) === SCM_RIGHTS) {
        for (let at = base + HEADER_LEN; at + 4 <= base + len && found < fds.length; at += 4) {
          fds[found++] = view.getInt32(at, true);
        }
      }
      base += (len + 7) & ~7;
    }
    result.fdCount = found;
  }

  get flags(): number {
    return Msghdr.msgFlags.get(this.#view, this.header.base);
  }

  #point(addr: number, len: number): void {
    Iovec.iovBase.set(this.#view, this.#iovec.base, addr);
    Iovec.iovLen.set(this.#view, this.#iovec.base, len);
  }

  #setControl(len: number): void {
    Msghdr.msgControl.set(this.#view, this.header.base, len === 0 ? 0 : this.#control.addr);
    Msghdr.msgControllen.set(this.#view, this.header.base, len);
  }
}
