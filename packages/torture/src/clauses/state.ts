/** Features never offered, messages out of order, the back channel. */
import {
  VHOST_USER_F_PROTOCOL_FEATURES,
  VHOST_USER_PROTOCOL_F_BACKEND_REQ,
  VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS,
  VHOST_USER_REPLY_FLAGS,
  VHOST_USER_VERSION,
} from '@oriel/vhost-user';
import { clausesOf } from '../clause.ts';
import { featureWords, iotlb, MAX_U64, u64, vringState } from '../payloads.ts';
import { memoryFile } from '../ram.ts';
import type { Session } from '../session.ts';
import { frame } from '../wire.ts';
import { offersFeature, offersProtocol } from './needs.ts';

const clause = clausesOf('state', 'negotiated', 'vhost-user: Multiple queue support; Ring states');
const back = clausesOf('back-channel', 'negotiated', 'vhost-user: Back-end communication');
const BACK = { skip: offersProtocol(VHOST_USER_PROTOCOL_F_BACKEND_REQ, 'BACKEND_REQ') };
const PROTOCOL = { skip: offersFeature(VHOST_USER_F_PROTOCOL_FEATURES, 'protocol features') };

/** Accepts the back channel, and gives the peer a descriptor for it. */
function openBackChannel(session: Session, fd: number): void {
  const bits = session.protocol.with(VHOST_USER_PROTOCOL_F_BACKEND_REQ);
  session.tell('SET_PROTOCOL_FEATURES', featureWords(bits));
  session.tell('SET_BACKEND_REQ_FD', new Uint8Array(0), [fd]);
}

/** Opens it, and says what was not asked for. */
function speakOnBackChannel(session: Session, bytes: Uint8Array): void {
  const [ours, theirs] = session.socketpair();
  openBackChannel(session, theirs.fd);
  theirs.close();
  session.sys.socket.sendmsg(ours.fd, bytes, bytes.length, null, 0);
  session.settle();
}

/** In the order in which they are run. */
export const stateClauses = [
  clause(
    'features-all',
    'SET_FEATURES with all bits, offered or not',
    (session) => void session.tell('SET_FEATURES', u64(MAX_U64)),
  ),
  clause('features-none', 'SET_FEATURES with none', (session) => void session.tell('SET_FEATURES', u64(0))),
  clause(
    'features-while-running',
    'SET_FEATURES with none under a running ring, and a kick',
    (session) => {
      session.tell('SET_FEATURES', u64(0));
      session.provoke(session.ring());
    },
    { stage: 'running' },
  ),
  clause(
    'protocol-all',
    'SET_PROTOCOL_FEATURES with all bits, offered or not',
    (session) => {
      session.tell('SET_PROTOCOL_FEATURES', u64(MAX_U64));
    },
    PROTOCOL,
  ),
  clause(
    'inband',
    'INBAND_NOTIFICATIONS without what it needs, and VRING_KICK of ring 255',
    (session) => {
      session.tell('SET_PROTOCOL_FEATURES', u64(1n << BigInt(VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS)));
      session.tell('VRING_KICK', vringState(255, 0));
    },
    PROTOCOL,
  ),
  clause('owner-twice', 'SET_OWNER twice', (session) => void session.tell('SET_OWNER')),
  clause(
    'reset-owner',
    'RESET_OWNER under a running ring, and a kick',
    (session) => {
      session.tell('RESET_OWNER');
      session.provoke(session.ring());
    },
    { stage: 'running' },
  ),
  clause(
    'reset-device',
    'RESET_DEVICE under a running ring, and a kick',
    (session) => {
      session.tell('RESET_DEVICE');
      session.provoke(session.ring());
    },
    { stage: 'running' },
  ),
  clause('status-max', 'SET_STATUS with all bits', (session) => void session.tell('SET_STATUS', u64(MAX_U64))),
  clause('iotlb', 'IOTLB_MSG: an update that wraps, without an IOMMU', (session) => {
    session.tell('IOTLB_MSG', iotlb(MAX_U64, MAX_U64, MAX_U64, 2));
  }),
  clause('mtu', 'NET_SET_MTU 2^64 - 1', (session) => void session.tell('NET_SET_MTU', u64(MAX_U64))),
  clause('endian', 'SET_VRING_ENDIAN 7', (session) => void session.tell('SET_VRING_ENDIAN', vringState(0, 7))),
  back('eventfd', 'SET_BACKEND_REQ_FD with an eventfd', (session) => openBackChannel(session, session.eventfd()), BACK),
  back(
    'file',
    'SET_BACKEND_REQ_FD with a file',
    (session) => {
      openBackChannel(session, session.keep(memoryFile(session.sys, 4096, 'unsealed')).fd);
    },
    BACK,
  ),
  back(
    'closed',
    'a back channel that ends at once',
    (session) => {
      const [ours, theirs] = session.socketpair();
      openBackChannel(session, theirs.fd);
      theirs.close();
      ours.close();
      session.settle();
    },
    BACK,
  ),
  back(
    'twice',
    'SET_BACKEND_REQ_FD twice',
    (session) => {
      openBackChannel(session, session.socketpair()[1].fd);
      openBackChannel(session, session.socketpair()[1].fd);
    },
    BACK,
  ),
  back(
    'garbage',
    '4 KiB of 0xff on the back channel',
    (session) => {
      speakOnBackChannel(session, new Uint8Array(4096).fill(0xff));
    },
    BACK,
  ),
  back(
    'reply-unasked',
    'a reply on the back channel that nobody asked for',
    (session) => {
      speakOnBackChannel(session, frame(9, VHOST_USER_REPLY_FLAGS, u64(0)));
    },
    BACK,
  ),
  back(
    'request',
    'a request on the back channel',
    (session) => {
      speakOnBackChannel(session, frame(9, VHOST_USER_VERSION, new Uint8Array(40)));
    },
    BACK,
  ),
];
