/** SEND_RARP and NET_SET_MTU: what only network devices take. */
import { encodeU64, encodeWords } from '../protocol/encode.ts';
import type { RequestPort } from './request-port.ts';
import type { Done } from './sequence.ts';

const MAC_BYTES = 6;
const MAX_MTU = 0xffff;

/** Messages to a network device. */
export class NetMessages {
  readonly #port: RequestPort;

  constructor(port: RequestPort) {
    this.#port = port;
  }

  /** SEND_RARP: the device announces this address after a migration. @throws RangeError unless it is 6 bytes */
  sendRarp(mac: Uint8Array, done: Done): void {
    if (mac.length !== MAC_BYTES) {
      throw new RangeError(`a MAC address of ${mac.length} bytes`);
    }
    const lo = mac[0]! | (mac[1]! << 8) | (mac[2]! << 16) | (mac[3]! << 24);
    const payload = encodeWords(lo >>> 0, mac[4]! | (mac[5]! << 8));
    this.#port.request('SEND_RARP', payload, [], (error) => done(error));
  }

  /** NET_SET_MTU, bytes. @throws RangeError outside 0..65535 */
  setMtu(mtu: number, done: Done): void {
    if (!Number.isInteger(mtu) || mtu < 0 || mtu > MAX_MTU) {
      throw new RangeError(`an MTU of ${mtu}`);
    }
    this.#port.request('NET_SET_MTU', encodeU64(mtu), [], (error) => done(error));
  }
}
