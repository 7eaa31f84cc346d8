/** What an object of the client holds, given up when the object goes. */
import type { WlObject } from './objects.ts';
import { Pool, PoolBuffer } from './shm.ts';

/** The host's memory of a buffer stays until the connection ends, unless the client destroyed the buffer. */
export function releaseObject({ data }: WlObject): void {
  if (data instanceof Pool) data.destroy();
  else if (data instanceof PoolBuffer) data.release();
}
