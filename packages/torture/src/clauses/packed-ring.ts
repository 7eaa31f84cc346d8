/** Packed rings of a driver that lies. */
import { VIRTIO_F_RING_PACKED } from '@oriel/vhost-user';
import {
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
  VRING_PACKED_DESC_F_USED,
} from '@oriel/virtqueue';
import { clausesOf } from '../clause.ts';
import { MAX_U64, vringState } from '../payloads.ts';
import { RAM_GPA, RAM_SIZE } from '../ram.ts';
import { BUFFERS_GPA, type Descriptor, type Ring } from '../ring.ts';
import { offersFeature } from './needs.ts';

const clause = clausesOf('packed', 'running', 'VIRTIO 1.3, 2.8');
const PACKED = { packed: true, skip: offersFeature(VIRTIO_F_RING_PACKED, 'RING_PACKED') };
const NEXT = VRING_DESC_F_NEXT;
const WRITE = VRING_DESC_F_WRITE;
const SIZE = 16;

const writable: Descriptor = { addr: BUFFERS_GPA, len: 4096, flags: WRITE };
const readable: Descriptor = { addr: BUFFERS_GPA + 4096, len: 64 };

const packed = (id: string, sent: string, change: (ring: Ring) => void, source?: string) =>
  clause(
    id,
    sent,
    (session) => {
      change(session.ring());
      session.provoke(session.ring());
    },
    source === undefined ? PACKED : { ...PACKED, source },
  );

const base = (id: string, sent: string, value: number) =>
  clause(
    `base-${id}`,
    `SET_VRING_BASE: ${sent}, and the ring's start`,
    (session) => {
      session.tell('GET_VRING_BASE', vringState(session.ring().index, 0));
      session.tell('SET_VRING_BASE', vringState(session.ring().index, value));
      session.ring().offerPacked([writable]);
      session.provoke(session.ring());
    },
    PACKED,
  );

/** In the order in which they are run. */
export const packedRingClauses = [
  packed(
    'id-outside',
    'buffer id 16 in a ring of 16',
    (to) => to.offerPacked([{ ...writable, id: SIZE }]),
    'spdk/spdk#3860',
  ),
  packed('id-max', 'buffer id 65535', (to) => to.offerPacked([{ ...writable, id: 0xffff }]), 'spdk/spdk#3879'),
  packed('id-twice', 'two chains with the same id', (to) => to.offerPacked([writable, writable])),
  packed('endless', 'a chain over the whole ring that goes on', (to) =>
    to.offerPacked(Array.from({ length: SIZE }, () => ({ ...readable, flags: NEXT }))),
  ),
  packed('cut', 'a chain whose rest is not available', (to) => to.offerPacked([{ ...readable, flags: NEXT }])),
  packed('wrap-lie', 'descriptors that are available and used', (to) =>
    to.offerPacked(
      Array.from({ length: SIZE }, () => ({ ...writable, flags: WRITE | (1 << VRING_PACKED_DESC_F_USED) })),
    ),
  ),
  packed('flags', 'a descriptor with all flags but USED', (to) => to.offerPacked([{ ...writable, flags: 0x7fff }])),
  packed('order', 'a readable buffer behind a writable one', (to) =>
    to.offerPacked([{ ...writable, flags: WRITE | NEXT }, readable]),
  ),
  packed('buffer-outside', 'a buffer outside of memory', (to) =>
    to.offerPacked([{ ...writable, addr: RAM_GPA + 4 * RAM_SIZE }]),
  ),
  packed('buffer-wraps', 'a buffer that wraps at 2^64', (to) => to.offerPacked([{ ...writable, addr: MAX_U64 - 7n }])),
  packed('indirect-odd', 'an indirect table of 17 bytes', (to) =>
    to.offerPacked([{ addr: BUFFERS_GPA, len: 17, flags: VRING_DESC_F_INDIRECT }]),
  ),
  packed('indirect-empty', 'an indirect table of no bytes', (to) =>
    to.offerPacked([{ addr: BUFFERS_GPA, len: 0, flags: VRING_DESC_F_INDIRECT }]),
  ),
  packed('indirect-outside', 'an indirect table outside of memory', (to) =>
    to.offerPacked([{ addr: MAX_U64 - 0xfn, len: 64, flags: VRING_DESC_F_INDIRECT }]),
  ),
  packed('indirect-chained', 'an indirect table in a chain', (to) =>
    to.offerPacked([{ addr: BUFFERS_GPA, len: 16, flags: VRING_DESC_F_INDIRECT | NEXT }, writable]),
  ),
  base('outside', 'an index outside of the ring', 0x8fff_8fff),
  base('split', 'both wrap counters 0', 0),
  base('used-ahead', 'used ahead of avail', 0x8008_8000),
];
