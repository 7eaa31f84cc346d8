/** Log lines for syslogd(8), as syslog(3) writes them: one datagram a line, with facility and severity before it. */
import { Fd, openSys, type Sys } from '@oriel/sys';

/** Where syslogd and journald listen. */
export const SYSLOG_SOCKET = '/dev/log';
/** LOG_DAEMON. */
const FACILITY = 3 << 3;
/** LOG_ERR, LOG_WARNING, LOG_INFO, and LOG_DEBUG for the two that syslog does not tell apart. */
const SEVERITIES: Readonly<Record<string, number>> = { error: 3, warn: 4, info: 6, debug: 7, trace: 7 };
const MAX_BYTES = 2048;

/** A line with its priority: `<30>oriel[12]: fs: text`. @param text - one line, without its end */
export function syslogLine(level: string, pid: number, text: string): string {
  return `<${FACILITY | (SEVERITIES[level] ?? SEVERITIES['debug']!)}>oriel[${pid}]: ${text}`;
}

/** Where lines go. */
export interface SyslogOptions {
  readonly path?: string;
  /** The process will not be able to connect later: it does now, and never again. Default false. */
  readonly once?: boolean;
  readonly sys?: Pick<Sys, 'socket' | 'fd'>;
}

/**
 * Writes lines to a syslog socket, connected at the first one and again when the daemon was started anew.
 * @param otherwise - takes a line where nobody listens
 */
export function syslogWriter(
  otherwise: (line: string) => void,
  { path = SYSLOG_SOCKET, once = false, sys = openSys() }: SyslogOptions = {},
): (line: string) => void {
  const connect = (): Fd | null => {
    const fd = sys.socket.connectDatagram(path);
    return fd < 0 ? null : new Fd(sys.fd, fd);
  };
  let socket = once ? connect() : null;
  const send = (bytes: Uint8Array): boolean => {
    if (!once) {
      socket ??= connect();
    }
    return socket !== null && sys.socket.sendmsg(socket.fd, bytes, bytes.length, null, 0) >= 0;
  };
  return (line) => {
    const bytes = Buffer.from(line.trimEnd()).subarray(0, MAX_BYTES);
    if (send(bytes)) {
      return;
    }
    if (!once) {
      socket?.close();
      socket = null;
    }
    if (!send(bytes)) {
      otherwise(line);
    }
  };
}
