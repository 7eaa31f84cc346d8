/** What the owner of a connection gives to it. */
import type { EventLoop, Fd, Logger, Sys } from '@oriel/sys';
import type { FrontendProfile } from '../profiles.ts';
import type { BackendHandler } from './handler.ts';

/** What a back-end connection is made of. */
export interface BackendOptions {
  readonly sys: Pick<Sys, 'mem' | 'fd' | 'socket' | 'loop' | 'file'>;
  readonly loop: EventLoop;
  /** Connected socket, given away. */
  readonly socket: Fd;
  readonly profile: FrontendProfile;
  readonly handler: BackendHandler;
  readonly log?: Logger;
}
