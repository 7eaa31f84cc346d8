/**
 * The message table of vhost-user: front-end messages 1..45 and back-end messages 1..10. Server, client, tests and the
 * README all read it here.
 */
import {
  VHOST_USER_F_PROTOCOL_FEATURES,
  VHOST_USER_PROTOCOL_F_BACKEND_REQ,
  VHOST_USER_PROTOCOL_F_CONFIG,
  VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS,
  VHOST_USER_PROTOCOL_F_CROSS_ENDIAN,
  VHOST_USER_PROTOCOL_F_CRYPTO_SESSION,
  VHOST_USER_PROTOCOL_F_DEVICE_STATE,
  VHOST_USER_PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN,
  VHOST_USER_PROTOCOL_F_HOST_NOTIFIER,
  VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS,
  VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
  VHOST_USER_PROTOCOL_F_LOG_SHMFD,
  VHOST_USER_PROTOCOL_F_MQ,
  VHOST_USER_PROTOCOL_F_NET_MTU,
  VHOST_USER_PROTOCOL_F_PAGEFAULT,
  VHOST_USER_PROTOCOL_F_RARP,
  VHOST_USER_PROTOCOL_F_RESET_DEVICE,
  VHOST_USER_PROTOCOL_F_SHARED_OBJECT,
  VHOST_USER_PROTOCOL_F_SHMEM,
  VHOST_USER_PROTOCOL_F_STATUS,
  VIRTIO_F_ACCESS_PLATFORM,
} from '../features.ts';
import { VHOST_USER_VRING_NOFD_MASK, VhostUserInflight, VhostUserMemory, VhostUserU64 } from '../layout.ts';
import { encodeU64 } from './encode.ts';
import type { PayloadRule } from './payload.ts';
import {
  CONFIG,
  CONFIG_REPLY,
  CRYPTO_SESSION,
  EMPTY,
  INFLIGHT,
  IOTLB,
  LOG,
  LOG_REPLY,
  MAX_TABLE_REGIONS,
  MEM_TABLE,
  MMAP,
  SHMEM_CONFIG,
  SINGLE_REGION,
  TRANSFER_STATE,
  U64_PAYLOAD,
  UUID,
  UUID_OR_EMPTY,
  VRING_ADDR,
  VRING_AREA,
  VRING_STATE,
} from './payload.ts';

/** How many descriptors come with a message. */
export interface FdRule {
  readonly min: number;
  readonly max: number;
  /** The exact number, where the payload says it. */
  readonly count?: (view: DataView) => number;
}

/** What a message needs to have been negotiated: a protocol feature bit, or a device feature bit. */
export type Gate = { readonly protocol: number } | { readonly feature: number };

/** A reply of its own, sent whether asked for or not. */
export interface ReplyRule {
  readonly payload: PayloadRule;
  /** Most descriptors with it. */
  readonly maxFds: number;
  /** How it says no; null: it cannot, and the connection ends. */
  readonly refusal: Refusal | null;
}

/** A reply that says no. */
export interface Refusal {
  readonly payload: Uint8Array;
  /** Front-ends look at it only where they asked for an ack. */
  readonly onlyIfAsked: boolean;
}

/** One line of the table. */
export interface MessageSpec<Name extends string = string> {
  readonly id: number;
  readonly name: Name;
  readonly payload: PayloadRule;
  readonly fds: FdRule;
  /** 'ack': a u64, only under REPLY_ACK with NEED_REPLY. */
  readonly reply: 'ack' | ReplyRule;
  readonly gate: Gate | null;
}

interface Rest {
  readonly fds?: FdRule;
  readonly reply?: ReplyRule;
  readonly gate?: Gate;
}

function message<const Name extends string>(
  id: number,
  name: Name,
  payload: PayloadRule,
  rest: Rest = {},
): MessageSpec<Name> {
  return { id, name, payload, fds: rest.fds ?? NO_FD, reply: rest.reply ?? 'ack', gate: rest.gate ?? null };
}

const NO_FD: FdRule = { min: 0, max: 0 };
const ONE_FD: FdRule = { min: 1, max: 1 };
const MAYBE_FD: FdRule = { min: 0, max: 1 };
const TABLE_FDS: FdRule = { min: 0, max: MAX_TABLE_REGIONS, count: (view) => VhostUserMemory.nregions.get(view, 0) };
const VRING_FD: FdRule = {
  min: 0,
  max: 1,
  count: (view) => ((VhostUserU64.value.lo(view, 0) & VHOST_USER_VRING_NOFD_MASK) === 0 ? 1 : 0),
};

const replies = (payload: PayloadRule, maxFds = 0, refusal: Refusal | null = null): ReplyRule => ({
  payload,
  maxFds,
  refusal,
});
const saysNo = (payload: Uint8Array): Refusal => ({ payload, onlyIfAsked: false });
/** A u64 that is not 0. */
const FAILURE = saysNo(encodeU64(1));
/** Nothing, where a descriptor would be. */
const NOTHING = saysNo(new Uint8Array(0));
/** `mmap_size` 0, which front-ends take for "no in-flight memory". */
const NO_INFLIGHT = saysNo(new Uint8Array(VhostUserInflight.byteLength));
/** Error 1 in the low byte, and bit 8: no descriptor comes back. */
const NO_TRANSFER = saysNo(encodeU64(VHOST_USER_VRING_NOFD_MASK | 1));
/** QEMU looks at the number of this reply and at nothing else. */
const LOG_FAILURE: Refusal = { payload: encodeU64(1), onlyIfAsked: true };
const protocol = (bit: number): Gate => ({ protocol: bit });

const MQ = protocol(VHOST_USER_PROTOCOL_F_MQ);
const CONFIG_GATE = protocol(VHOST_USER_PROTOCOL_F_CONFIG);
const CRYPTO = protocol(VHOST_USER_PROTOCOL_F_CRYPTO_SESSION);
const PAGEFAULT = protocol(VHOST_USER_PROTOCOL_F_PAGEFAULT);
const INFLIGHT_SHMFD = protocol(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
const INBAND = protocol(VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS);
const SLOTS = protocol(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS);
const STATUS = protocol(VHOST_USER_PROTOCOL_F_STATUS);
const SHARED_OBJECT = protocol(VHOST_USER_PROTOCOL_F_SHARED_OBJECT);
const DEVICE_STATE = protocol(VHOST_USER_PROTOCOL_F_DEVICE_STATE);
const SHMEM = protocol(VHOST_USER_PROTOCOL_F_SHMEM);

/** Messages of the main channel, by id from 1. */
export const FRONTEND_MESSAGES = [
  message(1, 'GET_FEATURES', EMPTY, { reply: replies(U64_PAYLOAD) }),
  message(2, 'SET_FEATURES', U64_PAYLOAD),
  message(3, 'SET_OWNER', EMPTY),
  message(4, 'RESET_OWNER', EMPTY),
  message(5, 'SET_MEM_TABLE', MEM_TABLE, { fds: TABLE_FDS }),
  message(6, 'SET_LOG_BASE', LOG, {
    fds: ONE_FD,
    reply: replies(LOG_REPLY, 0, LOG_FAILURE),
    gate: protocol(VHOST_USER_PROTOCOL_F_LOG_SHMFD),
  }),
  message(7, 'SET_LOG_FD', EMPTY, { fds: ONE_FD }),
  message(8, 'SET_VRING_NUM', VRING_STATE),
  message(9, 'SET_VRING_ADDR', VRING_ADDR),
  message(10, 'SET_VRING_BASE', VRING_STATE),
  message(11, 'GET_VRING_BASE', VRING_STATE, { reply: replies(VRING_STATE) }),
  message(12, 'SET_VRING_KICK', U64_PAYLOAD, { fds: VRING_FD }),
  message(13, 'SET_VRING_CALL', U64_PAYLOAD, { fds: VRING_FD }),
  message(14, 'SET_VRING_ERR', U64_PAYLOAD, { fds: VRING_FD }),
  message(15, 'GET_PROTOCOL_FEATURES', EMPTY, { reply: replies(U64_PAYLOAD) }),
  message(16, 'SET_PROTOCOL_FEATURES', U64_PAYLOAD),
  message(17, 'GET_QUEUE_NUM', EMPTY, { reply: replies(U64_PAYLOAD), gate: MQ }),
  message(18, 'SET_VRING_ENABLE', VRING_STATE, { gate: { feature: VHOST_USER_F_PROTOCOL_FEATURES } }),
  message(19, 'SEND_RARP', U64_PAYLOAD, { gate: protocol(VHOST_USER_PROTOCOL_F_RARP) }),
  message(20, 'NET_SET_MTU', U64_PAYLOAD, { gate: protocol(VHOST_USER_PROTOCOL_F_NET_MTU) }),
  message(21, 'SET_BACKEND_REQ_FD', EMPTY, { fds: ONE_FD, gate: protocol(VHOST_USER_PROTOCOL_F_BACKEND_REQ) }),
  message(22, 'IOTLB_MSG', IOTLB, {
    reply: replies(U64_PAYLOAD, 0, FAILURE),
    gate: { feature: VIRTIO_F_ACCESS_PLATFORM },
  }),
  message(23, 'SET_VRING_ENDIAN', VRING_STATE, { gate: protocol(VHOST_USER_PROTOCOL_F_CROSS_ENDIAN) }),
  message(24, 'GET_CONFIG', CONFIG, { reply: replies(CONFIG_REPLY), gate: CONFIG_GATE }),
  message(25, 'SET_CONFIG', CONFIG, { gate: CONFIG_GATE }),
  message(26, 'CREATE_CRYPTO_SESSION', CRYPTO_SESSION, { reply: replies(CRYPTO_SESSION), gate: CRYPTO }),
  message(27, 'CLOSE_CRYPTO_SESSION', U64_PAYLOAD, { gate: CRYPTO }),
  message(28, 'POSTCOPY_ADVISE', EMPTY, { reply: replies(EMPTY, 1, NOTHING), gate: PAGEFAULT }),
  message(29, 'POSTCOPY_LISTEN', EMPTY, { gate: PAGEFAULT }),
  message(30, 'POSTCOPY_END', EMPTY, { reply: replies(U64_PAYLOAD, 0, FAILURE), gate: PAGEFAULT }),
  message(31, 'GET_INFLIGHT_FD', INFLIGHT, { reply: replies(INFLIGHT, 1, NO_INFLIGHT), gate: INFLIGHT_SHMFD }),
  message(32, 'SET_INFLIGHT_FD', INFLIGHT, { fds: ONE_FD, gate: INFLIGHT_SHMFD }),
  message(33, 'GPU_SET_SOCKET', EMPTY, { fds: ONE_FD }),
  message(34, 'RESET_DEVICE', EMPTY, { gate: protocol(VHOST_USER_PROTOCOL_F_RESET_DEVICE) }),
  message(35, 'VRING_KICK', VRING_STATE, { gate: INBAND }),
  message(36, 'GET_MAX_MEM_SLOTS', EMPTY, { reply: replies(U64_PAYLOAD), gate: SLOTS }),
  message(37, 'ADD_MEM_REG', SINGLE_REGION, { fds: ONE_FD, gate: SLOTS }),
  message(38, 'REM_MEM_REG', SINGLE_REGION, { fds: MAYBE_FD, gate: SLOTS }),
  message(39, 'SET_STATUS', U64_PAYLOAD, { gate: STATUS }),
  message(40, 'GET_STATUS', EMPTY, { reply: replies(U64_PAYLOAD), gate: STATUS }),
  message(41, 'GET_SHARED_OBJECT', UUID_OR_EMPTY, { reply: replies(EMPTY, 1, NOTHING), gate: SHARED_OBJECT }),
  message(42, 'SET_DEVICE_STATE_FD', TRANSFER_STATE, {
    fds: ONE_FD,
    reply: replies(U64_PAYLOAD, 1, NO_TRANSFER),
    gate: DEVICE_STATE,
  }),
  message(43, 'CHECK_DEVICE_STATE', EMPTY, { reply: replies(U64_PAYLOAD, 0, FAILURE), gate: DEVICE_STATE }),
  message(44, 'GET_SHMEM_CONFIG', EMPTY, { reply: replies(SHMEM_CONFIG), gate: SHMEM }),
  message(45, 'GET_VRING_BASE_SKIP_DRAIN', VRING_STATE, {
    reply: replies(VRING_STATE),
    gate: protocol(VHOST_USER_PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN),
  }),
] as const;

/** Messages of the back channel, by id from 1. */
export const BACKEND_MESSAGES = [
  message(1, 'IOTLB_MSG', IOTLB, { gate: { feature: VIRTIO_F_ACCESS_PLATFORM } }),
  message(2, 'CONFIG_CHANGE_MSG', EMPTY, { gate: CONFIG_GATE }),
  message(3, 'VRING_HOST_NOTIFIER_MSG', VRING_AREA, {
    fds: VRING_FD,
    gate: protocol(VHOST_USER_PROTOCOL_F_HOST_NOTIFIER),
  }),
  message(4, 'VRING_CALL', VRING_STATE, { gate: INBAND }),
  message(5, 'VRING_ERR', VRING_STATE, { gate: INBAND }),
  message(6, 'SHARED_OBJECT_ADD', UUID, { gate: SHARED_OBJECT }),
  message(7, 'SHARED_OBJECT_REMOVE', UUID, { gate: SHARED_OBJECT }),
  message(8, 'SHARED_OBJECT_LOOKUP', UUID, { reply: replies(U64_PAYLOAD, 1), gate: SHARED_OBJECT }),
  message(9, 'SHMEM_MAP', MMAP, { fds: ONE_FD, gate: SHMEM }),
  message(10, 'SHMEM_UNMAP', MMAP, { gate: SHMEM }),
] as const;

export type FrontendMessageName = (typeof FRONTEND_MESSAGES)[number]['name'];
export type BackendMessageName = (typeof BACKEND_MESSAGES)[number]['name'];

const frontendByName = new Map<string, MessageSpec>(FRONTEND_MESSAGES.map((spec) => [spec.name, spec]));
const backendByName = new Map<string, MessageSpec>(BACKEND_MESSAGES.map((spec) => [spec.name, spec]));

/** The front-end message with this number; undefined outside the table. */
export function frontendMessage(id: number): MessageSpec<FrontendMessageName> | undefined {
  return FRONTEND_MESSAGES[id - 1];
}

/** The back-end message with this number; undefined outside the table. */
export function backendMessage(id: number): MessageSpec<BackendMessageName> | undefined {
  return BACKEND_MESSAGES[id - 1];
}

/** The front-end message of this name. @throws RangeError for a name outside the table */
export function frontendMessageNamed(name: string): MessageSpec {
  return named(frontendByName, name);
}

/** The back-end message of this name. @throws RangeError for a name outside the table */
export function backendMessageNamed(name: string): MessageSpec {
  return named(backendByName, name);
}

function named(table: ReadonlyMap<string, MessageSpec>, name: string): MessageSpec {
  const spec = table.get(name);
  if (spec === undefined) {
    throw new RangeError(`no vhost-user message is called ${name}`);
  }
  return spec;
}
