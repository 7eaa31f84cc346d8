/** Too much of what is right, and descriptors that nobody should keep; ends of connections. */
import { Fd } from '@oriel/sys';
import {
  VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS,
  VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
  VHOST_USER_VERSION,
} from '@oriel/vhost-user';
import { type Clause, clausesOf, type Stage } from '../clause.ts';
import { inflight, memTable, singleRegion, u64 } from '../payloads.ts';
import { memoryFile, RAM_GPA, RAM_SIZE, RAM_USER } from '../ram.ts';
import { offerHonestly } from '../request.ts';
import type { Session } from '../session.ts';
import { frame } from '../wire.ts';
import { offersProtocol } from './needs.ts';

const flood = clausesOf('flood', 'negotiated', 'vhost-user reference 10.1: bound work per turn');
const fds = clausesOf('fds', 'negotiated', 'vhost-user: Communication, ancillary data');
const gone = clausesOf('disconnect', 'connected', 'vhost-user: Communication');
const NOTHING = new Uint8Array(0);
const GET_FEATURES = frame(1, VHOST_USER_VERSION, NOTHING);
const SLOTS = { skip: offersProtocol(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS, 'CONFIGURE_MEM_SLOTS') };
const INFLIGHT = { skip: offersProtocol(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD, 'INFLIGHT_SHMFD') };

function repeat(session: Session, times: number, once: (index: number) => void): void {
  for (let index = 0; index < times && session.state === 'open'; index++) once(index);
}

/** Opens connections that say nothing. @returns those that came about */
function connections(session: Session, count: number): Fd[] {
  const open: Fd[] = [];
  for (let left = count; left > 0; left--) {
    const fd = session.options.connect();
    if (fd < 0) break;
    open.push(new Fd(session.sys.fd, fd));
  }
  return open;
}

/** GET_FEATURES with many eventfds. */
const many = (count: number, sent: string, source?: string) =>
  fds(
    `${count}`,
    `GET_FEATURES with ${count} descriptors${sent}`,
    (session) => {
      const one = session.eventfd();
      session.tellFrame(GET_FEATURES, new Array<number>(count).fill(one));
    },
    source === undefined ? {} : { source },
  );

const leaves = (id: string, sent: string, stage: Stage): Clause =>
  gone(
    id,
    `the connection ends ${sent}`,
    (session) => {
      session.finishSending();
    },
    { stage },
  );

/** In the order in which they are run. */
export const floodClauses = [
  flood('requests', '2000 GET_FEATURES before the first answer is read', (session) => {
    // A peer may well stop to read while its answers are not taken.
    for (let left = 2000; left > 0 && session.raw(GET_FEATURES, [], 50) === 'sent'; left--);
    session.awaitClose(50);
    session.settle();
  }),
  flood('memory', 'SET_MEM_TABLE 200 times', (session) => {
    repeat(
      session,
      200,
      () => void session.tell('SET_MEM_TABLE', memTable([session.ram.region]), [session.ram.file.fd]),
    );
  }),
  flood(
    'slots',
    'ADD_MEM_REG and REM_MEM_REG 200 times',
    (session) => {
      const region = { gpa: RAM_GPA + RAM_SIZE, size: RAM_SIZE, user: RAM_USER + RAM_SIZE, offset: 0 };
      repeat(session, 200, () => {
        session.tell('ADD_MEM_REG', singleRegion(region), [session.ram.file.fd]);
        session.tell('REM_MEM_REG', singleRegion(region));
      });
    },
    { ...SLOTS, stage: 'memory' },
  ),
  flood(
    'calls',
    'SET_VRING_CALL 300 times',
    (session) => {
      const fd = session.eventfd();
      repeat(session, 300, () => void session.tell('SET_VRING_CALL', u64(session.options.queue), [fd]));
    },
    { stage: 'running' },
  ),
  flood(
    'kicks',
    '5000 kicks of an empty ring',
    (session) => {
      repeat(session, 5000, () => session.ring().kick());
      session.provoke(session.ring());
    },
    { stage: 'running' },
  ),
  flood(
    'inflight',
    'GET_INFLIGHT_FD 200 times',
    (session) => {
      repeat(session, 200, () => void session.tell('GET_INFLIGHT_FD', inflight(0, 0, 1, 64)));
    },
    { ...INFLIGHT, source: 'CVE-2020-10726' },
  ),
  flood('connects', '100 connections, each closed at once', (session) => {
    repeat(session, 100, () => {
      for (const one of connections(session, 1)) one.close();
    });
  }),
  flood('idle', '16 connections that say nothing, closed together', (session) => {
    for (const one of connections(session, 16)) one.close();
    session.settle();
  }),
  many(1, ', wants none'),
  many(8, ', wants none', 'CVE-2019-14818'),
  many(33, ', more than any message may bring: MSG_CTRUNC'),
  many(253, ', all that the kernel takes: MSG_CTRUNC'),
  fds(
    'leak',
    '100 messages with 8 descriptors that they do not take',
    (session) => {
      const files = Array.from({ length: 8 }, () => session.eventfd());
      repeat(session, 100, () => void session.tellFrame(GET_FEATURES, files));
    },
    { source: 'CVE-2019-14818' },
  ),
  fds(
    'inflight',
    '50 SET_INFLIGHT_FD with 8 descriptors',
    (session) => {
      const file = session.keep(memoryFile(session.sys, 4096, 'sealed')).fd;
      repeat(
        session,
        50,
        () => void session.tell('SET_INFLIGHT_FD', inflight(4096, 0, 1, 16), new Array<number>(8).fill(file)),
      );
    },
    { ...INFLIGHT, source: 'CVE-2022-0669' },
  ),
  leaves('at-once', 'before anything was said', 'connected'),
  leaves('negotiated', 'behind SET_FEATURES', 'negotiated'),
  leaves('memory', 'behind SET_MEM_TABLE', 'memory'),
  leaves('running', 'while a ring runs', 'running'),
  gone(
    'request',
    'the connection ends with a chain in the ring',
    (session) => {
      const ring = session.ring();
      offerHonestly(session, ring);
      ring.kick();
      session.finishSending();
    },
    { stage: 'running' },
  ),
];
