/** How a VM is made, and what follows from it for the first messages. */
import { type BlockingLoop, check, EINTR, Fd, type Logger, type Sys } from '@oriel/sys';
import {
  FeatureSet,
  type NegotiationWish,
  VHOST_USER_PROTOCOL_F_BACKEND_REQ,
  VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD,
  VHOST_USER_PROTOCOL_F_CONFIG,
  VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS,
  VHOST_USER_PROTOCOL_F_MQ,
  VHOST_USER_PROTOCOL_F_REPLY_ACK,
  VHOST_USER_PROTOCOL_F_RESET_DEVICE,
  VHOST_USER_PROTOCOL_F_SHMEM,
  VIRTIO_F_VERSION_1,
} from '@oriel/vhost-user';
import { VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC } from '@oriel/virtqueue';
import type { LoopbackVm } from './loopback-vm.ts';

/** How a VM is made. */
export interface LoopbackOptions {
  readonly sys: Sys;
  /** Path of the back-end's socket, or a connected socket, which is given away. */
  readonly socket: string | Fd;
  /**
   * Another device of the same machine: its memory and its loop are shared, and each hears of mappings in the window of the
   * other. It must be ended after this one.
   */
  readonly beside?: LoopbackVm;
  /** Bytes of guest memory, a multiple of 4096; default 16 MiB. */
  readonly ramSize?: number;
  /** 'unsealed': the file can be truncated; default 'sealed'. */
  readonly ramFile?: 'sealed' | 'unsealed';
  /** Entries of each ring, a power of two; default 128, QEMU's for virtio-fs. */
  readonly queueSize?: number;
  /** Features of the device, by bit, that the driver accepts when offered; default none. */
  readonly deviceFeatures?: readonly number[];
  /** Ring features that the driver accepts when offered; default both. */
  readonly ringFeatures?: { readonly eventIdx?: boolean; readonly indirect?: boolean };
  /** False: no CONFIGURE_MEM_SLOTS, so that each change sends the whole table; default true. */
  readonly memorySlots?: boolean;
  /** Shared with others in this thread, a back-end for instance, and not owned; default: one of its own. */
  readonly loop?: BlockingLoop;
  /** True: mappings outlive a reset, as with crosvm; default: it clears the window, as with QEMU. */
  readonly keepsMappings?: boolean;
  /** Limit for each wait, ms; default 5000. */
  readonly timeoutMs?: number;
  readonly log?: Logger;
}

/** The features that are accepted where they are offered. */
export function wishes(
  options: Pick<LoopbackOptions, 'deviceFeatures' | 'ringFeatures' | 'memorySlots'>,
): NegotiationWish {
  const { deviceFeatures = [], ringFeatures = {}, memorySlots = true } = options;
  const { eventIdx = true, indirect = true } = ringFeatures;
  const features = [VIRTIO_F_VERSION_1, ...deviceFeatures];
  if (eventIdx) features.push(VIRTIO_RING_F_EVENT_IDX);
  if (indirect) features.push(VIRTIO_RING_F_INDIRECT_DESC);
  const protocolFeatures = [
    VHOST_USER_PROTOCOL_F_MQ,
    VHOST_USER_PROTOCOL_F_REPLY_ACK,
    VHOST_USER_PROTOCOL_F_BACKEND_REQ,
    VHOST_USER_PROTOCOL_F_CONFIG,
    VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD,
    VHOST_USER_PROTOCOL_F_RESET_DEVICE,
    VHOST_USER_PROTOCOL_F_SHMEM,
  ];
  if (memorySlots) protocolFeatures.push(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS);
  return { features: FeatureSet.of(...features), protocolFeatures: FeatureSet.of(...protocolFeatures) };
}

/** The socket of the options, connected. @throws SysError when nobody listens */
export function connectSocket({ sys, socket }: Pick<LoopbackOptions, 'sys' | 'socket'>): Fd {
  if (socket instanceof Fd) return socket;
  let fd: number;
  do fd = sys.socket.connectUnix(socket);
  while (fd === -EINTR);
  return new Fd(sys.fd, check(fd, 'connect'));
}
