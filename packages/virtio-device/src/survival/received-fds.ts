/** Descriptors that a launcher passes at the start (sd_listen_fds(3)). */

/** The first of them. */
const LISTEN_FDS_START = 3;
const MAX_NUMBER = 1 << 20;

/** A descriptor that this process has from its start, with the name that it is held under; plain data. */
export interface ReceivedFd {
  readonly name: string;
  readonly fd: number;
}

/** What a launcher tells a process in its environment; plain data. */
export interface LauncherTerms {
  /** `$NOTIFY_SOCKET`: a path, or `@` and an abstract name; undefined: nobody listens. */
  readonly notifySocket: string | undefined;
  readonly received: readonly ReceivedFd[];
}

/**
 * Reads, and takes out of `env`, what systemd or `oriel --restart` says in NOTIFY_SOCKET, LISTEN_FDS, LISTEN_FDNAMES and
 * LISTEN_PID: a child of this process must not take it for its own. Descriptors are ours only where LISTEN_PID is `pid`; one
 * without a name has the name `unknown`.
 */
export function launcherTerms(env: NodeJS.ProcessEnv, pid: number): LauncherTerms {
  const { NOTIFY_SOCKET: notifySocket, LISTEN_FDS: fds, LISTEN_FDNAMES: names = '', LISTEN_PID: owner } = env;
  for (const name of ['NOTIFY_SOCKET', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'LISTEN_PID', 'LISTEN_PIDFDID']) {
    delete env[name];
  }
  const count = owner === String(pid) && /^\d+$/.test(fds ?? '') ? Math.min(Number(fds), MAX_NUMBER) : 0;
  const list = names.split(':');
  const received = Array.from({ length: count }, (_, index) => ({
    name: list[index] || 'unknown',
    fd: LISTEN_FDS_START + index,
  }));
  return { notifySocket: notifySocket || undefined, received };
}
