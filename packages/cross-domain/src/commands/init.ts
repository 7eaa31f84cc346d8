/** INIT: the rings, and the connection. */
import {
  type ContextHost,
  type GpuStatus,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '@oriel/gpu-blob';
import { ENXIO, Fd } from '@oriel/sys';
import { Channel } from '../channel/channel.ts';
import { Connection } from '../channel/connection.ts';
import type { Door } from '../channel/door.ts';
import { Ring } from '../events/ring.ts';
import type { Program } from '../program.ts';
import { CrossDomainImageRequirements, CrossDomainSendReceive } from '../protocol/layout.ts';
import { CROSS_DOMAIN_CHANNEL_TYPE_INTERNAL_SOCKET, CROSS_DOMAIN_CHANNEL_TYPE_NONE } from '../protocol/values.ts';
import { Receiver } from '../received/receive.ts';
import type { Handler } from './command.ts';

/** A channel ring below this holds no RECEIVE. */
const LEAST_CHANNEL_RING = CrossDomainSendReceive.byteLength + 1;

/** Once for a context; one whose rings are wrong may be tried again. */
export const init: Handler = (program, { view, base, size }) => {
  const { host, around, items, shared } = program;
  const channel = Channel.of(view, base, size);
  if (channel === null || program.channel !== null) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  const queryRing = new Ring(host, channel.queryRingId, shared.scratch, CrossDomainImageRequirements.byteLength);
  const channelRing = new Ring(host, channel.channelRingId, shared.scratch, LEAST_CHANNEL_RING);
  if (queryRing.isLost || channelRing.isLost) return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
  program.channel = channel;
  program.queryRing = queryRing;
  remember(program.host, channel);
  if (channel.type === CROSS_DOMAIN_CHANNEL_TYPE_NONE) {
    around.deliveries.open(channelRing);
    return VIRTIO_GPU_RESP_OK_NODATA;
  }
  const connection = new Connection(around, new Receiver(around, items, channel));
  program.connection = connection;
  const status = connect(program, channel, connection);
  around.deliveries.open(channelRing);
  return status;
};

/** Where it fails, the guest's log has the status, and the program gets the end of the connection as its first message. */
function connect({ shared, around, host }: Program, channel: Channel, connection: Connection): GpuStatus {
  if (channel.type === CROSS_DOMAIN_CHANNEL_TYPE_INTERNAL_SOCKET) {
    const dup = (fd: number): Fd | null => {
      const copy = host.sys.fd.dup(fd);
      return copy < 0 ? null : new Fd(host.sys.fd, copy);
    };
    const socket = shared.sockets.claim(channel.uuid, dup);
    const error = socket === null ? connection.open(NO_DOOR) : connection.use(socket);
    return error === 0 ? VIRTIO_GPU_RESP_OK_NODATA : VIRTIO_GPU_RESP_ERR_UNSPEC;
  }
  const door = shared.doors.get(channel.type);
  if (door === undefined) {
    around.say(`channel type ${channel.type} leads nowhere: no socket was given for it`);
    connection.open(NO_DOOR);
    return VIRTIO_GPU_RESP_ERR_UNSPEC;
  }
  return connection.open(door) === 0 ? VIRTIO_GPU_RESP_OK_NODATA : VIRTIO_GPU_RESP_ERR_UNSPEC;
}

// What a context remembers of its INIT. The query ring last: with it the rest counts.
const TYPE_PLACE = 0;
const CHANNEL_RING_PLACE = 1;
const QUERY_RING_PLACE = 2;

function remember(host: ContextHost, { type, queryRingId, channelRingId }: Channel): void {
  host.remember(TYPE_PLACE, type);
  host.remember(CHANNEL_RING_PLACE, channelRingId);
  host.remember(QUERY_RING_PLACE, queryRingId);
}

/**
 * A context goes on in another process. Its connection ended with the one before: the program gets that as its next message, and
 * can have memory for pictures until it ends too.
 */
export function initAgain(program: Program): void {
  const { host, around, items, shared } = program;
  const queryRingId = host.recall(QUERY_RING_PLACE);
  if (queryRingId === 0) return;
  const channel = Channel.again(host.recall(TYPE_PLACE), queryRingId, host.recall(CHANNEL_RING_PLACE));
  program.channel = channel;
  program.queryRing = new Ring(host, queryRingId, shared.scratch, CrossDomainImageRequirements.byteLength);
  around.deliveries.open(new Ring(host, channel.channelRingId, shared.scratch, LEAST_CHANNEL_RING));
  if (channel.type === CROSS_DOMAIN_CHANNEL_TYPE_NONE) return;
  program.connection = new Connection(around, new Receiver(around, items, channel));
  program.connection.open(NO_DOOR);
}

const NO_DOOR: Door = {
  open(_host, done) {
    done(-ENXIO);
    return this;
  },
  [Symbol.dispose]() {},
};
