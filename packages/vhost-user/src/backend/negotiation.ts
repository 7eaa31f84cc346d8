/** Feature negotiation, queue number and status (messages 1, 2, 3, 15, 16, 17, 39, 40). */
import type { Logger } from '@oriel/sys';
import { VhostUserError } from '../errors.ts';
import {
  FeatureSet,
  VHOST_F_LOG_ALL,
  VHOST_USER_F_PROTOCOL_FEATURES,
  VHOST_USER_PROTOCOL_F_BACKEND_REQ,
  VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD,
  VHOST_USER_PROTOCOL_F_CONFIG,
  VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS,
  VHOST_USER_PROTOCOL_F_DEVICE_STATE,
  VHOST_USER_PROTOCOL_F_GET_VRING_BASE_INFLIGHT,
  VHOST_USER_PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN,
  VHOST_USER_PROTOCOL_F_HOST_NOTIFIER,
  VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS,
  VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
  VHOST_USER_PROTOCOL_F_LOG_SHMFD,
  VHOST_USER_PROTOCOL_F_MQ,
  VHOST_USER_PROTOCOL_F_REPLY_ACK,
  VHOST_USER_PROTOCOL_F_RESET_DEVICE,
  VHOST_USER_PROTOCOL_F_SHARED_OBJECT,
  VHOST_USER_PROTOCOL_F_STATUS,
  VIRTIO_F_ACCESS_PLATFORM,
} from '../features.ts';
import { VhostUserU64 } from '../layout.ts';
import type { IncomingMessage } from '../message-reader.ts';
import type { FrontendProfile } from '../profiles.ts';
import type { Negotiated } from '../protocol/check.ts';
import { encodeU64, encodeWords } from '../protocol/encode.ts';
import type { BackendHandler } from './handler.ts';
import type { RequestHandlers } from './requests.ts';

/** VIRTIO device status (VIRTIO 1.3, 2.1): the driver was content with the features. */
const VIRTIO_CONFIG_S_FEATURES_OK = 0x8;

/** Without these nobody can be called: the specification has the back-end close the connection. */
const NEEDED_BY_INBAND = [VHOST_USER_PROTOCOL_F_BACKEND_REQ, VHOST_USER_PROTOCOL_F_REPLY_ACK];

/**
 * Checks that a device offers nothing that this transport lacks, addresses behind an IOMMU, or offers by itself: dirty logging.
 * @throws RangeError
 */
export function checkOfferedFeatures(features: FeatureSet): void {
  for (const bit of [VHOST_F_LOG_ALL, VIRTIO_F_ACCESS_PLATFORM]) {
    if (features.has(bit)) {
      throw new RangeError(`device feature ${bit} is not served by this back-end`);
    }
  }
}

/** What the negotiation tells the rest of the connection. */
export interface NegotiationEvents {
  /** True while a ring runs: features may not change then. */
  readonly ringsRun: () => boolean;
  /** Features were accepted; `enablesRings`: without bit 30 every ring is enabled. */
  readonly featuresAccepted: (enablesRings: boolean) => void;
  /** SET_STATUS 0, where it is a reset. */
  readonly reset: () => void;
}

/** What both sides agreed on. */
export class Negotiation implements Negotiated {
  readonly shmemBit: number;
  readonly offered: FeatureSet;
  readonly offeredProtocol: FeatureSet;
  readonly handlers: RequestHandlers = {
    GET_FEATURES: () => encodeWords(this.offered.lo, this.offered.hi),
    SET_FEATURES: (message) => this.#setFeatures(readSet(message)),
    SET_OWNER: () => null,
    GET_PROTOCOL_FEATURES: () => encodeWords(this.offeredProtocol.lo, this.offeredProtocol.hi),
    SET_PROTOCOL_FEATURES: (message) => this.#setProtocolFeatures(readSet(message)),
    GET_QUEUE_NUM: () => encodeU64(this.#handler.queueCount),
    SET_STATUS: (message) => this.#setStatus(message),
    GET_STATUS: () => encodeU64(this.#status),
  };
  readonly #handler: BackendHandler;
  readonly #profile: FrontendProfile;
  readonly #events: NegotiationEvents;
  readonly #log: Logger;
  #features = new FeatureSet();
  #protocolFeatures = new FeatureSet();
  #status = 0;
  #refusedFeatures = false;
  #warnedOfMask = false;

  constructor(handler: BackendHandler, profile: FrontendProfile, events: NegotiationEvents, log: Logger) {
    this.#handler = handler;
    this.#profile = profile;
    this.#events = events;
    this.#log = log;
    this.shmemBit = profile.shmemBit;
    this.offered = offeredFeatures(handler);
    this.offeredProtocol = offeredProtocolFeatures(handler, profile);
  }

  /** Accepted device features, bit 30 included. */
  get features(): FeatureSet {
    return this.#features;
  }

  /** Accepted device features that concern the device. */
  get deviceFeatures(): FeatureSet {
    return withoutTransport(this.#features);
  }

  get protocolFeatures(): FeatureSet {
    return this.#protocolFeatures;
  }

  get replyAck(): boolean {
    return this.#protocolFeatures.has(VHOST_USER_PROTOCOL_F_REPLY_ACK);
  }

  get status(): number {
    return this.#status;
  }

  /**
   * What an earlier process of this device had agreed on.
   * @throws VhostUserError ERR_VU_FROZEN for what this device does not offer
   */
  restore(features: FeatureSet, protocolFeatures: FeatureSet, status: number): void {
    const unknown = [features.minus(this.offered), protocolFeatures.minus(this.offeredProtocol)];
    if (unknown.some((set) => !set.isEmpty)) {
      throw new VhostUserError('ERR_VU_FROZEN', 'bug', `features ${unknown.join(' and ')} are not offered here`);
    }
    this.#features = features;
    this.#protocolFeatures = protocolFeatures;
    this.#status = status;
  }

  /** The device was reset. */
  clearStatus(): void {
    this.#status = 0;
  }

  #setFeatures(wanted: FeatureSet): null {
    const unknown = wanted.minus(this.offered);
    if (!unknown.isEmpty) {
      this.#maskOrRefuse(unknown);
    }
    const features = wanted.and(this.offered);
    const changed = !features.without(VHOST_F_LOG_ALL).equals(this.#features.without(VHOST_F_LOG_ALL));
    if (this.#events.ringsRun() && changed) {
      throw new VhostUserError('ERR_VU_STATE', 'frontend', `features changed to ${features} while rings run`);
    }
    this.#handler.setFeatures(withoutTransport(features));
    this.#features = features;
    this.#refusedFeatures = false;
    this.#events.featuresAccepted(!features.has(VHOST_USER_F_PROTOCOL_FEATURES));
    return null;
  }

  #maskOrRefuse(unknown: FeatureSet): void {
    if (this.#profile.unknownFeatures === 'refuse') {
      this.#refusedFeatures = true;
      throw new VhostUserError('ERR_VU_FEATURES', 'frontend', `device features ${unknown} were not offered`);
    }
    if (!this.#warnedOfMask) {
      this.#warnedOfMask = true;
      this.#log.warn('front-end accepts device features that were not offered; they are masked', {
        unknown: unknown.toString(),
        offered: this.offered.toString(),
      });
    }
  }

  #setProtocolFeatures(wanted: FeatureSet): null {
    const unknown = wanted.minus(this.offeredProtocol);
    if (!unknown.isEmpty) {
      throw new VhostUserError('ERR_VU_FEATURES', 'frontend', `protocol features ${unknown} were not offered`);
    }
    if (this.#events.ringsRun() && !wanted.equals(this.#protocolFeatures)) {
      throw new VhostUserError('ERR_VU_STATE', 'frontend', `protocol features changed to ${wanted} while rings run`);
    }
    if (wanted.has(VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS) && !NEEDED_BY_INBAND.every((bit) => wanted.has(bit))) {
      throw new VhostUserError(
        'ERR_VU_INBAND',
        'frontend',
        `protocol features ${wanted} lack BACKEND_REQ or REPLY_ACK`,
      );
    }
    this.#protocolFeatures = wanted;
    return null;
  }

  #setStatus(message: IncomingMessage): null {
    const status = VhostUserU64.value.lo(message.view, 0);
    if (VhostUserU64.value.hi(message.view, 0) !== 0 || status > 0xff) {
      throw new VhostUserError('ERR_VU_STATE', 'frontend', `status 0x${status.toString(16)} has more than 8 bits`);
    }
    this.#status = this.#refusedFeatures ? status & ~VIRTIO_CONFIG_S_FEATURES_OK : status;
    if (status === 0 && this.#profile.statusZeroResets) {
      this.#events.reset();
    }
    return null;
  }
}

function offeredFeatures(handler: BackendHandler): FeatureSet {
  const features = handler.features.with(VHOST_USER_F_PROTOCOL_FEATURES);
  return handler.dirtyLog === true ? features.with(VHOST_F_LOG_ALL) : features;
}

function withoutTransport(features: FeatureSet): FeatureSet {
  return features.without(VHOST_USER_F_PROTOCOL_FEATURES, VHOST_F_LOG_ALL);
}

function readSet(message: IncomingMessage): FeatureSet {
  return new FeatureSet(VhostUserU64.value.lo(message.view, 0), VhostUserU64.value.hi(message.view, 0));
}

/** QEMU accepts every offered bit that it knows, so only what is served here may be offered. */
function offeredProtocolFeatures(handler: BackendHandler, profile: FrontendProfile): FeatureSet {
  let offered = FeatureSet.of(
    VHOST_USER_PROTOCOL_F_MQ,
    VHOST_USER_PROTOCOL_F_REPLY_ACK,
    VHOST_USER_PROTOCOL_F_BACKEND_REQ,
    VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD,
    VHOST_USER_PROTOCOL_F_RESET_DEVICE,
    VHOST_USER_PROTOCOL_F_STATUS,
  );
  const extras: [boolean, number[]][] = [
    [profile.memorySlots, [VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS]],
    [handler.configSize > 0, [VHOST_USER_PROTOCOL_F_CONFIG]],
    [handler.shmRegions.length > 0 && profile.dialect === 'shmem', [profile.shmemBit]],
    [handler.inflight === true, [VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD, VHOST_USER_PROTOCOL_F_GET_VRING_BASE_INFLIGHT]],
    [handler.inflight === true && handler.drainRing !== undefined, [VHOST_USER_PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN]],
    [handler.dirtyLog === true, [VHOST_USER_PROTOCOL_F_LOG_SHMFD]],
    [handler.saveState !== undefined && handler.loadState !== undefined, [VHOST_USER_PROTOCOL_F_DEVICE_STATE]],
    [handler.sharedObject !== undefined, [VHOST_USER_PROTOCOL_F_SHARED_OBJECT]],
    [handler.hostNotifier === true, [VHOST_USER_PROTOCOL_F_HOST_NOTIFIER]],
    [handler.inband === true, [VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS]],
  ];
  for (const [has, bits] of extras) {
    if (has) {
      offered = offered.with(...bits);
    }
  }
  return offered;
}
