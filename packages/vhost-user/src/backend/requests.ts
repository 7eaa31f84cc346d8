/** How the modules of the back-end plug into the connection. */
import type { IncomingMessage } from '../channel.ts';
import type { FrontendMessageName } from '../protocol/messages.ts';

/**
 * Serves one message whose shape and gate were checked.
 * @returns the payload of its own reply, or null where it has none
 * @throws VhostUserError, or what the device threw: the message is refused
 */
export type RequestHandler = (message: IncomingMessage) => Uint8Array | null;

/** The messages that a module serves. */
export type RequestHandlers = { readonly [Name in FrontendMessageName]?: RequestHandler };
