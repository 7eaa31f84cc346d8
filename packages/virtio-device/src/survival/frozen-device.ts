/** A served device with its front-end, written down for the process that goes on: what `DeviceServer.handOver` leaves. */
import type { FrozenConnection } from '@oriel/vhost-user';
import type { KeptBuffer, KeptChain, QueueState } from '@oriel/virtqueue';
import { DeviceError } from '../errors.ts';
import type { HistoryState } from '../run-history.ts';

/** What the device's part of a connection had. */
export interface FrozenRings {
  /** What the last queue of each ring left; null: it never ran. */
  readonly queues: readonly (QueueState | null)[];
  readonly history: HistoryState;
}

/** The whole. Its descriptors are given away. */
export interface FrozenDevice {
  readonly connection: FrozenConnection;
  readonly rings: FrozenRings;
}

const MAX_U16 = 0xffff;
const MAX_U32 = 0xffff_ffff;

function refuse(what: string): never {
  throw new DeviceError('ERR_DEVICE_HANDOVER', `${what} of the process before makes no sense here`);
}

function object(value: unknown, what: string): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : refuse(what);
}

function list(value: unknown, what: string): readonly unknown[] {
  return Array.isArray(value) ? value : refuse(what);
}

function number(value: unknown, least: number, most: number, what: string): number {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most
    ? (value as number)
    : refuse(what);
}

function readBuffer(value: unknown): KeptBuffer {
  const { gpa, len, writable } = object(value, 'a buffer');
  return {
    gpa: number(gpa, 0, Number.MAX_SAFE_INTEGER, 'an address'),
    len: number(len, 0, MAX_U32, 'a length'),
    writable: writable === true,
  };
}

function readChain(value: unknown): KeptChain {
  const { head, written, slots, buffers } = object(value, 'a chain');
  return {
    head: number(head, 0, MAX_U16, 'a head'),
    written: number(written, -1, MAX_U32, 'a length'),
    slots: number(slots, 1, MAX_U16, 'a chain'),
    buffers: list(buffers, 'a chain').map(readBuffer),
  };
}

function readQueue(value: unknown): QueueState | null {
  if (value === null) {
    return null;
  }
  const { base, kept } = object(value, 'a queue');
  return { base: number(base, 0, MAX_U32, 'a base'), kept: list(kept, 'a queue').map(readChain) };
}

/**
 * Reads what `JSON.stringify` made of a `FrozenRings`.
 * @param queueCount - of the device here
 * @throws DeviceError ERR_DEVICE_HANDOVER
 */
export function readFrozenRings(value: unknown, queueCount: number): FrozenRings {
  const { queues, history } = object(value, 'the rings');
  const { bases, outstanding, moved } = object(history, 'the rings');
  const column = (given: unknown, least: number, most: number): number[] => {
    const numbers = list(given, 'a ring').map((one) => number(one, least, most, 'a ring'));
    return numbers.length === queueCount ? numbers : refuse(`${numbers.length} rings`);
  };
  const states = list(queues, 'the rings').map(readQueue);
  if (states.length !== queueCount) {
    refuse(`${states.length} queues`);
  }
  return {
    queues: states,
    history: {
      bases: column(bases, -1, MAX_U32),
      outstanding: column(outstanding, 0, MAX_U16),
      moved: column(moved, 0, 1),
    },
  };
}
