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

/**
 * Writes lines to a syslog socket, connected at the first one and again when the daemon was started anew.
 * @param otherwise - takes a line where nobody listens
 */
export function syslogWriter(
  otherwise: (line: string) => void,
  path: string = SYSLOG_SOCKET,
  sys: Pick<Sys, 'socket' | 'fd'> = openSys(),
): (line: string) => void {
  let socket: Fd | null = null;
  const send = (bytes: Uint8Array): boolean => {
    if (socket === null) {
      const fd = sys.socket.connectDatagram(path);
      socket = fd < 0 ? null : new Fd(sys.fd, fd);
    }
    return socket !== null && sys.socket.sendmsg(socket.fd, bytes, bytes.length, null, 0) >= 0;
  };
  return (line) => {
    const bytes = Buffer.from(line.trimEnd()).subarray(0, MAX_BYTES);
    if (send(bytes)) {
      return;
    }
    socket?.close();
    socket = null;
    if (!send(bytes)) {
      otherwise(line);
    }
  };
}
