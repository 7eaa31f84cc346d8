/** Which answers mean no. */
import { type MessageSpec, VhostUserConfig, VhostUserU64 } from '@oriel/vhost-user';
import type { Answer } from './wire.ts';

type Message = Extract<Answer, { kind: 'message' }>;

/** Messages whose own reply is 0 for success. */
const STATUS_REPLIES: ReadonlySet<string> = new Set([
  'SET_LOG_BASE',
  'IOTLB_MSG',
  'POSTCOPY_END',
  'CHECK_DEVICE_STATE',
]);
/** Messages whose reply comes with a descriptor when they succeed. */
const FD_REPLIES: ReadonlySet<string> = new Set(['GET_INFLIGHT_FD', 'GET_SHARED_OBJECT', 'POSTCOPY_ADVISE']);

/** @returns how a reply refuses, or null */
export function refusalIn(spec: MessageSpec, { payload, fds }: Message): string | null {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  if (spec.reply === 'ack' || STATUS_REPLIES.has(spec.name)) {
    // libvhost-user answers SET_LOG_BASE with no payload, rust-vmm with the message itself.
    if (payload.length !== VhostUserU64.byteLength) return null;
    const lo = VhostUserU64.value.lo(view, 0);
    return lo === 0 && VhostUserU64.value.hi(view, 0) === 0 ? null : `answered ${lo | 0}`;
  }
  if (spec.name === 'GET_CONFIG') {
    const failed = payload.length < VhostUserConfig.byteLength || VhostUserConfig.size.get(view, 0) === 0;
    return failed ? 'answered without bytes' : null;
  }
  if (spec.name === 'SET_DEVICE_STATE_FD' && payload.length > 0) {
    return view.getUint8(0) === 0 ? null : `answered ${view.getUint8(0)}`;
  }
  return FD_REPLIES.has(spec.name) && fds.length === 0 ? 'answered without a descriptor' : null;
}
