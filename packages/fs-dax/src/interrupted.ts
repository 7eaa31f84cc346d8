/** The answer to a request that its Filesystem cannot end before the queue stops. */
import { FuseInHeader, FuseOutHeader, IN_HEADER, OUT_HEADER } from '@oriel/fuse';
import { EIO } from '@oriel/sys';
import type { Chain } from '@oriel/virtqueue';

/** Writes an EIO reply into a chain. @returns its bytes, 0 when the chain has no room for one */
export function putInterrupted(chain: Chain): number {
  const bytes = new Uint8Array(IN_HEADER);
  if (chain.read(0, bytes, 0, IN_HEADER) !== IN_HEADER) return 0;
  const view = new DataView(bytes.buffer);
  const lo = FuseInHeader.unique.lo(view, 0);
  const hi = FuseInHeader.unique.hi(view, 0);
  FuseOutHeader.len.set(view, 0, OUT_HEADER);
  FuseOutHeader.error.set(view, 0, -EIO);
  FuseOutHeader.unique.setParts(view, 0, lo, hi);
  return chain.write(0, bytes, 0, OUT_HEADER) === OUT_HEADER ? OUT_HEADER : 0;
}
