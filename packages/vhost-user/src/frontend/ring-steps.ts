/** The messages that start and stop a ring, in the order that every known back-end takes. */
import type { Fd } from '@oriel/sys';
import { VHOST_USER_VRING_NOFD_MASK } from '../layout.ts';
import { encodeU64, encodeVringAddr, encodeVringState } from '../protocol/encode.ts';
import { readBase } from './check-reply.ts';
import { type Answer, ask, type RequestPort } from './request-port.ts';
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
  /** GPA at which writes to the used ring are logged; absent: they are not. */
  readonly log?: number;
}

/** What the steps need of the connection. */
export interface RingPort extends RequestPort {
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
  sequence(
    [
      state('SET_VRING_NUM', ring.size),
      state('SET_VRING_BASE', ring.base),
      (next) => setRingAddresses(port, ring, next),
      eventfd('SET_VRING_CALL', call),
      eventfd('SET_VRING_KICK', kick),
      ...(port.hasEnable ? [state('SET_VRING_ENABLE', 1)] : []),
    ],
    done,
  );
}

/** SET_VRING_ADDR; also of a running ring, when logging of its used ring is switched. */
export function setRingAddresses(port: RequestPort, ring: RingStart, done: Done): void {
  const payload = encodeVringAddr(ring.index, ring.desc, ring.used, ring.avail, ring.log);
  port.request('SET_VRING_ADDR', payload, [], (error) => done(error));
}

/** ENABLE 0, then the message that stops the ring and gives its base. */
export function stopRing(
  port: RingPort,
  index: number,
  message: 'GET_VRING_BASE' | 'GET_VRING_BASE_SKIP_DRAIN',
  done: Answer<number>,
): void {
  const getBase = () => ask(port, message, encodeVringState(index, 0), [], readBase(index), done);
  if (!port.hasEnable) {
    getBase();
    return;
  }
  port.request('SET_VRING_ENABLE', encodeVringState(index, 0), [], (error) =>
    error === null ? getBase() : done(error),
  );
}
