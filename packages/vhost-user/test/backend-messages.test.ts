/**
 * Each of the 45 messages to a back-end that offers all it can, and to one that offers nothing beside; then spoiled: a byte too
 * many or too few, a descriptor too many or too few. What must come back is written down here, not computed.
 */
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { FRONTEND_MESSAGES, type FrontendMessageName } from '../src/index.ts';
import { FULL_PROTOCOL_FEATURES, FullHandler } from './support/full-handler.ts';
import { bare, bytesOf, FRONTEND_GOLDEN, payloadOf } from './support/golden.ts';
import { type FdKind, prelude, SentFds, u64s } from './support/prelude.ts';
import { RecordingHandler } from './support/recording-handler.ts';
import { RawSetup } from './support/setup.ts';

/** What comes back. 'ok': ack 0. 'no': ack 1. 'value': its own reply, as the golden bytes have it. 'end': the connection ends. */
type Outcome = 'ok' | 'no' | 'value' | 'end' | { readonly reply: string };

interface Row {
  /** Everything was offered and accepted. */
  readonly offered: Outcome;
  /** Only REPLY_ACK was accepted. */
  readonly notOffered: Outcome;
  /** The reply before the end of the connection where the message is spoiled, asked for an ack; '': none. */
  readonly spoiled: 'no' | '' | { readonly reply: string };
}

const reply = (id: string, size: string, payload = ''): { reply: string } => ({
  reply: `${id}000000 05000000 ${size}000000 ${payload}`,
});
const failure = (id: string) => reply(id, '08', '0100000000000000');
const NO_INFLIGHT = reply('1f', '18', '00'.repeat(24));
const NO_STATE = reply('2a', '08', '0101000000000000');

/** A message with an ack, that needs nothing. */
const plain: Row = { offered: 'ok', notOffered: 'ok', spoiled: 'no' };
/** One with an ack that must be negotiated. */
const gated: Row = { offered: 'ok', notOffered: 'no', spoiled: 'no' };
/** One with an ack that is never served. */
const unserved: Row = { offered: 'no', notOffered: 'no', spoiled: 'no' };
/** One with a value for an answer, which cannot say no. */
const value: Row = { offered: 'value', notOffered: 'value', spoiled: '' };
const gatedValue: Row = { offered: 'value', notOffered: 'end', spoiled: '' };

const ROWS: Readonly<Record<FrontendMessageName, Row>> = {
  GET_FEATURES: { ...value, offered: reply('01', '08', '0100006401000000') },
  SET_FEATURES: plain,
  SET_OWNER: plain,
  RESET_OWNER: plain,
  SET_MEM_TABLE: plain,
  SET_LOG_BASE: { offered: reply('06', '08', '0000000000000000'), notOffered: failure('06'), spoiled: failure('06') },
  SET_LOG_FD: gated,
  SET_VRING_NUM: plain,
  SET_VRING_ADDR: plain,
  SET_VRING_BASE: plain,
  GET_VRING_BASE: value,
  SET_VRING_KICK: plain,
  SET_VRING_CALL: plain,
  SET_VRING_ERR: plain,
  GET_PROTOCOL_FEATURES: { ...value, offered: reply('0f', '08', '2bfedd0000000000') },
  SET_PROTOCOL_FEATURES: plain,
  GET_QUEUE_NUM: gatedValue,
  SET_VRING_ENABLE: plain,
  SEND_RARP: unserved,
  NET_SET_MTU: unserved,
  SET_BACKEND_REQ_FD: gated,
  IOTLB_MSG: { offered: failure('16'), notOffered: failure('16'), spoiled: failure('16') },
  SET_VRING_ENDIAN: unserved,
  GET_CONFIG: gatedValue,
  SET_CONFIG: gated,
  CREATE_CRYPTO_SESSION: { offered: 'end', notOffered: 'end', spoiled: '' },
  CLOSE_CRYPTO_SESSION: unserved,
  POSTCOPY_ADVISE: { offered: reply('1c', '00'), notOffered: reply('1c', '00'), spoiled: reply('1c', '00') },
  POSTCOPY_LISTEN: unserved,
  POSTCOPY_END: { offered: failure('1e'), notOffered: failure('1e'), spoiled: failure('1e') },
  GET_INFLIGHT_FD: {
    // 2 areas of 128 entries: 32 + 128 * 32 bytes, to the next 64.
    offered: reply('1f', '18', '8020000000000000 0000000000000000 0200 8000 00000000'),
    notOffered: NO_INFLIGHT,
    spoiled: NO_INFLIGHT,
  },
  SET_INFLIGHT_FD: gated,
  GPU_SET_SOCKET: gated,
  RESET_DEVICE: gated,
  VRING_KICK: gated,
  GET_MAX_MEM_SLOTS: gatedValue,
  ADD_MEM_REG: gated,
  REM_MEM_REG: gated,
  SET_STATUS: gated,
  GET_STATUS: gatedValue,
  GET_SHARED_OBJECT: { offered: reply('29', '00'), notOffered: reply('29', '00'), spoiled: reply('29', '00') },
  SET_DEVICE_STATE_FD: {
    offered: reply('2a', '08', '0001000000000000'),
    notOffered: NO_STATE,
    spoiled: NO_STATE,
  },
  CHECK_DEVICE_STATE: { offered: failure('2b'), notOffered: failure('2b'), spoiled: failure('2b') },
  GET_SHMEM_CONFIG: gatedValue,
  GET_VRING_BASE_SKIP_DRAIN: {
    offered: reply('2d', '08', '00000000 05000000'),
    notOffered: 'end',
    spoiled: '',
  },
};

const REPLY_ACK = 1 << 3;

/** Descriptors that suit where the golden ones only show the shape. */
const SUITING: Partial<Record<FrontendMessageName, FdKind[]>> = { SET_DEVICE_STATE_FD: ['socket'] };
/** Payloads that a back-end would take where the golden ones stand for a refusal. */
const TAKEN: Partial<Record<FrontendMessageName, Uint8Array>> = {
  SET_LOG_BASE: u64s(0x1000, 0),
  SET_INFLIGHT_FD: new Uint8Array([...u64s(0x3000, 0), ...bytesOf('0200 8000 00000000')]),
};

function fdsOf(name: FrontendMessageName): readonly FdKind[] {
  return SUITING[name] ?? FRONTEND_GOLDEN[name].fds ?? [];
}

function payloadFor(name: FrontendMessageName): Uint8Array {
  return TAKEN[name] ?? payloadOf(FRONTEND_GOLDEN[name]);
}

function hexOf(id: number, outcome: Outcome, name: FrontendMessageName): string {
  if (typeof outcome === 'object') return bare(outcome.reply);
  if (outcome === 'value') return bare(FRONTEND_GOLDEN[name].answer);
  if (outcome === 'end') return 'eof';
  return `${id.toString(16).padStart(2, '0')}0000000500000008000000${outcome === 'ok' ? '00' : '01'}${'00'.repeat(7)}`;
}

/** In the state of `prelude`, with these protocol features. */
function prepared(handler: RecordingHandler, protocolFeatures: number): RawSetup {
  const setup = new RawSetup({ handler });
  prelude(setup);
  setup.peer.send(16, 1, u64s(protocolFeatures));
  setup.settle();
  setup.lines.length = 0;
  return setup;
}

describe('BackendConnection, every message', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  for (const spec of FRONTEND_MESSAGES) {
    const { name, id } = spec;
    const row = ROWS[name];
    describe(`${id} ${name}`, () => {
      const say = (setup: RawSetup, payload: Uint8Array, kinds: readonly FdKind[]): string => {
        using fds = new SentFds(setup.sys, kinds);
        setup.peer.send(id, 9, payload, fds.numbers);
        const message = setup.peer.next();
        if (message === null || message === 'eof') {
          return String(message);
        }
        for (const fd of message.fds) {
          setup.sys.fd.close(fd);
        }
        const header = new Uint8Array(Uint32Array.of(message.id, message.flags, message.payload.length).buffer);
        return Buffer.concat([header, message.payload]).toString('hex');
      };

      it('offered and accepted', () => {
        using setup = prepared(new FullHandler(), FULL_PROTOCOL_FEATURES);
        expect(say(setup, payloadFor(name), fdsOf(name))).to.equal(hexOf(id, row.offered, name));
        expect(setup.backend.closed).to.equal(row.offered === 'end');
      });

      it('not offered', () => {
        using setup = prepared(new RecordingHandler(), REPLY_ACK);
        expect(say(setup, payloadFor(name), fdsOf(name))).to.equal(hexOf(id, row.notOffered, name));
        if (row.notOffered !== 'ok' && row.notOffered !== 'value') {
          expect(setup.lines.join()).to.match(/ERR_VU_(GATE|UNSUPPORTED)/);
        }
      });

      const spoil = (what: string, payload: Uint8Array, kinds: readonly FdKind[], code: string): void => {
        it(`with ${what}`, () => {
          using setup = prepared(new FullHandler(), FULL_PROTOCOL_FEATURES);
          if (row.spoiled !== '') {
            expect(say(setup, payload, kinds)).to.equal(hexOf(id, row.spoiled, name));
            expect(setup.peer.receiveHex()).to.equal('eof');
          } else {
            expect(say(setup, payload, kinds)).to.equal('eof');
          }
          expect(setup.handler.calls.at(-1)).to.include(code);
          expect(setup.lines.join()).to.include(code);
        });
      };
      const payload = payloadFor(name);
      const kinds = fdsOf(name);
      if (name !== 'CREATE_CRYPTO_SESSION') {
        spoil('a byte too many', new Uint8Array([...payload, 0]), kinds, 'ERR_VU_SIZE');
        if (payload.length > 0) {
          spoil('a byte too few', payload.subarray(0, -1), kinds, 'ERR_VU_SIZE');
        }
      }
      spoil('descriptors too many', payload, [...kinds, 'event', 'event'], 'ERR_VU_FDS');
      if (kinds.length > 0) {
        spoil('a descriptor too few', payload, kinds.slice(1), 'ERR_VU_FDS');
      }
    });
  }
});
