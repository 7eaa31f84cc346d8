/** The messages that start and stop a ring, in the order that every known back-end takes. */
import type { Fd } from '@oriel/sys';
import { VHOST_USER_VRING_NOFD_MASK, VhostVringState } from '../layout.ts';
import { encodeU64, encodeVringAddr, encodeVringState } from '../protocol/encode.ts';
import type { ReplyHandler } from './requester.ts';
import { type Done, sequence } from './sequence.ts';

/** A ring to start. Addresses are user addresses; descriptors are lent for the call, -1: none. */
export interface RingStart {
  readonly index: number;
  /** Entries. */
  readonly size: number;
  readonly base: number;
  readonly desc: number;
  readonly used: number;
  readonly avail: number;
  readonly kickFd: number;
  readonly callFd: number;
}

/** What the steps need of the connection. */
export interface RingPort {
  readonly request: (name: string, payload: Uint8Array, fds: readonly number[], done: ReplyHandler) => void;
  /** Bit 30 was accepted: there is SET_VRING_ENABLE. */
  readonly hasEnable: boolean;
}

/**
 * NUM, BASE, ADDR, CALL, KICK, ENABLE: back-ends of rust-vmm start at KICK, so everything else stands before it.
 * @param kick - lent until `done`, as is `call`; null: none
 */
export function startRing(port: RingPort, ring: RingStart, kick: Fd | null, call: Fd | null, done: Done): void {
  const { index } = ring;
  const send = (name: string, payload: Uint8Array, fd: Fd | null, next: Done) =>
    port.request(name, payload, fd === null ? [] : [fd.fd], (error) => next(error));
  const state = (name: string, num: number) => (next: Done) => send(name, encodeVringState(index, num), null, next);
  const eventfd = (name: string, fd: Fd | null) => (next: Done) =>
    send(name, encodeU64(fd === null ? index | VHOST_USER_VRING_NOFD_MASK : index), fd, next);
  const addresses = encodeVringAddr(index, ring.desc, ring.used, ring.avail);
  sequence(
    [
      state('SET_VRING_NUM', ring.size),
      state('SET_VRING_BASE', ring.base),
      (next) => send('SET_VRING_ADDR', addresses, null, next),
      eventfd('SET_VRING_CALL', call),
      eventfd('SET_VRING_KICK', kick),
      ...(port.hasEnable ? [state('SET_VRING_ENABLE', 1)] : []),
    ],
    done,
  );
}

/** ENABLE 0, GET_VRING_BASE. */
export function stopRing(port: RingPort, index: number, done: (error: Error | null, base: number) => void): void {
  let base = 0;
  const disable = (next: Done) =>
    port.request('SET_VRING_ENABLE', encodeVringState(index, 0), [], (error) => next(error));
  const getBase = (next: Done) =>
    port.request('GET_VRING_BASE', encodeVringState(index, 0), [], (error, reply) => {
      if (reply !== null) {
        const { buffer, byteOffset, byteLength } = reply.payload;
        base = VhostVringState.num.get(new DataView(buffer, byteOffset, byteLength), 0);
      }
      next(error);
    });
  sequence(port.hasEnable ? [disable, getBase] : [getBase], (error) => done(error, base));
}
