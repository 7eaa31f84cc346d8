/** Requests on their way to the compositor, put together into SENDs. */
import { type HostChannel, type Identifier, MAX_SEND_IDENTIFIERS, MAX_SEND_LEN } from '../channel/host-channel.ts';
import { CROSS_DOMAIN_ID_TYPE_READ_PIPE } from '../channel/protocol.ts';
import type { FlowGate } from './flow-gate.ts';

export class Outgoing {
  readonly #channel: HostChannel;
  readonly #gate: FlowGate;
  readonly #data = new Uint8Array(MAX_SEND_LEN);
  readonly #afterwards: Disposable[] = [];
  #identifiers: Identifier[] = [];
  #len = 0;

  constructor(channel: HostChannel, gate: FlowGate) {
    this.#channel = channel;
    this.#gate = gate;
  }

  /** Adds a message with its descriptors. @throws ProxyError ERR_PROXY_DEVICE */
  add(message: Uint8Array, identifiers: readonly Identifier[] = []): void {
    if (!this.#takes(message.length, identifiers)) this.flush();
    for (const identifier of identifiers) this.#identifiers.push(identifier);
    for (let at = 0; at < message.length; ) {
      const part = message.subarray(at, at + MAX_SEND_LEN - this.#len);
      this.#data.set(part, this.#len);
      this.#len += part.length;
      at += part.length;
      if (this.#len === MAX_SEND_LEN) this.flush();
    }
  }

  /** Gives something up once what names it is sent. */
  disposeAfterwards(thing: Disposable): void {
    this.#afterwards.push(thing);
  }

  /** @throws ProxyError ERR_PROXY_DEVICE */
  flush(): void {
    if (this.#len > 0) {
      const len = this.#len;
      const identifiers = this.#identifiers;
      this.#len = 0;
      this.#identifiers = [];
      this.#channel.send(this.#data.subarray(0, len), identifiers, this.#gate.charge(len));
    }
    for (const thing of this.#afterwards.splice(0)) thing[Symbol.dispose]();
  }

  /** Whether a message goes into the SEND at hand; the host makes one pipe for each. */
  #takes(len: number, identifiers: readonly Identifier[]): boolean {
    if (this.#len + len > MAX_SEND_LEN) return false;
    if (identifiers.length === 0) return true;
    if (this.#identifiers.length + identifiers.length > MAX_SEND_IDENTIFIERS) return false;
    return !(this.#identifiers.some(isReadPipe) && identifiers.some(isReadPipe));
  }
}

function isReadPipe({ type }: Identifier): boolean {
  return type === CROSS_DOMAIN_ID_TYPE_READ_PIPE;
}
