/** Objects shared with other devices of the VM by UUID (message 41, back-end messages 6 to 8). */
import type { Fd } from '@oriel/sys';
import { VhostUserShared } from '../layout.ts';
import type { IncomingMessage } from '../message-reader.ts';
import type { BackendMessageName } from '../protocol/messages.ts';
import type { FrontRequests } from './front-requests.ts';
import type { BackendHandler } from './handler.ts';
import type { Answer, RequestHandlers } from './requests.ts';

const NOTHING = new Uint8Array(0);

/**
 * A device's own objects and those of others. UUIDs are 16 bytes in the order of RFC 4122. Requests wait while rings are
 * stopped; `done` comes once, never inside the call.
 */
export class BackendSharedObjects {
  readonly handlers: RequestHandlers = { GET_SHARED_OBJECT: (message) => this.#get(message) };
  readonly #handler: BackendHandler;
  readonly #requests: FrontRequests;

  constructor(handler: BackendHandler, requests: FrontRequests) {
    this.#handler = handler;
    this.#requests = requests;
  }

  /**
   * SHARED_OBJECT_ADD: others may look it up from now on.
   * @param done - 0; -EIO refused, -EOPNOTSUPP not negotiated, -ECANCELED not sent
   * @throws RangeError for a UUID that is not 16 bytes
   */
  add(uuid: Uint8Array, done: (error: number) => void): void {
    this.#request('SHARED_OBJECT_ADD', uuid, done);
  }

  /** SHARED_OBJECT_REMOVE, of one that this device added. @param done - as for `add` */
  remove(uuid: Uint8Array, done: (error: number) => void): void {
    this.#request('SHARED_OBJECT_REMOVE', uuid, done);
  }

  /** SHARED_OBJECT_LOOKUP. @param done - the descriptor, given away; null where there is none or it cannot be asked for */
  lookup(uuid: Uint8Array, done: (fd: Fd | null) => void): void {
    let found: Fd | null = null;
    this.#request(
      'SHARED_OBJECT_LOOKUP',
      uuid,
      (error) => {
        if (error !== 0) {
          found?.close();
        }
        done(error === 0 ? found : null);
      },
      (fd) => {
        found = fd;
      },
    );
  }

  #request(
    name: Extract<BackendMessageName, `SHARED_OBJECT_${string}`>,
    uuid: Uint8Array,
    done: (error: number) => void,
    onFd?: (fd: Fd) => void,
  ): void {
    if (uuid.length !== VhostUserShared.byteLength) {
      throw new RangeError(`a UUID of ${uuid.length} bytes`);
    }
    this.#requests.ask(name, Uint8Array.from(uuid), done, onFd === undefined ? {} : { onFd });
  }

  /** No descriptor: there is no such object. QEMU leaves the UUID out, so that nothing can be found. */
  #get({ bytes, size }: IncomingMessage): Answer {
    const fd = size === 0 ? null : this.#handler.sharedObject!(bytes.slice(0, size));
    return fd === null ? NOTHING : { payload: NOTHING, fd };
  }
}
