/** The way to a host socket. Nothing of it may block: a host program can be slow, or not be there. */
import { EAGAIN, type EventLoop, Fd, type LoopTimer, type Sys } from '@oriel/sys';

/** What a door needs of the place in which it is opened. */
export interface DoorHost {
  readonly sys: Sys;
  readonly loop: EventLoop;
}

export interface Door extends Disposable {
  /**
   * Connects. @param done - called once, maybe at once, with a socket, given away, or a negative errno
   * @returns dispose it to give up: `done` is not called any more then
   */
  open(host: DoorHost, done: (result: Fd | number) => void): Disposable;
}

/** A listener whose backlog is full is asked again. */
const RETRY_MS = 20;
const MOST_RETRY_MS = 500;

/** Connects to a path, again and again while the backlog there is full. */
export function connectTo(path: string, host: DoorHost, done: (result: Fd | number) => void): Disposable {
  const { sys, loop } = host;
  let timer: LoopTimer | null = null;
  const attempt = (waitMs: number): void => {
    const socket = sys.socket.connectUnix(path);
    if (socket === -EAGAIN) timer = loop.timer(waitMs, () => attempt(Math.min(2 * waitMs, MOST_RETRY_MS)));
    else done(socket < 0 ? socket : new Fd(sys.fd, socket));
  };
  attempt(RETRY_MS);
  return { [Symbol.dispose]: () => timer?.[Symbol.dispose]() };
}

/** A socket at a path. */
export class PathDoor implements Door {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  open(host: DoorHost, done: (result: Fd | number) => void): Disposable {
    return connectTo(this.path, host, done);
  }

  [Symbol.dispose](): void {}
}
