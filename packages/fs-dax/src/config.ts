/** Checks of the tag and the encoding of the configuration space. */
import { FsDaxError } from './errors.ts';
import { VirtioFsConfig } from './layout.ts';

/**
 * The configuration space: tag, NUL-padded, and the number of request queues.
 * @throws FsDaxError ERR_FSDAX_TAG, ERR_FSDAX_OPTION
 */
export function encodeConfig(tag: string, numRequestQueues: number): Uint8Array {
  const encoded = new TextEncoder().encode(tag);
  if (encoded.length === 0 || encoded.length > VirtioFsConfig.tag.size) {
    throw new FsDaxError('ERR_FSDAX_TAG', `the tag has ${encoded.length} bytes; give 1 to ${VirtioFsConfig.tag.size}`);
  }
  if (encoded.includes(0) || encoded.includes(10)) {
    throw new FsDaxError('ERR_FSDAX_TAG', 'the tag holds a NUL or a newline, which Linux refuses');
  }
  if (!Number.isInteger(numRequestQueues) || numRequestQueues < 1 || numRequestQueues > 64) {
    throw new FsDaxError('ERR_FSDAX_OPTION', `${numRequestQueues} request queues; give 1 to 64`);
  }
  const config = new Uint8Array(VirtioFsConfig.byteLength);
  config.set(encoded, VirtioFsConfig.tag.offset);
  VirtioFsConfig.numRequestQueues.set(new DataView(config.buffer), 0, numRequestQueues);
  return config;
}
