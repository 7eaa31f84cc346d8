/** The device's configuration space on the main channel (messages 24 and 25). */

import { asProtocolError, VhostUserError } from '../errors.ts';
import { VhostUserConfig } from '../layout.ts';
import type { IncomingMessage } from '../message-reader.ts';
import { encodeConfig } from '../protocol/encode.ts';
import type { RefusalLog } from '../refusal-log.ts';
import type { BackendHandler } from './handler.ts';
import type { RequestHandlers } from './requests.ts';

/** `VHOST_USER_MAX_CONFIG_SIZE`: the most that QEMU reads. */
export const VHOST_USER_MAX_CONFIG_SIZE = 256;

/** Bit 0: live migration or (rust-vmm, crosvm) writable; bit 1: migration (rust-vmm, crosvm). */
const KNOWN_FLAGS = 0x3;

/** Reads and writes configuration for the front-end. */
export class ConfigSpace {
  readonly handlers: RequestHandlers = {
    GET_CONFIG: (message) => this.#get(message),
    SET_CONFIG: (message) => this.#set(message),
  };
  readonly #handler: BackendHandler;
  readonly #refusals: RefusalLog;

  constructor(handler: BackendHandler, refusals: RefusalLog) {
    this.#handler = handler;
    this.#refusals = refusals;
  }

  /** A failure is a reply without payload, which leaves the connection as it is. */
  #get({ view }: IncomingMessage): Uint8Array {
    try {
      return this.#read(view);
    } catch (error) {
      this.#refusals.refused(asProtocolError(error, { message: 'GET_CONFIG' }));
      return new Uint8Array(0);
    }
  }

  #read(view: DataView): Uint8Array {
    const { offset, size, flags } = this.#checkedRange(view);
    const reply = encodeConfig(offset, size, flags);
    // QEMU reads as much as its own config_size says: what the device lacks is zero.
    const there = Math.min(size, Math.max(this.#handler.configSize - offset, 0));
    if (there > 0) {
      this.#handler.readConfig(offset, reply.subarray(VhostUserConfig.byteLength, VhostUserConfig.byteLength + there));
    }
    return reply;
  }

  #set({ view, bytes }: IncomingMessage): null {
    const { offset, size } = this.#checkedRange(view);
    if (offset >= this.#handler.configSize && size > 0) {
      throw new VhostUserError(
        'ERR_VU_CONFIG',
        'frontend',
        `write at ${offset} of a configuration of ${this.#handler.configSize} bytes`,
      );
    }
    // QEMU writes the whole space whatever the driver wrote, with the padding that it read.
    const there = Math.min(size, this.#handler.configSize - offset);
    if (there > 0) {
      this.#handler.writeConfig(offset, bytes.subarray(VhostUserConfig.byteLength, VhostUserConfig.byteLength + there));
    }
    return null;
  }

  #checkedRange(view: DataView): { offset: number; size: number; flags: number } {
    const offset = VhostUserConfig.offset.get(view, 0);
    const size = VhostUserConfig.size.get(view, 0);
    const flags = VhostUserConfig.flags.get(view, 0);
    const limit = Math.max(this.#handler.configSize, VHOST_USER_MAX_CONFIG_SIZE);
    if (offset + size > limit) {
      throw new VhostUserError('ERR_VU_CONFIG', 'frontend', `range ${offset}+${size} beyond ${limit} bytes`);
    }
    if ((flags & ~KNOWN_FLAGS) !== 0) {
      throw new VhostUserError('ERR_VU_CONFIG', 'frontend', `flags 0x${flags.toString(16)}`);
    }
    return { offset, size, flags };
  }
}
