/** Events of the compositor, one by one, on their way to a client. */
import type { Fd } from '@oriel/sys';
import { ArgumentReader, MessageStream } from '@oriel/wl';
import type { Identifier } from '../channel/host-channel.ts';
import { CROSS_DOMAIN_ID_TYPE_VIRTGPU_BLOB, CROSS_DOMAIN_ID_TYPE_WRITE_PIPE } from '../channel/protocol.ts';
import { ProxyError } from '../errors.ts';
import { MAX_COPIED_LEN, sealedCopy } from '../files/content.ts';
import type { Hooks, Passing } from './objects.ts';
import { releaseObject } from './release.ts';
import { Pool } from './shm.ts';
import type { Translation } from './translation.ts';

/** Descriptors that came before their events. */
const MAX_UNCLAIMED = 128;
const NO_FDS: Fd[] = [];

/** Events of the display. */
export const displayEvents: Hooks = {
  'wl_display.delete_id'({ objects, toClient }, { args, bytes }) {
    const id = args.uint(0);
    const object = objects.get(id);
    if (object?.data instanceof Pool && object.data.replaced > 0) {
      object.data.replaced--;
      return;
    }
    if (object !== undefined) releaseObject(object);
    objects.remove(id);
    toClient.queue(bytes);
  },
};

/** A descriptor for the client. */
function fdFor(translation: Translation, { id, type, size }: Identifier): Fd {
  if (type === CROSS_DOMAIN_ID_TYPE_WRITE_PIPE) return translation.pipes.toHost(id);
  if (type !== CROSS_DOMAIN_ID_TYPE_VIRTGPU_BLOB || size > MAX_COPIED_LEN) {
    throw new ProxyError('ERR_PROXY_HOST', `the host sent a descriptor of type ${type} and ${size} bytes`);
  }
  // The file of a keymap that is none.
  if (size === 0) return sealedCopy(translation.sys, 0, 0);
  // A copy: the client may keep it for ever, and change its own as it likes.
  using memory = translation.channel.openFile(id, size);
  return sealedCopy(translation.sys, memory.addr, size);
}

export class Events {
  readonly #translation: Translation;
  readonly #stream = new MessageStream();
  readonly #args = new ArgumentReader();
  readonly #identifiers: Identifier[] = [];

  constructor(translation: Translation) {
    this.#translation = translation;
  }

  /** Passes all whole messages. @throws ProxyError, WlError: what ends the client */
  pass(data: Uint8Array, identifiers: readonly Identifier[]): void {
    this.#identifiers.push(...identifiers);
    if (this.#identifiers.length > MAX_UNCLAIMED) {
      throw new ProxyError('ERR_PROXY_HOST', 'the host sent more descriptors than events for them');
    }
    this.#stream.room(data.length).set(data);
    this.#stream.filled(data.length);
    while (this.#stream.next()) this.#passOne();
  }

  #passOne(): void {
    const { view, start, size, opcode, objectId } = this.#stream;
    const object = this.#translation.objects.expect(objectId);
    const message = object.kind.interface.events[opcode];
    if (message === undefined) {
      throw new ProxyError('ERR_PROXY_HOST', `${object.kind.interface.name} has no event ${opcode}`);
    }
    const bytes = this.#stream.message;
    const { toClient } = this.#translation;
    const hook = object.kind.events[opcode];
    if (hook === undefined && !message.makesObject && message.fdCount === 0) {
      toClient.queue(bytes);
      return;
    }
    const passing: Passing = {
      object,
      message,
      bytes,
      view,
      fds: NO_FDS,
      args: this.#args.read(message, view, start, size),
    };
    if (message.makesObject) this.#enterObjects(passing);
    if (hook !== undefined) hook(this.#translation, passing);
    else toClient.queue(bytes, this.#fds(message.fdCount));
  }

  #fds(count: number): Fd[] {
    if (count > this.#identifiers.length) {
      throw new ProxyError('ERR_PROXY_HOST', 'an event came without its descriptor');
    }
    const fds: Fd[] = [];
    try {
      for (const identifier of this.#identifiers.splice(0, count)) fds.push(fdFor(this.#translation, identifier));
    } catch (error) {
      for (const fd of fds) fd.close();
      throw error;
    }
    return fds;
  }

  #enterObjects({ message, args }: Passing): void {
    const { kinds, objects } = this.#translation;
    message.args.forEach(({ kind, interfaceName }, index) => {
      if (kind !== 'n' || interfaceName === undefined) return;
      const id = args.uint(index);
      objects.add(id, 'server', { id, kind: kinds.get(interfaceName)!, data: undefined });
    });
  }
}
