/** The answer to a request that its Filesystem cannot end before the queue stops. */
import { FuseOutHeader, IN_HEADER, OUT_HEADER } from '@oriel/fuse';
import { EIO } from '@oriel/sys';
import type { Chain } from '@oriel/virtqueue';

/** Writes an EIO reply into a chain. @returns its bytes, 0 when the chain has no room for one */
export function putInterrupted(chain: Chain): number {
  const bytes = new Uint8Array(IN_HEADER);
  if (chain.read(0, bytes, 0, IN_HEADER) !== IN_HEADER) return 0;
  // `unique` has the same place in both headers.
  const view = new DataView(bytes.buffer);
  FuseOutHeader.len.set(view, 0, OUT_HEADER);
  FuseOutHeader.error.set(view, 0, -EIO);
  return chain.write(0, bytes, 0, OUT_HEADER) === OUT_HEADER ? OUT_HEADER : 0;
}
