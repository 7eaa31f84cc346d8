/** The stream and its headers. */
import {
  VHOST_USER_NEED_REPLY_MASK,
  VHOST_USER_REPLY_FLAGS,
  VHOST_USER_VERSION,
  VhostUserHeader,
} from '@oriel/vhost-user';
import { clausesOf } from '../clause.ts';
import { featureWords, u64 } from '../payloads.ts';
import type { Session } from '../session.ts';
import { frame } from '../wire.ts';

const clause = clausesOf('stream', 'negotiated', 'vhost-user: Message Specification, Header');
const NOTHING = new Uint8Array(0);
const GET_FEATURES = 1;
const SET_FEATURES = 2;
const HEADER = VhostUserHeader.byteLength;
/** Bytes that a message announces, and more than any message has. */
const SIZES = { 'size-4097': 4097, 'size-64k': 0x1_0000, 'size-16m': 0x100_0000 } as const;

const flags = (id: string, sent: string, value: number) =>
  clause(id, `GET_FEATURES with flags 0x${value.toString(16)}: ${sent}`, (session) =>
    session.tellFrame(frame(GET_FEATURES, value, NOTHING)),
  );

const unknown = (id: string, request: number) =>
  clause(`unknown-${id}`, `message ${request}, which there is not`, (session) =>
    session.tellFrame(frame(request, VHOST_USER_VERSION | VHOST_USER_NEED_REPLY_MASK, NOTHING)),
  );

/** Sends a part of a message, then nothing more. */
function half(session: Session, bytes: Uint8Array, count: number): void {
  session.raw(bytes.subarray(0, count));
  session.finishSending();
  session.awaitClose();
}

/** In the order in which they are run. */
export const streamClauses = [
  flags('version-0', 'version 0', 0),
  flags('version-2', 'version 2', 2),
  flags('version-3', 'version 3', 3),
  flags('flags-reserved', 'a reserved bit', VHOST_USER_VERSION | 0x10),
  flags('flags-all', 'all bits', 0xffff_fffd),
  flags('reply', 'a reply to nothing', VHOST_USER_REPLY_FLAGS),
  unknown('0', 0),
  unknown('46', 46),
  unknown('1000', 1000),
  unknown('max', 0xffff_ffff),
  ...Object.entries(SIZES).map(([id, size]) =>
    clause(id, `SET_FEATURES with a payload of ${size} bytes, all of them sent`, (session) => {
      session.tellFrame(frame(SET_FEATURES, VHOST_USER_VERSION, new Uint8Array(size)));
    }),
  ),
  clause('size-max', 'SET_FEATURES that announces 2^32 - 1 bytes, and the end of the stream', (session) => {
    session.raw(frame(SET_FEATURES, VHOST_USER_VERSION, new Uint8Array(64), 0xffff_ffff));
    session.finishSending();
    session.awaitClose();
  }),
  clause('half-header', 'half a header, and the end of the stream', (session) => {
    half(session, frame(GET_FEATURES, VHOST_USER_VERSION, NOTHING), HEADER / 2);
  }),
  clause('half-payload', 'a header and half a payload, and the end of the stream', (session) => {
    half(session, frame(SET_FEATURES, VHOST_USER_VERSION, u64(0)), HEADER + 4);
  }),
  clause('half-open', 'half a header, and the connection is left so', (session) => {
    session.raw(frame(GET_FEATURES, VHOST_USER_VERSION, NOTHING).subarray(0, HEADER / 2));
    session.streamBroken = true;
  }),
  clause('byte-by-byte', 'SET_FEATURES, one byte at a time', (session) => {
    const bytes = frame(SET_FEATURES, VHOST_USER_VERSION, featureWords(session.features));
    for (let at = 0; at < bytes.length; at++) session.raw(bytes.subarray(at, at + 1));
    session.settle();
  }),
  clause('two-at-once', 'three messages in one write', (session) => {
    const one = frame(GET_FEATURES, VHOST_USER_VERSION, NOTHING);
    const three = new Uint8Array(3 * one.length);
    for (let at = 0; at < three.length; at += one.length) three.set(one, at);
    session.tellFrame(three);
  }),
  clause('garbage', '4 KiB of 0xff', (session) => {
    session.raw(new Uint8Array(4096).fill(0xff));
    session.finishSending();
    session.awaitClose();
  }),
  clause('fds-late', 'SET_FEATURES whose descriptor comes with its payload', (session) => {
    const bytes = frame(SET_FEATURES, VHOST_USER_VERSION, u64(0));
    session.raw(bytes.subarray(0, HEADER));
    session.raw(bytes.subarray(HEADER), [session.eventfd()]);
    session.settle();
  }),
];
