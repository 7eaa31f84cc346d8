/** Setting up a ring: index, size, addresses, descriptors, order. */
import {
  VHOST_USER_F_PROTOCOL_FEATURES,
  VHOST_USER_PROTOCOL_F_MQ,
  VHOST_USER_VRING_NOFD_MASK,
} from '@oriel/vhost-user';
import { clausesOf } from '../clause.ts';
import { MAX_U64, type RingAddresses, u64, vringAddr, vringState } from '../payloads.ts';
import { memoryFile, RAM_SIZE, RAM_USER } from '../ram.ts';
import { offerHonestly } from '../request.ts';
import type { Session } from '../session.ts';
import { offersProtocol } from './needs.ts';

const clause = clausesOf('vring', 'memory', 'vhost-user: Ring states');
const address = clausesOf('vring-addr', 'memory', 'VIRTIO 1.3, 2.7; vhost-user: SET_VRING_ADDR');
const index = clausesOf('vring-index', 'memory', 'vhost-user: A vring state description');

/** Rings that no back-end here has; 256 and 2^16 are ring 0 once they are cut. */
const INDEXES = [255, 256, 0x1_0000, 0xffff_ffff];
const STATES = ['SET_VRING_NUM', 'SET_VRING_BASE', 'SET_VRING_ENABLE', 'GET_VRING_BASE'] as const;
const FDS = ['SET_VRING_KICK', 'SET_VRING_CALL', 'SET_VRING_ERR'] as const;

const num = (id: string, value: number) =>
  clause(`num-${id}`, `SET_VRING_NUM ${value}, and the ring's start`, (session) => {
    const ring = session.ring();
    session.tell('SET_VRING_NUM', vringState(ring.index, value));
    session.tell('SET_VRING_ADDR', vringAddr(ring.index, ring.addresses));
    start(session);
  });

function start(session: Session, kick = session.ring().kickFd, call = session.ring().callFd): void {
  const ring = session.ring();
  session.tell('SET_VRING_CALL', u64(ring.index), [call]);
  session.tell('SET_VRING_ERR', u64(ring.index), [ring.errFd]);
  session.tell('SET_VRING_KICK', u64(ring.index), [kick]);
  session.tell('SET_VRING_ENABLE', vringState(ring.index, 1));
  session.provoke(ring);
}

/** SET_VRING_ADDR with some addresses changed, and the ring's start. */
const addr = (id: string, sent: string, change: (right: RingAddresses) => Partial<RingAddresses>) =>
  address(id, `SET_VRING_ADDR: ${sent}`, (session) => {
    const ring = session.ring();
    session.tell('SET_VRING_NUM', vringState(ring.index, ring.size));
    session.tell('SET_VRING_ADDR', vringAddr(ring.index, { ...ring.addresses, ...change(ring.addresses) }));
    start(session);
  });

/** A running ring with another descriptor to kick or to call with, and one chain to complete. */
const descriptor = (id: string, sent: string, which: 'kick' | 'call', fd: (session: Session) => number) =>
  clause(
    id,
    sent,
    (session) => {
      const ring = session.ring();
      const name = which === 'kick' ? 'SET_VRING_KICK' : 'SET_VRING_CALL';
      session.tell(name, u64(ring.index), [fd(session)]);
      offerHonestly(session, ring);
      session.provoke(ring);
    },
    { stage: 'running', source: `vhost-user: SET_VRING_${which.toUpperCase()}` },
  );

/** An eventfd that blocks, with no room for one more. */
function fullEventfd(session: Session): number {
  const fd = session.eventfd();
  session.sys.fd.write(fd, new BigUint64Array([0xffff_ffff_ffff_fffen]), 8);
  session.sys.fd.setNonBlocking(fd, false);
  return fd;
}

/** A socket that blocks, whose other end is full and never read. */
function fullSocket(session: Session): number {
  const [ours] = session.socketpair();
  const bytes = new Uint8Array(4096);
  while (session.sys.socket.sendmsg(ours.fd, bytes, bytes.length, null, 0) > 0);
  session.sys.fd.setNonBlocking(ours.fd, false);
  return ours.fd;
}

function deadSocket(session: Session): number {
  const [ours, theirs] = session.socketpair();
  theirs.close();
  session.sys.fd.setNonBlocking(ours.fd, false);
  return ours.fd;
}

function blockingSocket(session: Session): number {
  const [ours] = session.socketpair();
  session.sys.fd.setNonBlocking(ours.fd, false);
  return ours.fd;
}

const file = (session: Session): number => session.keep(memoryFile(session.sys, RAM_SIZE, 'unsealed')).fd;

/** In the order in which they are run. */
export const vringClauses = [
  ...STATES.flatMap((name) =>
    INDEXES.map((value) =>
      index(
        `${name}-${value}`,
        `${name} of ring ${value}`,
        (session) => void session.tell(name, vringState(value, 1)),
        {
          source: 'CVE-2020-10723',
        },
      ),
    ),
  ),
  ...INDEXES.map((value) =>
    index(
      `SET_VRING_ADDR-${value}`,
      `SET_VRING_ADDR of ring ${value}`,
      (session) => {
        session.tell('SET_VRING_ADDR', vringAddr(value, session.ring().addresses));
      },
      { source: 'CVE-2020-10723' },
    ),
  ),
  ...STATES.map((name) =>
    index(
      `${name}-end`,
      `${name} of the first ring that there is not`,
      (session) => void session.tell(name, vringState(session.queueCount, 1)),
      { skip: offersProtocol(VHOST_USER_PROTOCOL_F_MQ, 'MQ') },
    ),
  ),
  ...FDS.flatMap((name) => [
    index(`${name}-255`, `${name} of ring 255`, (session) => void session.tell(name, u64(255), [session.eventfd()])),
    index(`${name}-high`, `${name} with all bits above the index`, (session) => {
      session.tell(name, u64(MAX_U64 - 0xffn - BigInt(VHOST_USER_VRING_NOFD_MASK)), [session.eventfd()]);
    }),
    index(`${name}-nofd`, `${name} that says no descriptor, and brings one`, (session) => {
      session.tell(name, u64(VHOST_USER_VRING_NOFD_MASK), [session.eventfd()]);
    }),
  ]),
  num('0', 0),
  num('3', 3),
  num('32768', 32768),
  num('65536', 65536),
  num('max', 0xffff_ffff),
  addr('zero', 'all parts at 0', () => ({ desc: 0, avail: 0, used: 0 })),
  addr('max', 'all parts at 2^64 - 1', () => ({ desc: MAX_U64, avail: MAX_U64, used: MAX_U64 })),
  addr('desc-unaligned', 'descriptors at an odd address', ({ desc }) => ({ desc: BigInt(desc) + 1n })),
  addr('avail-unaligned', 'avail ring at an odd address', ({ avail }) => ({ avail: BigInt(avail) + 1n })),
  addr('used-unaligned', 'used ring at an odd address', ({ used }) => ({ used: BigInt(used) + 1n })),
  addr('outside', 'descriptors outside of all memory', () => ({ desc: RAM_USER + 2 * RAM_SIZE })),
  addr('over-the-end', 'used ring over the end of memory', () => ({ used: RAM_USER + RAM_SIZE - 8 })),
  addr('desc-over-the-end', 'descriptors over the end of memory', () => ({ desc: RAM_USER + RAM_SIZE - 16 })),
  addr('wraps', 'descriptors whose end wraps', () => ({ desc: MAX_U64 - 15n })),
  addr('same', 'all parts at the same address', ({ desc }) => ({ desc, avail: desc, used: desc })),
  addr('log', 'logging asked for at an address of all ones', () => ({ flags: 1, log: MAX_U64 })),
  addr('flags', 'all flags', () => ({ flags: 0xffff_ffff })),
  clause(
    'addr-before-memory',
    'SET_VRING_ADDR and KICK before any memory',
    (session) => {
      session.tell('SET_VRING_NUM', vringState(session.ring().index, 16));
      session.tell('SET_VRING_ADDR', vringAddr(session.ring().index, session.ring().addresses));
      start(session);
    },
    { stage: 'negotiated' },
  ),
  clause('kick-before-addr', 'SET_VRING_KICK and a kick before SET_VRING_ADDR', (session) => start(session)),
  clause('enable-first', 'SET_VRING_ENABLE of a ring that was never set up', (session) => {
    session.tell('SET_VRING_ENABLE', vringState(session.ring().index, 1));
  }),
  clause('enable-2', 'SET_VRING_ENABLE 2', (session) => {
    session.tell('SET_VRING_ENABLE', vringState(session.ring().index, 2));
  }),
  clause(
    'enable-without-bit-30',
    'SET_VRING_ENABLE where protocol features were not accepted',
    (session) => {
      session.tell('SET_OWNER');
      session.tell('GET_FEATURES');
      session.tell('SET_FEATURES', u64(session.offered.without(VHOST_USER_F_PROTOCOL_FEATURES).lo));
      session.tell('SET_VRING_ENABLE', vringState(0, 1));
    },
    { stage: 'connected', source: 'vhost-user: SET_VRING_ENABLE' },
  ),
  clause('base-max', 'SET_VRING_BASE 2^32 - 1, and the start of the ring', (session) => {
    const ring = session.ring();
    session.tell('SET_VRING_NUM', vringState(ring.index, ring.size));
    session.tell('SET_VRING_BASE', vringState(ring.index, 0xffff_ffff));
    session.tell('SET_VRING_ADDR', vringAddr(ring.index, ring.addresses));
    start(session);
  }),
  clause('stop-never-started', 'GET_VRING_BASE of a ring that never ran', (session) => {
    session.tell('GET_VRING_BASE', vringState(session.ring().index, 0));
  }),
  clause(
    'num-while-running',
    'SET_VRING_NUM 1024 while the ring runs, and a kick',
    (session) => {
      session.tell('SET_VRING_NUM', vringState(session.ring().index, 1024));
      session.provoke(session.ring());
    },
    { stage: 'running' },
  ),
  clause(
    'addr-while-running',
    'SET_VRING_ADDR to nowhere while the ring runs, and a kick',
    (session) => {
      session.tell('SET_VRING_ADDR', vringAddr(session.ring().index, { desc: MAX_U64, avail: MAX_U64, used: MAX_U64 }));
      session.provoke(session.ring());
    },
    { stage: 'running' },
  ),
  clause(
    'stop-twice',
    'GET_VRING_BASE twice, and a kick',
    (session) => {
      session.tell('GET_VRING_BASE', vringState(session.ring().index, 0));
      session.tell('GET_VRING_BASE', vringState(session.ring().index, 0));
      session.provoke(session.ring());
    },
    { stage: 'running' },
  ),
  descriptor('kick-file', 'a kick descriptor that is a file', 'kick', file),
  descriptor('kick-eof', 'a kick descriptor that is a socket at its end', 'kick', deadSocket),
  descriptor('kick-blocks', 'a kick descriptor that is a blocking socket with nothing to read', 'kick', blockingSocket),
  descriptor('call-file', 'a call descriptor that is a file', 'call', file),
  descriptor('call-gone', 'a call descriptor that is a socket whose other end is gone', 'call', deadSocket),
  descriptor('call-full-eventfd', 'a call descriptor that is a blocking eventfd without room', 'call', fullEventfd),
  descriptor('call-full-socket', 'a call descriptor that is a blocking socket without room', 'call', fullSocket),
];
