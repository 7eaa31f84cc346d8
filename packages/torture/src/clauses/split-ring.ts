/** Split rings of a driver that lies. */
import { VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE } from '@oriel/virtqueue';
import { clausesOf } from '../clause.ts';
import { MAX_U64 } from '../payloads.ts';
import { RAM_GPA, RAM_SIZE } from '../ram.ts';
import { offerHonestly } from '../request.ts';
import { BUFFERS_GPA, type Descriptor, type Ring } from '../ring.ts';
import type { Session } from '../session.ts';

const clause = clausesOf('ring', 'running', 'VIRTIO 1.3, 2.7');
const indirect = clausesOf('indirect', 'running', 'VIRTIO 1.3, 2.7.5.3');
const NEXT = VRING_DESC_F_NEXT;
const WRITE = VRING_DESC_F_WRITE;
const INDIRECT = VRING_DESC_F_INDIRECT;
/** Descriptors stand in the table behind the buffers. */
const TABLE = BUFFERS_GPA + 0x2_0000;
const LEN = 64;

/** Changes the ring, then kicks. */
const ring = (id: string, sent: string, change: (ring: Ring) => void, source?: string) =>
  clause(
    id,
    sent,
    (session) => {
      change(session.ring());
      session.provoke(session.ring());
    },
    source === undefined ? {} : { source },
  );

/** One chain, from descriptor 0 on, each linked to the one behind it. */
function chain(to: Ring, ...descriptors: readonly Descriptor[]): void {
  for (const [index, descriptor] of descriptors.entries()) {
    const last = index === descriptors.length - 1;
    to.describe(index, { next: index + 1, ...descriptor, flags: (descriptor.flags ?? 0) | (last ? 0 : NEXT) });
  }
  to.offer(0);
}

const readable: Descriptor = { addr: BUFFERS_GPA, len: LEN };
const writable: Descriptor = { addr: BUFFERS_GPA + 4096, len: 4096, flags: WRITE };

const buffer = (id: string, sent: string, descriptor: Descriptor) =>
  ring(
    `buffer-${id}`,
    `a writable buffer ${sent}`,
    (to) => chain(to, { ...descriptor, flags: WRITE }),
    'CVE-2020-10725',
  );

/** An indirect table of so many bytes, with one writable entry unless `entries` says otherwise. */
const table = (
  id: string,
  sent: string,
  len: number,
  entries: readonly Descriptor[] = [writable],
  at: number | bigint = TABLE,
  flags = 0,
) =>
  indirect(id, `an indirect table ${sent}`, (session: Session) => {
    const to = session.ring();
    for (const [index, entry] of entries.entries()) to.writeTable(TABLE, index, entry);
    to.describe(0, { addr: at, len, flags: INDIRECT | flags, next: 1 });
    to.describe(1, writable);
    to.offer(0);
    session.provoke(to);
  });

/** In the order in which they are run. */
export const splitRingClauses = [
  ring('idx-jumps', 'avail.idx 1000 ahead', (to) => to.setAvailIdx(1000), 'rust-vmm/vm-virtio#196'),
  ring('idx-back', 'avail.idx one behind', (to) => to.setAvailIdx(0xffff)),
  ring('idx-half', 'avail.idx 32768 ahead', (to) => to.setAvailIdx(0x8000)),
  ring('head-outside', 'a head outside of the table', (to) => to.offer(16)),
  ring('head-max', 'head 65535', (to) => to.offer(0xffff)),
  clause('head-twice', 'the same head twice', (session) => {
    const to = session.ring();
    offerHonestly(session, to);
    to.offer(0);
    session.provoke(to);
  }),
  ring('next-outside', 'a next outside of the table', (to) => {
    to.describe(0, { ...writable, flags: WRITE | NEXT, next: 16 });
    to.offer(0);
  }),
  ring('next-max', 'next 65535', (to) => {
    to.describe(0, { ...writable, flags: WRITE | NEXT, next: 0xffff });
    to.offer(0);
  }),
  ring(
    'loop-self',
    'a descriptor that is its own next',
    (to) => {
      to.describe(0, { ...writable, flags: WRITE | NEXT, next: 0 });
      to.offer(0);
    },
    'CVE-2022-2132',
  ),
  ring(
    'loop-two',
    "two descriptors that are each other's next",
    (to) => {
      to.describe(0, { ...readable, flags: NEXT, next: 1 });
      to.describe(1, { ...readable, flags: NEXT, next: 0 });
      to.offer(0);
    },
    'CVE-2022-2132',
  ),
  ring(
    'loop-empty',
    'a loop of buffers without bytes',
    (to) => {
      to.describe(0, { addr: BUFFERS_GPA, len: 0, flags: WRITE | NEXT, next: 0 });
      to.offer(0);
    },
    'CVE-2020-14378',
  ),
  ring('order', 'a readable buffer behind a writable one', (to) => chain(to, writable, readable)),
  ring('flags', 'a descriptor with all flags', (to) => chain(to, { ...writable, flags: 0xffff })),
  ring('empty-chain', 'a chain of no bytes', (to) =>
    chain(to, { addr: BUFFERS_GPA, len: 0 }, { addr: BUFFERS_GPA, len: 0, flags: WRITE }),
  ),
  ring('readable-only', 'a chain with nothing to write to', (to) => chain(to, readable)),
  ring('full', 'a chain over all descriptors of the ring', (to) =>
    chain(to, ...Array.from({ length: 16 }, () => writable)),
  ),
  ring('four-gib', 'a chain of 16 buffers of 2^32 - 1 bytes', (to) =>
    chain(to, ...Array.from({ length: 16 }, () => ({ ...writable, len: 0xffff_ffff }))),
  ),
  buffer('outside', 'outside of memory', { addr: RAM_GPA + 4 * RAM_SIZE, len: LEN }),
  buffer('zero', 'at address 0', { addr: 0, len: LEN }),
  buffer('over-the-end', 'over the end of memory', { addr: RAM_GPA + RAM_SIZE - 8, len: LEN }),
  buffer('wraps', 'that wraps at 2^64', { addr: MAX_U64 - 7n, len: LEN }),
  buffer('long', 'of 2^32 - 1 bytes', { addr: BUFFERS_GPA, len: 0xffff_ffff }),
  buffer('user', 'at the user address of memory', { addr: 0x7f12_3400_0000, len: LEN }),
  buffer('on-the-ring', 'that is the ring itself', { addr: RAM_GPA, len: 0x1000 }),
  ring(
    'readable-outside',
    'a readable buffer outside of memory',
    (to) => chain(to, { addr: MAX_U64 - 0xfffn, len: LEN }, writable),
    'CVE-2020-10725',
  ),
  table('odd', 'of 17 bytes', 17),
  table('empty', 'of no bytes', 0),
  table('short', 'of 8 bytes', 8),
  table('long', 'of 2^32 - 16 bytes', 0xffff_fff0),
  table('huge', 'of 32768 entries', 32768 * 16),
  table('outside', 'outside of memory', 16, [], RAM_GPA + 4 * RAM_SIZE),
  table('over-the-end', 'over the end of memory', 64, [], RAM_GPA + RAM_SIZE - 16),
  table('wraps', 'that wraps at 2^64', 64, [], MAX_U64 - 15n),
  table('unaligned', 'at an odd address', 16, [], TABLE + 1),
  table('nested', 'inside an indirect table', 16, [{ addr: TABLE, len: 16, flags: INDIRECT }]),
  table('next-outside', 'whose entry goes on outside of it', 32, [{ ...writable, flags: WRITE | NEXT, next: 2 }]),
  table('next-max', 'whose entry goes on at 65535', 32, [{ ...writable, flags: WRITE | NEXT, next: 0xffff }]),
  table('loop', 'that loops', 32, [
    { ...writable, flags: WRITE | NEXT, next: 1 },
    { ...writable, flags: WRITE | NEXT, next: 0 },
  ]),
  table('with-next', 'in a descriptor that goes on', 16, [writable], TABLE, NEXT),
  table('writable', 'in a writable descriptor', 16, [writable], TABLE, WRITE),
  indirect(
    'overflow',
    'an indirect table of 1025 entries, longer than any buffer for it',
    (session) => {
      const to = session.ring();
      for (let index = 0; index < 1025; index++) {
        to.writeTable(TABLE, index, {
          ...writable,
          len: 1,
          flags: index < 1024 ? WRITE | NEXT : WRITE,
          next: index + 1,
        });
      }
      to.describe(0, { addr: TABLE, len: 1025 * 16, flags: INDIRECT });
      to.offer(0);
      session.provoke(to);
    },
    { source: 'qemu commit 85805ee887 (libvhost-user)' },
  ),
];
