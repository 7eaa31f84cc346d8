/**
 * One request of every message as bytes, written by hand from the specification. Header: id, flags, size. Flags 9 where an
 * ack is wanted, 1 where the message has its own reply.
 */
import type { BackendMessageName, FrontendMessageName } from '../../src/index.ts';

export interface Golden {
  /** Header and payload. */
  readonly request: string;
  /** What kind of descriptors goes along. */
  readonly fds?: readonly ('memory' | 'event' | 'socket')[];
  /** What a back-end in the state of `prelude` answers; 'eof': it closes, since a reply of its own cannot say no. */
  readonly answer: string;
}

/** An ack: id, flags 5, size 8, value. */
const ack = (id: string, value: '00' | '01') => `${id}000000 05000000 08000000 ${value}00000000000000`;
const ok = (id: string) => ack(id, '00');
const refused = (id: string) => ack(id, '01');
/** A reply of its own without payload, and without the descriptor that would come with it. */
const nothing = (id: string) => `${id}000000 05000000 00000000`;

export const FRONTEND_GOLDEN: Readonly<Record<FrontendMessageName, Golden>> = {
  GET_FEATURES: {
    request: '01000000 01000000 00000000',
    answer: '01000000 05000000 08000000 0100006001000000',
  },
  SET_FEATURES: { request: '02000000 09000000 08000000 0100006001000000', answer: ok('02') },
  SET_OWNER: { request: '03000000 09000000 00000000', answer: ok('03') },
  RESET_OWNER: { request: '04000000 09000000 00000000', answer: ok('04') },
  SET_MEM_TABLE: {
    request: `05000000 09000000 48000000 02000000 00000000
      0000004000000000 0000010000000000 000000000070 0000 0000000000000000
      0000008000000000 0000010000000000 000000100070 0000 0000010000000000`,
    fds: ['memory', 'memory'],
    answer: ok('05'),
  },
  SET_LOG_BASE: {
    request: '06000000 01000000 10000000 0010000000000000 0020000000000000',
    fds: ['memory'],
    answer: 'eof',
  },
  SET_LOG_FD: { request: '07000000 09000000 00000000', fds: ['event'], answer: refused('07') },
  SET_VRING_NUM: { request: '08000000 09000000 08000000 01000000 80000000', answer: ok('08') },
  SET_VRING_ADDR: {
    request: `09000000 09000000 28000000 01000000 01000000
      0080000000700000 0090000000700000 0088000000700000 0000000000000000`,
    answer: ok('09'),
  },
  SET_VRING_BASE: { request: '0a000000 09000000 08000000 00000000 ffff0000', answer: ok('0a') },
  GET_VRING_BASE: {
    request: '0b000000 01000000 08000000 00000000 00000000',
    answer: '0b000000 05000000 08000000 00000000 05000000',
  },
  SET_VRING_KICK: { request: '0c000000 09000000 08000000 0000000000000000', fds: ['event'], answer: ok('0c') },
  SET_VRING_CALL: { request: '0d000000 09000000 08000000 0100000000000000', fds: ['event'], answer: ok('0d') },
  SET_VRING_ERR: { request: '0e000000 09000000 08000000 0101000000000000', answer: ok('0e') },
  GET_PROTOCOL_FEATURES: {
    request: '0f000000 01000000 00000000',
    answer: '0f000000 05000000 08000000 29a6410000000000',
  },
  SET_PROTOCOL_FEATURES: { request: '10000000 09000000 08000000 29a6410000000000', answer: ok('10') },
  GET_QUEUE_NUM: {
    request: '11000000 01000000 00000000',
    answer: '11000000 05000000 08000000 0200000000000000',
  },
  SET_VRING_ENABLE: { request: '12000000 09000000 08000000 01000000 01000000', answer: ok('12') },
  SEND_RARP: { request: '13000000 09000000 08000000 525400123456 0000', answer: refused('13') },
  NET_SET_MTU: { request: '14000000 09000000 08000000 dc05000000000000', answer: refused('14') },
  SET_BACKEND_REQ_FD: { request: '15000000 09000000 00000000', fds: ['socket'], answer: ok('15') },
  IOTLB_MSG: {
    request: `16000000 01000000 20000000 0000000001000000 0010000000000000 0000400000700000 03 02 000000000000`,
    answer: refused('16'),
  },
  SET_VRING_ENDIAN: { request: '17000000 09000000 08000000 00000000 01000000', answer: refused('17') },
  GET_CONFIG: {
    request: '18000000 01000000 10000000 28000000 04000000 00000000 00000000',
    answer: '18000000 05000000 10000000 28000000 04000000 00000000 292a2b2c',
  },
  SET_CONFIG: {
    request: '19000000 09000000 0e000000 04000000 02000000 00000000 aabb',
    answer: ok('19'),
  },
  CREATE_CRYPTO_SESSION: { request: '1a000000 01000000 08000000 0000000000000000', answer: 'eof' },
  CLOSE_CRYPTO_SESSION: { request: '1b000000 09000000 08000000 0100000000000000', answer: refused('1b') },
  POSTCOPY_ADVISE: { request: '1c000000 01000000 00000000', answer: nothing('1c') },
  POSTCOPY_LISTEN: { request: '1d000000 09000000 00000000', answer: refused('1d') },
  POSTCOPY_END: { request: '1e000000 01000000 00000000', answer: refused('1e') },
  GET_INFLIGHT_FD: {
    request: '1f000000 01000000 18000000 0000000000000000 0000000000000000 0200 8000 00000000',
    answer: `1f000000 05000000 18000000 ${'00'.repeat(24)}`,
  },
  SET_INFLIGHT_FD: {
    request: '20000000 09000000 18000000 0010000000000000 0000000000000000 0200 8000 00000000',
    fds: ['memory'],
    answer: refused('20'),
  },
  GPU_SET_SOCKET: { request: '21000000 09000000 00000000', fds: ['socket'], answer: refused('21') },
  RESET_DEVICE: { request: '22000000 09000000 00000000', answer: ok('22') },
  VRING_KICK: { request: '23000000 09000000 08000000 00000000 00000000', answer: refused('23') },
  GET_MAX_MEM_SLOTS: {
    request: '24000000 01000000 00000000',
    answer: '24000000 05000000 08000000 fd01000000000000',
  },
  ADD_MEM_REG: {
    request: `25000000 09000000 28000000 0000000000000000
      0000008000000000 0000010000000000 000000100070 0000 0000010000000000`,
    fds: ['memory'],
    answer: ok('25'),
  },
  REM_MEM_REG: {
    request: `26000000 09000000 28000000 0000000000000000
      0000004000000000 0000010000000000 000000000070 0000 0000000000000000`,
    answer: ok('26'),
  },
  SET_STATUS: { request: '27000000 09000000 08000000 0f00000000000000', answer: ok('27') },
  GET_STATUS: {
    request: '28000000 01000000 00000000',
    answer: '28000000 05000000 08000000 0000000000000000',
  },
  GET_SHARED_OBJECT: { request: '29000000 01000000 10000000 000102030405060708090a0b0c0d0e0f', answer: nothing('29') },
  SET_DEVICE_STATE_FD: {
    request: '2a000000 01000000 08000000 01000000 00000000',
    fds: ['event'],
    answer: '2a000000 05000000 08000000 0101000000000000',
  },
  CHECK_DEVICE_STATE: { request: '2b000000 01000000 00000000', answer: refused('2b') },
  GET_SHMEM_CONFIG: {
    request: '2c000000 01000000 00000000',
    answer: `2c000000 05000000 08080000 01000000 00000000 0000010000000000 ${'00'.repeat(8 * 255)}`,
  },
  GET_VRING_BASE_SKIP_DRAIN: { request: '2d000000 01000000 08000000 00000000 00000000', answer: 'eof' },
};

/** Back-end requests, and what a front-end answers that has one region, shmid 0 of 0x10000 bytes. Refusals are -errno. */
export const BACKEND_GOLDEN: Readonly<Record<BackendMessageName, Golden>> = {
  IOTLB_MSG: {
    request: '01000000 09000000 20000000 0000000001000000 0000000000000000 0000000000000000 01 01 000000000000',
    answer: '01000000 05000000 08000000 eaffffffffffffff',
  },
  CONFIG_CHANGE_MSG: {
    request: '02000000 09000000 00000000',
    answer: ok('02'),
  },
  VRING_HOST_NOTIFIER_MSG: {
    request: '03000000 09000000 18000000 0001000000000000 0010000000000000 0000000000000000',
    answer: '03000000 05000000 08000000 eaffffffffffffff',
  },
  VRING_CALL: {
    request: '04000000 09000000 08000000 01000000 00000000',
    answer: '04000000 05000000 08000000 eaffffffffffffff',
  },
  VRING_ERR: {
    request: '05000000 09000000 08000000 01000000 00000000',
    answer: '05000000 05000000 08000000 eaffffffffffffff',
  },
  SHARED_OBJECT_ADD: {
    request: '06000000 09000000 10000000 000102030405060708090a0b0c0d0e0f',
    answer: '06000000 05000000 08000000 eaffffffffffffff',
  },
  SHARED_OBJECT_REMOVE: {
    request: '07000000 09000000 10000000 000102030405060708090a0b0c0d0e0f',
    answer: '07000000 05000000 08000000 eaffffffffffffff',
  },
  SHARED_OBJECT_LOOKUP: {
    request: '08000000 01000000 10000000 000102030405060708090a0b0c0d0e0f',
    answer: '08000000 05000000 08000000 eaffffffffffffff',
  },
  SHMEM_MAP: {
    request: `09000000 09000000 28000000 00 00000000000000
      0010000000000000 0020000000000000 0030000000000000 0100000000000000`,
    fds: ['memory'],
    answer: ok('09'),
  },
  SHMEM_UNMAP: {
    request: `0a000000 09000000 28000000 00 00000000000000
      0010000000000000 0020000000000000 0030000000000000 0100000000000000`,
    answer: ok('0a'),
  },
};

/** Hex without spaces. */
export function bare(hex: string): string {
  return hex.replaceAll(/\s/g, '');
}

export function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(bare(hex), 'hex'));
}

/** The payload of a golden message. */
export function payloadOf(golden: Golden): Uint8Array {
  return bytesOf(golden.request).subarray(12);
}
