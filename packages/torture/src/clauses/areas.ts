/** Shared areas beside memory: the dirty log, the inflight region, configuration, device state. */
import {
  VHOST_F_LOG_ALL,
  VHOST_USER_PROTOCOL_F_CONFIG,
  VHOST_USER_PROTOCOL_F_DEVICE_STATE,
  VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
  VHOST_USER_PROTOCOL_F_LOG_SHMFD,
} from '@oriel/vhost-user';
import { clausesOf } from '../clause.ts';
import { config, featureWords, inflight, log, MAX_U64, transferState, vringAddr, type Word } from '../payloads.ts';
import { memoryFile } from '../ram.ts';
import { offerHonestly } from '../request.ts';
import type { Session } from '../session.ts';
import { offersFeature, offersProtocol } from './needs.ts';

const PAGE = 4096;
const logs = clausesOf('log', 'running', 'vhost-user: SET_LOG_BASE');
const inflights = clausesOf('inflight', 'memory', 'vhost-user: Inflight I/O tracking');
const configs = clausesOf('config', 'memory', 'vhost-user: GET_CONFIG, SET_CONFIG');
const states = clausesOf('device-state', 'memory', 'vhost-user: SET_DEVICE_STATE_FD');
const LOG = { skip: offersProtocol(VHOST_USER_PROTOCOL_F_LOG_SHMFD, 'LOG_SHMFD') };
const INFLIGHT = { skip: offersProtocol(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD, 'INFLIGHT_SHMFD') };
const CONFIG = { skip: offersProtocol(VHOST_USER_PROTOCOL_F_CONFIG, 'CONFIG') };
const STATE = { skip: offersProtocol(VHOST_USER_PROTOCOL_F_DEVICE_STATE, 'DEVICE_STATE') };

/** Switches logging on, and lets the device write to memory. */
function writeLogged(session: Session): void {
  const { features } = session;
  const all = features.with(VHOST_F_LOG_ALL);
  session.tell('SET_FEATURES', featureWords(all));
  const ring = session.ring();
  session.tell('SET_VRING_ADDR', vringAddr(ring.index, { ...ring.addresses, flags: 1, log: MAX_U64 - 7n }));
  offerHonestly(session, ring);
  session.provoke(ring);
}

const logClause = (id: string, sent: string, size: Word, offset: Word, source?: string) =>
  logs(
    id,
    `SET_LOG_BASE: ${sent}, logging on, and a request`,
    (session) => {
      session.tell('SET_LOG_BASE', log(size, offset), [session.keep(memoryFile(session.sys, PAGE, 'sealed')).fd]);
      writeLogged(session);
    },
    source === undefined ? LOG : { ...LOG, source },
  );

/** SET_INFLIGHT_FD over a file of one page, and a ring in use. */
const setInflight = (id: string, sent: string, payload: Uint8Array, source?: string) =>
  inflights(
    id,
    `SET_INFLIGHT_FD: ${sent}, and the ring's start`,
    (session) => {
      session.tell('SET_INFLIGHT_FD', payload, [session.keep(memoryFile(session.sys, PAGE, 'sealed')).fd]);
      if (session.state !== 'open') return;
      try {
        offerHonestly(session, session.startRing());
        session.provoke(session.ring());
      } catch (error) {
        session.refuseFor(error);
      }
    },
    source === undefined ? INFLIGHT : { ...INFLIGHT, source },
  );

const getInflight = (id: string, sent: string, queues: number, queueSize: number) =>
  inflights(
    id,
    `GET_INFLIGHT_FD: ${sent}`,
    (session) => void session.tell('GET_INFLIGHT_FD', inflight(0, 0, queues, queueSize)),
    INFLIGHT,
  );

const getConfig = (id: string, sent: string, payload: Uint8Array) =>
  configs(`get-${id}`, `GET_CONFIG: ${sent}`, (session) => void session.tell('GET_CONFIG', payload), CONFIG);
const setConfig = (id: string, sent: string, payload: Uint8Array) =>
  configs(`set-${id}`, `SET_CONFIG: ${sent}`, (session) => void session.tell('SET_CONFIG', payload), CONFIG);

/** In the order in which they are run. */
export const areaClauses = [
  logClause('size-zero', 'a log of no bytes', 0, 0),
  logClause('wraps', 'size + offset over 2^64', MAX_U64 - 0xfffn, 0x2000, 'CVE-2020-10722'),
  logClause('size-max', 'a log of 2^64 - 1 bytes', MAX_U64, 0),
  logClause('beyond', 'a log beyond its file', PAGE, 1 << 20),
  logClause('short', 'a log of one byte for 1 GiB of addresses', 1, 0, 'CVE-2019-14835'),
  logs(
    'no-fd',
    'SET_LOG_BASE without its descriptor',
    (session) => {
      session.tell('SET_LOG_BASE', log(PAGE, 0));
      writeLogged(session);
    },
    LOG,
  ),
  logs(
    'eventfd',
    'SET_LOG_BASE with an eventfd',
    (session) => {
      session.tell('SET_LOG_BASE', log(PAGE, 0), [session.eventfd()]);
      writeLogged(session);
    },
    LOG,
  ),
  logs('none', 'logging on without a log, and a request', writeLogged, {
    skip: offersFeature(VHOST_F_LOG_ALL, 'F_LOG_ALL'),
  }),
  getInflight('get-max', '65535 queues of 65535', 0xffff, 0xffff),
  getInflight('get-zero', 'no queues', 0, 0),
  setInflight('queues-max', '65535 queues', inflight(PAGE, 0, 0xffff, 16), 'CVE-2021-3839'),
  setInflight('size-max', 'a queue size of 65535', inflight(PAGE, 0, 1, 0xffff)),
  setInflight('zero', 'no queues and no bytes', inflight(0, 0, 0, 0)),
  setInflight('beyond', 'an offset beyond the file', inflight(PAGE, 1 << 30, 1, 16)),
  setInflight('wraps', 'size + offset over 2^64', inflight(MAX_U64 - 0xfffn, 0x2000, 1, 16)),
  setInflight('short', 'a region shorter than its queues need', inflight(16, 0, 1, 16)),
  setInflight('file-short', 'a region longer than its file', inflight(1 << 20, 0, 1, 16)),
  inflights(
    'garbage',
    "SET_INFLIGHT_FD of a region of 0xff, and the ring's start",
    (session) => {
      const file = session.keep(memoryFile(session.sys, PAGE, 'sealed'));
      session.sys.fd.pwrite(file.fd, new Uint8Array(PAGE).fill(0xff), PAGE, 0);
      session.tell('SET_INFLIGHT_FD', inflight(PAGE, 0, 1, 16), [file.fd]);
      if (session.state !== 'open') return;
      try {
        offerHonestly(session, session.startRing());
        session.provoke(session.ring());
      } catch (error) {
        session.refuseFor(error);
      }
    },
    INFLIGHT,
  ),
  getConfig('offset-max', 'an offset of 2^32 - 1', config(0xffff_ffff, 4)),
  getConfig('wraps', 'offset + size over 2^32', config(0xffff_fff0, 0x20)),
  getConfig('size-zero', 'no bytes', config(0, 0)),
  getConfig('size-2000', '2000 bytes', config(0, 2000)),
  getConfig('size-lies', '4096 bytes announced, 4 of them there', config(0, 4096, 0, 4)),
  getConfig('size-max', '2^32 - 1 bytes announced, 4 of them there', config(0, 0xffff_ffff, 0, 4)),
  getConfig('flags', 'all flags', config(0, 4, 0xffff_ffff)),
  setConfig('offset-max', 'an offset of 2^32 - 1', config(0xffff_ffff, 4)),
  setConfig('wraps', 'offset + size over 2^32', config(0xffff_fff0, 0x20)),
  setConfig('size-2000', '2000 bytes', config(0, 2000)),
  setConfig('size-lies', '4096 bytes announced, 4 of them there', config(0, 4096, 0, 4)),
  setConfig('flags', 'all flags', config(0, 4, 0xffff_ffff)),
  states(
    'direction',
    'SET_DEVICE_STATE_FD in direction 7',
    (session) => {
      session.tell('SET_DEVICE_STATE_FD', transferState(7, 0), [session.socketpair()[0].fd]);
    },
    STATE,
  ),
  states(
    'phase',
    'SET_DEVICE_STATE_FD in phase 7',
    (session) => {
      session.tell('SET_DEVICE_STATE_FD', transferState(0, 7), [session.socketpair()[0].fd]);
    },
    STATE,
  ),
  states(
    'load-garbage',
    'a device state of 64 KiB of 0xff',
    (session) => {
      const [ours, theirs] = session.socketpair();
      const bytes = new Uint8Array(0x1_0000).fill(0xff);
      session.sys.socket.sendmsg(ours.fd, bytes, bytes.length, null, 0);
      session.tell('SET_DEVICE_STATE_FD', transferState(1, 0), [theirs.fd]);
      ours.close();
      theirs.close();
      session.tell('CHECK_DEVICE_STATE');
    },
    STATE,
  ),
  states(
    'load-never',
    'a device state that never comes, and CHECK_DEVICE_STATE',
    (session) => {
      session.tell('SET_DEVICE_STATE_FD', transferState(1, 0), [session.socketpair()[1].fd]);
      session.tell('GET_STATUS');
    },
    STATE,
  ),
];
