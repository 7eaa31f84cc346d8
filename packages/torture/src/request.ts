/** One request of a device, sent through an honest driver or a lying one. */
import { VRING_DESC_F_NEXT, VRING_DESC_F_WRITE } from '@oriel/virtqueue';
import { type DeviceReply, type DeviceRequest, UNTOUCHED } from './devices/device.ts';
import { TortureError } from './errors.ts';
import { BUFFERS_GPA, type Descriptor, type Ring } from './ring.ts';
import type { Session } from './session.ts';

const ALIGN = 64;

/** Puts the parts of a request into RAM. @returns its descriptors, and where the writable part starts */
function place(session: Session, { readable, writable }: DeviceRequest): { chain: Descriptor[]; writableGpa: number } {
  const { ram } = session;
  const chain: Descriptor[] = [];
  let gpa = BUFFERS_GPA;
  for (const bytes of readable) {
    ram.u8.set(bytes, ram.offsetOf(gpa));
    chain.push({ addr: gpa, len: bytes.length });
    gpa += Math.ceil(bytes.length / ALIGN) * ALIGN;
  }
  const writableGpa = gpa;
  for (const len of writable) {
    ram.u8.fill(UNTOUCHED, ram.offsetOf(gpa), ram.offsetOf(gpa) + len);
    chain.push({ addr: gpa, len, flags: VRING_DESC_F_WRITE });
    gpa += len;
  }
  return { chain, writableGpa };
}

/** Puts a request into a split ring in which nothing is in flight, and publishes it. @returns where its writable part starts */
function offer(session: Session, ring: Ring, request: DeviceRequest): number {
  const { chain, writableGpa } = place(session, request);
  for (const [index, descriptor] of chain.entries()) {
    const last = index === chain.length - 1;
    const flags = (descriptor.flags ?? 0) | (last ? 0 : VRING_DESC_F_NEXT);
    ring.describe(index, { ...descriptor, flags, next: last ? 0 : index + 1 });
  }
  ring.offer(0);
  return writableGpa;
}

/** Offers a request that the device takes well, without a kick: what is wrong is elsewhere. */
export function offerHonestly(session: Session, ring: Ring): void {
  offer(session, ring, session.options.request);
}

/** Sends a request through a split ring in which nothing is in flight. @returns its reply, or null where none comes in time */
export function askOnce(session: Session, ring: Ring, request: DeviceRequest, timeoutMs: number): DeviceReply | null {
  const before = ring.usedIdx;
  const writableGpa = offer(session, ring, request);
  ring.kick();
  const end = session.options.waiter.now() + timeoutMs;
  while (ring.usedIdx === before) {
    const left = end - session.options.waiter.now();
    if (left <= 0) return null;
    if (session.awaitDevice(ring, left) === 'over') break;
  }
  if (ring.usedIdx === before) return null;
  const start = session.ram.offsetOf(writableGpa);
  const room = request.writable.reduce((sum, len) => sum + len, 0);
  return { bytes: session.ram.u8.slice(start, start + room), len: ring.usedLen(before) };
}

/** As `askOnce`, for an honest request. @throws TortureError */
export function askHonestly(session: Session, ring: Ring, request: DeviceRequest): DeviceReply {
  const reply = askOnce(session, ring, request, session.options.timeoutMs);
  if (reply !== null) return reply;
  throw session.state === 'closed'
    ? new TortureError('ERR_TORTURE_CLOSED', 'closed at a request')
    : new TortureError('ERR_TORTURE_SILENT', 'no answer to a request');
}
