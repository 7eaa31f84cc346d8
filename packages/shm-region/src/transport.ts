/** How a back-end's region reaches the front-end; `@oriel/vhost-user` offers one, `./testing` another. */

/** A mapping as the message tells it (`struct VhostUserMMap`): what SHMEM_MAP and SHMEM_UNMAP carry, bytes. */
export interface WireMapping {
  readonly shmid: number;
  readonly fdOffset: number;
  readonly shmOffset: number;
  readonly len: number;
  readonly writable: boolean;
}

/**
 * How map and unmap requests reach the front-end. `done` comes once, after the answer and the visibility fence, never
 * inside the call: 0; -EIO when the front-end said no; -ECANCELED when the message was not sent after all (the rings had
 * stopped: an unmap then stays due); another negative errno when the connection failed.
 * One object stands for one connection, also when its back channel is renewed.
 */
export interface MapTransport {
  /** True between start and stop of the rings: nothing may be sent otherwise. */
  readonly ready: boolean;
  /** `fd` is lent for the call: a transport that cannot send at once sends a duplicate of its own. */
  map(request: WireMapping, fd: number, done: (error: number) => void): void;
  unmap(request: WireMapping, done: (error: number) => void): void;
}
