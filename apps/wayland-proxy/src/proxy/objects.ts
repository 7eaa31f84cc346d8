/** The objects of one client, and what the proxy does with their messages. */
import type { Fd } from '@oriel/sys';
import type { ArgumentReader, Interface, Message } from '@oriel/wl';
import { interfaceOf } from '@oriel/wl';
import type { Translation } from './translation.ts';

/** One message on its way; lent for the call. */
export interface Passing {
  readonly object: WlObject;
  readonly message: Message;
  /** All of it; a hook may change it in place. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Read already where the message makes an object, has a hook or carries descriptors. */
  readonly args: ArgumentReader;
  /** Descriptors of a request: what a hook does not take is closed. */
  readonly fds: Fd[];
}

/** Does what has to be done with a message, and passes it on or not. */
export type Hook = (translation: Translation, passing: Passing) => void;

/** Hooks by `interface.message`. */
export type Hooks = Readonly<Record<string, Hook>>;

/** What is known of all objects of one interface. */
export interface Kind {
  readonly interface: Interface;
  /** By opcode. */
  readonly requests: readonly (Hook | undefined)[];
  readonly events: readonly (Hook | undefined)[];
  /** By opcode: the request names a buffer. */
  readonly namesBuffer: readonly boolean[];
}

export interface WlObject {
  readonly id: number;
  readonly kind: Kind;
  /** What the hooks of its kind keep. */
  data: unknown;
}

/** Kinds by name, made when first needed. */
export class Kinds {
  readonly #requests: Hooks;
  readonly #events: Hooks;
  readonly #byName = new Map<string, Kind>();

  constructor(requests: Hooks, events: Hooks) {
    this.#requests = requests;
    this.#events = events;
  }

  /** Undefined for an interface that is not known. */
  get(name: string): Kind | undefined {
    let kind = this.#byName.get(name);
    if (kind === undefined) {
      const known = interfaceOf(name);
      if (known === undefined) return undefined;
      kind = {
        interface: known,
        requests: known.requests.map((message) => this.#requests[`${name}.${message.name}`]),
        events: known.events.map((message) => this.#events[`${name}.${message.name}`]),
        namesBuffer: known.requests.map(({ args }) =>
          args.some((argument) => argument.kind === 'o' && argument.interfaceName === 'wl_buffer'),
        ),
      };
      this.#byName.set(name, kind);
    }
    return kind;
  }
}
