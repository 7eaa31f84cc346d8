/** Messages that fit the guest at hand, and golden ones of every kind. */
import { FRONTEND_MESSAGES, type FrontendMessageName } from '@oriel/vhost-user';
import { FRONTEND_GOLDEN, payloadOf } from '../../../../packages/vhost-user/test/support/golden.ts';
import type { Xorshift } from '../random.ts';
import type { FdKind } from './fd-kinds.ts';
import { GUEST_BYTES, GUEST_GPA, GUEST_USER, type HostileGuest, RING_SIZE } from './hostile-guest.ts';
import { u32s, u64s } from './wire.ts';

/** What goes along with a message: a kind to be made, or a descriptor of the guest's, lent. */
export type MessageFd = FdKind | { readonly lent: number };

/** A message before it is broken. */
export interface SomeMessage {
  readonly name: FrontendMessageName;
  readonly id: number;
  readonly payload: Uint8Array;
  readonly fds: readonly MessageFd[];
}

/** Configuration of a file system device, as far as its tag. */
const TAG_BYTES = 36;
/** VERSION_1, EVENT_IDX, INDIRECT_DESC and PROTOCOL_FEATURES. */
const FEATURES = 2 ** 32 + 2 ** 30 + 2 ** 29 + 2 ** 28;
/** MQ, REPLY_ACK, BACKEND_REQ, CONFIG, BACKEND_SEND_FD, RESET_DEVICE, CONFIGURE_MEM_SLOTS, STATUS. */
const PROTOCOL = 0x1_a629;

/** What this back-end serves: only these keep a connection alive. */
const SERVED: readonly FrontendMessageName[] = [
  ...(['GET_FEATURES', 'SET_FEATURES', 'SET_OWNER', 'RESET_OWNER', 'GET_PROTOCOL_FEATURES', 'GET_QUEUE_NUM'] as const),
  ...(['SET_MEM_TABLE', 'ADD_MEM_REG', 'REM_MEM_REG', 'GET_MAX_MEM_SLOTS', 'GET_CONFIG'] as const),
  ...(['SET_VRING_NUM', 'SET_VRING_ADDR', 'SET_VRING_BASE', 'GET_VRING_BASE', 'SET_VRING_ENABLE'] as const),
  ...(['SET_VRING_KICK', 'SET_VRING_CALL', 'SET_VRING_ERR', 'SET_BACKEND_REQ_FD', 'GET_SHMEM_CONFIG'] as const),
  ...(['RESET_DEVICE', 'GET_STATUS', 'SET_STATUS'] as const),
];

const IDS = new Map<FrontendMessageName, number>(FRONTEND_MESSAGES.map(({ id, name }) => [name, id]));

/** Builds messages for one guest. */
export class Messages {
  readonly #guest: HostileGuest;
  readonly #shmemBit: number;

  constructor(guest: HostileGuest, shmemBit: number) {
    this.#guest = guest;
    this.#shmemBit = shmemBit;
  }

  /** What an honest front-end says until both rings run, in its order. */
  *startUp(slots: boolean): Generator<SomeMessage> {
    yield this.#golden('GET_FEATURES');
    yield this.#golden('GET_PROTOCOL_FEATURES');
    yield this.apt('SET_PROTOCOL_FEATURES', 0);
    yield this.#golden('SET_OWNER');
    yield this.apt('SET_BACKEND_REQ_FD', 0);
    yield this.apt('SET_FEATURES', 0);
    yield this.apt(slots ? 'ADD_MEM_REG' : 'SET_MEM_TABLE', 0);
    for (const index of [0, 1]) {
      yield this.apt('SET_VRING_NUM', index);
      yield this.apt('SET_VRING_BASE', index);
      yield this.apt('SET_VRING_ADDR', index);
      yield this.apt('SET_VRING_KICK', index);
      yield this.apt('SET_VRING_CALL', index);
      yield this.apt('SET_VRING_ENABLE', index);
    }
  }

  /** A message of any kind: as it fits the guest, or the golden one. */
  any(random: Xorshift): SomeMessage {
    const name = random.once(12) ? random.pick(FRONTEND_MESSAGES).name : random.pick(SERVED);
    return random.once(12) ? this.#golden(name) : this.apt(name, random.below(2));
  }

  /** The message as it fits this guest, where the guest matters; else the golden one. @param index - of a ring */
  apt(name: FrontendMessageName, index: number): SomeMessage {
    const region = [GUEST_GPA, GUEST_BYTES, GUEST_USER, 0];
    const ram = { lent: this.#guest.ramFd.fd };
    switch (name) {
      case 'SET_FEATURES':
        return message(name, u64s(FEATURES));
      case 'SET_PROTOCOL_FEATURES':
        return message(name, u64s(PROTOCOL + 2 ** this.#shmemBit));
      case 'SET_MEM_TABLE':
        return message(name, new Uint8Array([...u32s(1, 0), ...u64s(...region)]), [ram]);
      case 'ADD_MEM_REG':
        return message(name, u64s(0, ...region), [ram]);
      case 'REM_MEM_REG':
        return message(name, u64s(0, ...region));
      case 'GET_CONFIG':
        return message(name, new Uint8Array([...u32s(0, TAG_BYTES, 0), ...new Uint8Array(TAG_BYTES)]));
      case 'SET_VRING_NUM':
        return message(name, u32s(index, RING_SIZE));
      case 'SET_VRING_BASE':
      case 'GET_VRING_BASE':
        return message(name, u32s(index, 0));
      case 'SET_VRING_ENABLE':
        return message(name, u32s(index, 1));
      case 'SET_VRING_ADDR': {
        const { desc, avail, used } = this.#guest.ring(index);
        return message(name, new Uint8Array([...u32s(index, 0), ...u64s(desc, used, avail, 0)]));
      }
      case 'SET_VRING_KICK':
        return message(name, u64s(index), [{ lent: this.#guest.kickFd(index) }]);
      case 'SET_VRING_CALL':
      case 'SET_VRING_ERR':
        return message(name, u64s(index), ['event']);
      default:
        return this.#golden(name);
    }
  }

  #golden(name: FrontendMessageName): SomeMessage {
    const golden = FRONTEND_GOLDEN[name];
    return message(name, payloadOf(golden), golden.fds ?? []);
  }
}

function message(name: FrontendMessageName, payload: Uint8Array, fds: readonly MessageFd[] = []): SomeMessage {
  return { name, id: IDS.get(name)!, payload, fds };
}
