/** A driver without a transport: encodes a request, hands it to a session of its own, decodes the reply. */
import { ReplyDecoder } from '../client/reply.ts';
import { RequestEncoder } from '../client/request-encoder.ts';
import { FuseSession } from '../session.ts';
import type { SessionOptions } from '../session-options.ts';
import { MemoryMessage, type MemoryMessageOptions } from './memory-message.ts';

/** As {@link SessionOptions}; messages are the client's. */
export interface TestClientOptions extends Omit<SessionOptions, 'finish'> {
  readonly message?: MemoryMessageOptions;
}

/** Sends one request at a time: `client.call(client.request.lookup(1, 'name'))`. */
export class TestClient implements Disposable {
  /** Builds the next request. */
  readonly request: RequestEncoder = new RequestEncoder();
  readonly message: MemoryMessage;
  readonly session: FuseSession;
  readonly #reply = new ReplyDecoder();

  /** @throws SysError ENOMEM */
  constructor(options: TestClientOptions) {
    this.message = new MemoryMessage(options.sys.mem, options.message);
    this.session = new FuseSession({
      ...options,
      finish: (message, written) => (message as MemoryMessage).finished(written),
    });
  }

  /**
   * Hands the request to the session and decodes its reply, checked as Linux checks it.
   * @param data - data of a WRITE
   * @throws FuseError for a bad reply
   * @throws Error when no reply came yet: see {@link send}
   */
  call(request: RequestEncoder, data?: Uint8Array): ReplyDecoder {
    if (!this.send(request, data)) {
      throw new Error('the request is still in flight');
    }
    return this.take(request);
  }

  /** Hands the request to the session. @returns false when it has not been answered yet */
  send(request: RequestEncoder, data?: Uint8Array): boolean {
    this.message.load(request.bytes, request.len, request.room, data);
    this.session.handle(this.message);
    return this.message.written >= 0;
  }

  /** Decodes the reply to the request sent last. @throws FuseError for a bad one */
  take(request: RequestEncoder): ReplyDecoder {
    return this.#reply.take(request, this.message.reply, this.message.written);
  }

  /** INIT with all that Linux offers. */
  init(): ReplyDecoder {
    const reply = this.call(this.request.init());
    this.request.setxattrExt = true;
    return reply;
  }

  [Symbol.dispose](): void {
    this.session[Symbol.dispose]();
    this.message[Symbol.dispose]();
  }
}
