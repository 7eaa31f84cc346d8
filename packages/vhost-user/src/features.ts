/** Feature words: device feature bits of the transport, protocol feature bits, and the set that holds either. */

/** Device feature bit: dirty logging; switched by the front-end in SET_FEATURES. */
export const VHOST_F_LOG_ALL = 26;
/** Device feature bit: the back-end has protocol features. Never shown to the guest. */
export const VHOST_USER_F_PROTOCOL_FEATURES = 30;
/** Device feature bit of the ring: virtio event index (VIRTIO 1.3, 6). */
export const VIRTIO_RING_F_EVENT_IDX = 29;
/** Device feature bit: VIRTIO 1.0 and later. */
export const VIRTIO_F_VERSION_1 = 32;
/** Device feature bit: addresses go through an IOMMU. */
export const VIRTIO_F_ACCESS_PLATFORM = 33;
/** Device feature bit of the ring: packed layout (VIRTIO 1.3, 2.8). */
export const VIRTIO_F_RING_PACKED = 34;

/** Protocol feature bits ("Protocol features" in vhost-user.rst). */
export const VHOST_USER_PROTOCOL_F_MQ = 0;
export const VHOST_USER_PROTOCOL_F_LOG_SHMFD = 1;
export const VHOST_USER_PROTOCOL_F_RARP = 2;
export const VHOST_USER_PROTOCOL_F_REPLY_ACK = 3;
export const VHOST_USER_PROTOCOL_F_NET_MTU = 4;
export const VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5;
export const VHOST_USER_PROTOCOL_F_CROSS_ENDIAN = 6;
export const VHOST_USER_PROTOCOL_F_CRYPTO_SESSION = 7;
export const VHOST_USER_PROTOCOL_F_PAGEFAULT = 8;
export const VHOST_USER_PROTOCOL_F_CONFIG = 9;
export const VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD = 10;
export const VHOST_USER_PROTOCOL_F_HOST_NOTIFIER = 11;
export const VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 12;
export const VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13;
export const VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS = 14;
export const VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15;
export const VHOST_USER_PROTOCOL_F_STATUS = 16;
export const VHOST_USER_PROTOCOL_F_XEN_MMAP = 17;
export const VHOST_USER_PROTOCOL_F_SHARED_OBJECT = 18;
export const VHOST_USER_PROTOCOL_F_DEVICE_STATE = 19;
export const VHOST_USER_PROTOCOL_F_GET_VRING_BASE_INFLIGHT = 20;
export const VHOST_USER_PROTOCOL_F_GPA_ADDRESSES = 21;
export const VHOST_USER_PROTOCOL_F_SHMEM = 22;
export const VHOST_USER_PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN = 23;

/** A set of feature bits 0..63 as two u32. Immutable. */
export class FeatureSet {
  /** Bits 0..31. */
  readonly lo: number;
  /** Bits 32..63. */
  readonly hi: number;

  constructor(lo = 0, hi = 0) {
    this.lo = lo >>> 0;
    this.hi = hi >>> 0;
  }

  /** The set of these bit numbers. @throws RangeError for a bit outside 0..63 */
  static of(...bits: number[]): FeatureSet {
    let lo = 0;
    let hi = 0;
    for (const bit of bits) {
      if (!Number.isInteger(bit) || bit < 0 || bit > 63) {
        throw new RangeError(`feature bit ${bit} is not in 0..63`);
      }
      if (bit < 32) {
        lo |= 1 << bit;
      } else {
        hi |= 1 << (bit - 32);
      }
    }
    return new FeatureSet(lo, hi);
  }

  has(bit: number): boolean {
    return bit < 32 ? (this.lo & (1 << bit)) !== 0 : (this.hi & (1 << (bit - 32))) !== 0;
  }

  with(...bits: number[]): FeatureSet {
    const more = FeatureSet.of(...bits);
    return new FeatureSet(this.lo | more.lo, this.hi | more.hi);
  }

  without(...bits: number[]): FeatureSet {
    return this.minus(FeatureSet.of(...bits));
  }

  and(other: FeatureSet): FeatureSet {
    return new FeatureSet(this.lo & other.lo, this.hi & other.hi);
  }

  minus(other: FeatureSet): FeatureSet {
    return new FeatureSet(this.lo & ~other.lo, this.hi & ~other.hi);
  }

  equals(other: FeatureSet): boolean {
    return this.lo === other.lo && this.hi === other.hi;
  }

  get isEmpty(): boolean {
    return this.lo === 0 && this.hi === 0;
  }

  /** Bit numbers, ascending. */
  bits(): number[] {
    const bits: number[] = [];
    for (let bit = 0; bit < 64; bit++) {
      if (this.has(bit)) {
        bits.push(bit);
      }
    }
    return bits;
  }

  toString(): string {
    const lo = this.lo.toString(16);
    return this.hi === 0 ? `0x${lo}` : `0x${this.hi.toString(16)}${lo.padStart(8, '0')}`;
  }
}

/**
 * The protocol features to wish for that ask nothing more of the caller. The front-end side serves more, each with a duty:
 * INFLIGHT_SHMFD (libvhost-user wants SET_INFLIGHT_FD before a ring starts then), GET_VRING_BASE_INFLIGHT and
 * GET_VRING_BASE_SKIP_DRAIN (what is in flight may stay so at a stop), INBAND_NOTIFICATIONS (kicks by message),
 * SHARED_OBJECT (a registry), HOST_NOTIFIER, CROSS_ENDIAN, CRYPTO_SESSION, PAGEFAULT.
 */
export const FRONTEND_PROTOCOL_FEATURES: FeatureSet = FeatureSet.of(
  VHOST_USER_PROTOCOL_F_MQ,
  VHOST_USER_PROTOCOL_F_LOG_SHMFD,
  VHOST_USER_PROTOCOL_F_RARP,
  VHOST_USER_PROTOCOL_F_NET_MTU,
  VHOST_USER_PROTOCOL_F_DEVICE_STATE,
  VHOST_USER_PROTOCOL_F_REPLY_ACK,
  VHOST_USER_PROTOCOL_F_BACKEND_REQ,
  VHOST_USER_PROTOCOL_F_CONFIG,
  VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD,
  VHOST_USER_PROTOCOL_F_RESET_DEVICE,
  VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS,
  VHOST_USER_PROTOCOL_F_STATUS,
  VHOST_USER_PROTOCOL_F_SHMEM,
);
