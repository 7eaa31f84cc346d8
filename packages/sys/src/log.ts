/** Logging as packages see it: an interface, silent by default. */

/** Writes one log entry; `fields` are plain values that name what the message is about. */
export type LogWriter = (message: string, fields?: Record<string, unknown>) => void;

/** What a package logs to. The app decides what becomes of it. */
export interface Logger {
  readonly error: LogWriter;
  readonly warn: LogWriter;
  readonly info: LogWriter;
  readonly debug: LogWriter;
  readonly trace: LogWriter;
}

const drop: LogWriter = () => {};

/** Logs nothing: the default everywhere. */
export const silentLogger: Logger = Object.freeze({ error: drop, warn: drop, info: drop, debug: drop, trace: drop });

const FIRST_PRINTABLE = 0x20;
const LAST_PRINTABLE = 0x7e;
const BACKSLASH = 0x5c;

/**
 * Bytes from a peer as text that is safe in any log: printable ASCII stays, a backslash is doubled, all else becomes
 * `\xNN`. What is cut off is counted: `abc…(+12 bytes)`.
 * @param maxLen - most bytes of input shown
 */
export function escapeBytes(bytes: Uint8Array, maxLen = 128): string {
  const shown = Math.min(bytes.length, maxLen);
  let text = '';
  for (let index = 0; index < shown; index++) {
    const byte = bytes[index]!;
    if (byte === BACKSLASH) {
      text += '\\\\';
    } else if (byte >= FIRST_PRINTABLE && byte <= LAST_PRINTABLE) {
      text += String.fromCharCode(byte);
    } else {
      text += `\\x${byte.toString(16).padStart(2, '0')}`;
    }
  }
  return shown < bytes.length ? `${text}…(+${bytes.length - shown} bytes)` : text;
}
