/** The first exchange of a connection, in the order that every known back-end accepts. */
import type { Fd } from '@oriel/sys';
import { VhostUserError } from '../errors.ts';
import {
  FeatureSet,
  VHOST_F_LOG_ALL,
  VHOST_USER_F_PROTOCOL_FEATURES,
  VHOST_USER_PROTOCOL_F_BACKEND_REQ,
  VHOST_USER_PROTOCOL_F_MQ,
} from '../features.ts';
import { encodeWords } from '../protocol/encode.ts';
import { type Reader, readFeatures, readQueueCount, readShmConfig } from './check-reply.ts';
import { ask, NO_PAYLOAD, type RequestPort } from './request-port.ts';
import { type Done, sequence } from './sequence.ts';

/** What the front-end would like; the back-end's offer decides. */
export interface NegotiationWish {
  /** Device features, without bit 30. VHOST_F_LOG_ALL is never accepted here. */
  readonly features: FeatureSet;
  readonly protocolFeatures: FeatureSet;
  /** A back-end that does not offer all of these is refused (ERR_VU_FEATURES) before anything is accepted. Default: none. */
  readonly needs?: NegotiationNeeds;
}

/** What a back-end must offer. */
export interface NegotiationNeeds {
  /** Device features, without bit 30. */
  readonly features: FeatureSet;
  readonly protocolFeatures: FeatureSet;
}

/** A shared memory region of a back-end: its number, and its size in bytes. */
export interface ShmRegion {
  readonly shmid: number;
  readonly size: number;
}

/** What came of it. */
export interface NegotiationResult {
  /** Device features that the back-end has, bit 30 included. */
  readonly offered: FeatureSet;
  /** Accepted device features, bit 30 included. */
  readonly features: FeatureSet;
  readonly protocolFeatures: FeatureSet;
  readonly queueCount: number;
  readonly shmRegions: readonly ShmRegion[];
}

/** What the exchange needs of its connection. */
export interface NegotiationPort extends RequestPort {
  /** The result so far: what is accepted holds from the next message on. */
  readonly agreed: (result: NegotiationResult) => void;
  /** Makes the back channel and gives the end to send. */
  readonly openBackChannel: () => Fd;
  readonly shmemBit: number;
}

/** What was negotiated, before it was. */
export const NOTHING_NEGOTIATED: NegotiationResult = {
  offered: new FeatureSet(),
  features: new FeatureSet(),
  protocolFeatures: new FeatureSet(),
  queueCount: 1,
  shmRegions: [],
};

/** Runs the exchange; `done` after SET_FEATURES. */
export function negotiate(port: NegotiationPort, want: NegotiationWish, done: Done): void {
  let result = NOTHING_NEGOTIATED;
  const update = (change: Partial<NegotiationResult>) => {
    result = { ...result, ...change };
    port.agreed(result);
  };
  const plain = (name: string, payload: Uint8Array) => (next: Done) =>
    port.request(name, payload, [], (error) => next(error));
  const get =
    <T>(name: string, read: Reader<T>, take: (value: T) => void) =>
    (next: Done) =>
      ask(port, name, NO_PAYLOAD, [], read, (error, value) => {
        if (value !== undefined) {
          take(value);
        }
        next(error);
      });
  /** A step only where something was agreed before. */
  const when =
    (condition: () => boolean, step: (next: Done) => void) =>
    (next: Done): void =>
      condition() ? step(next) : next(null);
  const hasProtocol = () => result.offered.has(VHOST_USER_F_PROTOCOL_FEATURES);
  const accepted = (bit: number) => () => result.protocolFeatures.has(bit);

  let offeredProtocol = new FeatureSet();
  sequence(
    [
      plain('SET_OWNER', NO_PAYLOAD),
      get('GET_FEATURES', readFeatures, (features) => update({ offered: features })),
      when(
        hasProtocol,
        get('GET_PROTOCOL_FEATURES', readFeatures, (features) => {
          offeredProtocol = features;
        }),
      ),
      (next) => next(lacking(want.needs, result.offered, offeredProtocol)),
      when(hasProtocol, (next) => {
        const protocolFeatures = offeredProtocol.and(want.protocolFeatures);
        port.request('SET_PROTOCOL_FEATURES', encodeWords(protocolFeatures.lo, protocolFeatures.hi), [], (error) => {
          update({ protocolFeatures });
          next(error);
        });
      }),
      when(
        accepted(VHOST_USER_PROTOCOL_F_MQ),
        get('GET_QUEUE_NUM', readQueueCount, (queueCount) => update({ queueCount })),
      ),
      when(accepted(VHOST_USER_PROTOCOL_F_BACKEND_REQ), (next) => {
        const theirs = port.openBackChannel();
        try {
          port.request('SET_BACKEND_REQ_FD', NO_PAYLOAD, [theirs.fd], (error) => next(error));
        } finally {
          theirs.close();
        }
      }),
      when(
        () => accepted(port.shmemBit)(),
        get('GET_SHMEM_CONFIG', readShmConfig, (shmRegions) => update({ shmRegions })),
      ),
      (next) => {
        // Accepting LOG_ALL would switch dirty logging on, with no log to write to.
        const kept = result.offered.and(want.features).without(VHOST_F_LOG_ALL);
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

/** @returns the error for a back-end that does not offer what must be there, or null */
function lacking(
  needs: NegotiationNeeds | undefined,
  features: FeatureSet,
  protocolFeatures: FeatureSet,
): VhostUserError | null {
  const missing = needs?.features.minus(features) ?? new FeatureSet();
  const missingProtocol = needs?.protocolFeatures.minus(protocolFeatures) ?? new FeatureSet();
  if (missing.isEmpty && missingProtocol.isEmpty) {
    return null;
  }
  const detail = `the back-end lacks device features ${missing}, protocol features ${missingProtocol}`;
  return new VhostUserError('ERR_VU_FEATURES', 'backend', detail);
}
