/** Messages that hand over a connected socket: the back channel (21) and the display channel (33). */
import type { Fd, Sys } from '@oriel/sys';
import { VhostUserError } from '../errors.ts';
import type { IncomingMessage } from '../message-reader.ts';
import type { BackChannel } from './back-channel.ts';
import type { BackendHandler } from './handler.ts';
import type { RequestHandlers } from './requests.ts';

/** Serves both; GPU_SET_SOCKET only where the device has a display. */
export function socketRequests(
  sys: Pick<Sys, 'socket'>,
  handler: BackendHandler,
  backChannel: BackChannel,
): RequestHandlers {
  const hasDisplay = handler.setGpuSocket !== undefined;
  return {
    SET_BACKEND_REQ_FD: (message) => {
      backChannel.attach(connectedSocket(sys, message.fds.take(0), 'back channel'));
      return null;
    },
    ...(hasDisplay
      ? {
          GPU_SET_SOCKET: (message: IncomingMessage) => {
            handler.setGpuSocket!(connectedSocket(sys, message.fds.take(0), 'display channel'));
            return null;
          },
        }
      : {}),
  };
}

/** Checks a descriptor that is to be a channel. @throws VhostUserError ERR_VU_DESCRIPTOR; it is closed then */
export function connectedSocket(sys: Pick<Sys, 'socket'>, socket: Fd, what: string): Fd {
  if (sys.socket.isListening(socket.fd) !== 0) {
    socket.close();
    throw new VhostUserError('ERR_VU_DESCRIPTOR', 'frontend', `${what} is no connected socket`);
  }
  return socket;
}
