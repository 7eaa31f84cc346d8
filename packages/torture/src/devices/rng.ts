/** virtio-rng (VIRTIO 1.3, 5.4): any writable buffer is a request. */
import type { KnownDevice } from './device.ts';

const BYTES = 64;
const SOURCE = 'VIRTIO 1.3, 5.4.6';

/** The device as the suite knows it. */
export const rng: KnownDevice = {
  name: 'rng',
  queue: 0,
  honest: { readable: [], writable: [BYTES] },
  check: ({ len }) => (len > 0 && len <= BYTES ? null : `${len} random bytes for a buffer of ${BYTES}`),
  refusal: ({ len }) => (len === 0 ? 'wrote nothing' : null),
  lies: [
    { id: 'readable', source: SOURCE, what: 'a readable buffer', readable: [new Uint8Array(BYTES)], writable: [] },
    { id: 'empty', source: SOURCE, what: 'a buffer of no bytes', readable: [], writable: [0] },
    { id: 'big', source: SOURCE, what: 'a buffer of 256 KiB', readable: [], writable: [1 << 18] },
  ],
};
