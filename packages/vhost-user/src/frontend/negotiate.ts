/** The first exchange of a connection, in the order that every known back-end accepts. */
import { isSafeUnsigned } from '@oriel/layout';
import type { Fd } from '@oriel/sys';
import { VhostUserError } from '../errors.ts';
import {
  FeatureSet,
  VHOST_F_LOG_ALL,
  VHOST_USER_F_PROTOCOL_FEATURES,
  VHOST_USER_PROTOCOL_F_BACKEND_REQ,
  VHOST_USER_PROTOCOL_F_MQ,
} from '../features.ts';
import { VhostUserShMemConfig, VhostUserU64 } from '../layout.ts';
import { encodeWords } from '../protocol/encode.ts';
import type { ReplyHandler } from './requester.ts';
import { type Done, sequence } from './sequence.ts';

/** What the front-end would like; the back-end's offer decides. */
export interface NegotiationWish {
  /** Device features, without bit 30. VHOST_F_LOG_ALL is never accepted here. */
  readonly features: FeatureSet;
  readonly protocolFeatures: FeatureSet;
}

/** What came of it. */
export interface NegotiationResult {
  /** Accepted device features, bit 30 included. */
  readonly features: FeatureSet;
  readonly protocolFeatures: FeatureSet;
  readonly queueCount: number;
  readonly shmRegions: readonly { readonly shmid: number; readonly size: number }[];
}

/** What the exchange needs of its connection. */
export interface NegotiationPort {
  readonly request: (name: string, payload: Uint8Array, fds: readonly number[], done: ReplyHandler) => void;
  /** The result so far: what is accepted holds from the next message on. */
  readonly agreed: (result: NegotiationResult) => void;
  /** Makes the back channel and gives the end to send. */
  readonly openBackChannel: () => Fd;
  readonly shmemBit: number;
}

const EMPTY = new Uint8Array(0);

/** Runs the exchange; `done` after SET_FEATURES. */
export function negotiate(port: NegotiationPort, want: NegotiationWish, done: Done): void {
  let offered = new FeatureSet();
  let result: NegotiationResult = {
    features: new FeatureSet(),
    protocolFeatures: new FeatureSet(),
    queueCount: 1,
    shmRegions: [],
  };
  const update = (change: Partial<NegotiationResult>) => {
    result = { ...result, ...change };
    port.agreed(result);
  };
  const plain = (name: string, payload: Uint8Array) => (next: Done) =>
    port.request(name, payload, [], (error) => next(error));
  const get = (name: string, take: (payload: DataView) => void) => (next: Done) =>
    port.request(name, EMPTY, [], (error, reply) => {
      if (error === null && reply !== null) {
        take(new DataView(reply.payload.buffer, reply.payload.byteOffset, reply.payload.byteLength));
      }
      next(error);
    });
  /** A step only where something was agreed before. */
  const when =
    (condition: () => boolean, step: (next: Done) => void) =>
    (next: Done): void =>
      condition() ? step(next) : next(null);
  const hasProtocol = () => offered.has(VHOST_USER_F_PROTOCOL_FEATURES);
  const accepted = (bit: number) => () => result.protocolFeatures.has(bit);

  let protocolFeatures = new FeatureSet();
  let shmError: Error | null = null;
  sequence(
    [
      plain('SET_OWNER', EMPTY),
      get('GET_FEATURES', (view) => {
        offered = readSet(view);
      }),
      when(
        hasProtocol,
        get('GET_PROTOCOL_FEATURES', (view) => {
          protocolFeatures = readSet(view).and(want.protocolFeatures);
        }),
      ),
      when(hasProtocol, (next) =>
        port.request('SET_PROTOCOL_FEATURES', encodeWords(protocolFeatures.lo, protocolFeatures.hi), [], (error) => {
          update({ protocolFeatures });
          next(error);
        }),
      ),
      when(
        accepted(VHOST_USER_PROTOCOL_F_MQ),
        get('GET_QUEUE_NUM', (view) => update({ queueCount: VhostUserU64.value.get(view, 0) })),
      ),
      when(accepted(VHOST_USER_PROTOCOL_F_BACKEND_REQ), (next) => {
        const theirs = port.openBackChannel();
        try {
          port.request('SET_BACKEND_REQ_FD', EMPTY, [theirs.fd], (error) => next(error));
        } finally {
          theirs.close();
        }
      }),
      when(
        () => accepted(port.shmemBit)(),
        get('GET_SHMEM_CONFIG', (view) => {
          const shmRegions = readShmConfig(view);
          shmError = shmRegions === null ? badShmConfig() : null;
          update({ shmRegions: shmRegions ?? [] });
        }),
      ),
      (next) => next(shmError),
      (next) => {
        // Accepting LOG_ALL would switch dirty logging on, with no log to write to.
        const kept = offered.and(want.features).without(VHOST_F_LOG_ALL);
        const features = hasProtocol() ? kept.with(VHOST_USER_F_PROTOCOL_FEATURES) : kept;
        port.request('SET_FEATURES', encodeWords(features.lo, features.hi), [], (error) => {
          if (error === null) {
            update({ features });
          }
          next(error);
        });
      },
    ],
    done,
  );
}

function readSet(view: DataView): FeatureSet {
  return new FeatureSet(VhostUserU64.value.lo(view, 0), VhostUserU64.value.hi(view, 0));
}

/** Regions that are there, by shmid; a short answer ends after the last. @returns null for a size beyond 2^53 */
function readShmConfig(view: DataView): { shmid: number; size: number }[] | null {
  const regions: { shmid: number; size: number }[] = [];
  const first = VhostUserShMemConfig.memorySizes.offset;
  for (let shmid = 0; first + 8 * (shmid + 1) <= view.byteLength; shmid++) {
    const size = VhostUserShMemConfig.memorySizes.get(view, 0, shmid);
    if (!isSafeUnsigned(size)) {
      return null;
    }
    if (size > 0) {
      regions.push({ shmid, size });
    }
  }
  return regions;
}

function badShmConfig(): VhostUserError {
  return new VhostUserError('ERR_VU_REPLY', 'backend', 'region size beyond 2^53', { message: 'GET_SHMEM_CONFIG' });
}
