/** What commands answer, for tests that expect errors. */
import { VIRTIO_GPU_RESP_OK_NODATA } from '@oriel/gpu-blob';
import type { GpuGuest } from '../../src/index.ts';
import { LoopbackError } from '../../src/index.ts';

/** The type of the reply to a command. */
export function statusOf(guest: GpuGuest, request: Uint8Array, room?: number): number {
  return guest.control.request(request, room).type;
}

/** The status with which the device refuses what `call` does; OK_NODATA when it succeeds. */
export function refusalOf(call: () => void): number {
  try {
    call();
  } catch (error) {
    if (error instanceof LoopbackError && error.code === 'ERR_LOOPBACK_REFUSED') return error.status;
    throw error;
  }
  return VIRTIO_GPU_RESP_OK_NODATA;
}
