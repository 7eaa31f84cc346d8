/** A queue of a virtio-gpu device as its driver uses it: commands out, replies in, one after the other or many at a time. */
import { CtrlHdr, VIRTIO_GPU_FLAG_FENCE, VIRTIO_GPU_RESP_ERR_UNSPEC } from '@oriel/gpu-blob';
import { decodeReply, type GpuReply, replySize, typeOf } from '@oriel/gpu-blob/testing';
import { LoopbackError } from '../errors.ts';
import type { GuestQueue, PendingChain } from '../guest-queue.ts';
import type { LoopbackVm } from '../loopback-vm.ts';

/** A command in the device's hands. */
export interface PendingCommand {
  readonly request: Uint8Array;
  readonly chain: PendingChain;
}

/** `0x208`, for messages. */
export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** Sends commands and checks the form of their replies. */
export class GpuChannel {
  readonly vm: LoopbackVm;
  readonly queueIndex: number;
  /** Commands sent since the start. */
  commands = 0;

  constructor(vm: LoopbackVm, queueIndex: number) {
    this.vm = vm;
    this.queueIndex = queueIndex;
  }

  get queue(): GuestQueue {
    const queue = this.vm.queues[this.queueIndex];
    if (queue === undefined)
      throw new LoopbackError('ERR_LOOPBACK_DEVICE', `the device has no queue ${this.queueIndex}`);
    return queue;
  }

  /**
   * Sends a command and does not wait.
   * @param room - for the reply, bytes; 0: none
   * @throws LoopbackError ERR_LOOPBACK_RANGE when the ring or guest memory is full
   */
  send(request: Uint8Array, room = replySize(typeOf(request))): PendingCommand {
    const chain = this.queue.request([request], room === 0 ? [] : [room]);
    this.commands++;
    return { request, chain };
  }

  /**
   * Waits for the reply of a command, which may be an error of the device.
   * @throws LoopbackError ERR_LOOPBACK_TIMEOUT, ERR_LOOPBACK_GONE; ERR_LOOPBACK_REPLY for one that breaks the rules
   */
  finish({ request, chain }: PendingCommand, timeoutMs?: number): GpuReply {
    const command = hex(typeOf(request));
    const bytes = this.vm.await(this.queue, chain, timeoutMs, `reply to command ${command}`);
    let reply: GpuReply;
    try {
      reply = decodeReply(bytes);
    } catch (cause) {
      throw new LoopbackError('ERR_LOOPBACK_REPLY', `command ${command}: ${(cause as Error).message}`, { cause });
    }
    checkFence(request, reply);
    return reply;
  }

  /** Sends a command and waits for its reply, which may be an error of the device. @throws as `send` and `finish` */
  request(request: Uint8Array, room?: number): GpuReply {
    return this.finish(this.send(request, room));
  }

  /** As `request`, for a command that must succeed. @throws LoopbackError ERR_LOOPBACK_REFUSED with the `status` */
  must(request: Uint8Array, room?: number): GpuReply {
    return accepted(request, this.request(request, room));
  }
}

/** The reply itself. @throws LoopbackError ERR_LOOPBACK_REFUSED when it is an error */
export function accepted(request: Uint8Array, reply: GpuReply): GpuReply {
  if (reply.type < VIRTIO_GPU_RESP_ERR_UNSPEC) return reply;
  const detail = `response ${hex(reply.type)} to command ${hex(typeOf(request))}`;
  throw new LoopbackError('ERR_LOOPBACK_REFUSED', detail, { status: reply.type });
}

/** A fenced command's reply names the fence; another's has none. */
function checkFence(request: Uint8Array, reply: GpuReply): void {
  const view = new DataView(request.buffer, request.byteOffset, request.byteLength);
  if (view.byteLength < CtrlHdr.byteLength) return;
  const flags = CtrlHdr.flags.get(view, 0);
  const fenced = (flags & VIRTIO_GPU_FLAG_FENCE) !== 0;
  const named =
    (reply.flags & VIRTIO_GPU_FLAG_FENCE) !== 0 &&
    reply.fenceIdLo === CtrlHdr.fenceId.lo(view, 0) &&
    reply.fenceIdHi === CtrlHdr.fenceId.hi(view, 0) &&
    reply.ctxId === CtrlHdr.ctxId.get(view, 0) &&
    reply.ringIdx === CtrlHdr.ringIdx.get(view, 0);
  if (fenced ? named : reply.flags === 0) return;
  const told = `flags ${reply.flags}, fence ${reply.fenceIdHi}:${reply.fenceIdLo} of ${reply.ctxId}/${reply.ringIdx}`;
  throw new LoopbackError('ERR_LOOPBACK_REPLY', `command ${hex(typeOf(request))} with flags ${flags}: ${told}`);
}
