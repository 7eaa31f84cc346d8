/** Log lines on standard error. */
import { writeSync } from 'node:fs';
import { escapeBytes, type Logger, type LogWriter } from '@oriel/sys';

const LEVELS = ['error', 'warn', 'info', 'debug', 'trace'] as const;

/** Least level that is written. */
export type LogLevel = 'off' | (typeof LEVELS)[number];
export const logLevels: readonly LogLevel[] = ['off', ...LEVELS];

const MAX_LINE = 400;
const WINDOW_MS = 1000;
/** Lines of a level in a second: what clients can cause must not fill a disk. */
const LINES_PER_WINDOW = 100;
const STDERR = 2;
const encoder = new TextEncoder();

function writeLine(line: string): void {
  try {
    writeSync(STDERR, line);
  } catch {
    // A log that nobody reads must not end the clients.
  }
}

/** Opens a log; what clients put into it cannot forge a line. */
export function openLog(level: LogLevel, write: (line: string) => void = writeLine): Logger {
  const writer = (own: (typeof LEVELS)[number]): LogWriter => {
    if (logLevels.indexOf(own) > logLevels.indexOf(level)) return () => {};
    let windowStart = 0;
    let lines = 0;
    return (message, fields = {}) => {
      const now = Date.now();
      if (Math.abs(now - windowStart) >= WINDOW_MS) {
        if (lines > LINES_PER_WINDOW)
          write(`oriel-wayland: ${own}: ${lines - LINES_PER_WINDOW} lines were held back\n`);
        windowStart = now;
        lines = 0;
      }
      if (++lines > LINES_PER_WINDOW) return;
      const tail = Object.entries(fields).map(([key, value]) => ` ${key}=${String(value)}`);
      write(`oriel-wayland: ${own}: ${escapeBytes(encoder.encode(`${message}${tail.join('')}`), MAX_LINE)}\n`);
    };
  };
  const [error, warn, info, debug, trace] = LEVELS.map(writer) as [
    LogWriter,
    LogWriter,
    LogWriter,
    LogWriter,
    LogWriter,
  ];
  return { error, warn, info, debug, trace };
}
