/** Log lines on standard error: text or JSON, one a line. */
import { writeSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Logger, LogWriter } from '@oriel/sys';
import { syslogLine, syslogWriter } from './syslog.ts';

/** Least level that is written. */
export type LogLevel = 'off' | 'error' | 'warn' | 'info' | 'debug' | 'trace';

/** How a log is written; plain data, so that a worker can be given it. */
export interface LogSettings {
  readonly level: LogLevel;
  readonly format: 'text' | 'json' | 'syslog';
  /** See `SyslogOptions.once`. */
  readonly once?: boolean;
  /** Names the source of each line: the device. */
  readonly name: string;
}

const LEVELS = ['error', 'warn', 'info', 'debug', 'trace'] as const;
const STDERR = 2;
const WINDOW_MS = 1000;
/** Lines of one level a second: what a guest can cause must not fill a disk. Errors, and what was asked for, are not held back. */
const LINES_PER_WINDOW = 200;

/** Writes to standard error by a system call: in a worker with a blocking loop nothing else comes out. */
function writeLine(line: string): void {
  try {
    writeSync(STDERR, line);
  } catch (error) {
    // A log that nobody reads any more (EPIPE) or fast enough (EAGAIN) must not end a VM's device.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EAGAIN' && code !== 'EPIPE' && code !== 'EBADF' && code !== 'EIO' && code !== 'ENOSPC') {
      throw error;
    }
  }
}

/** Control characters never reach a terminal or start a forged line. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

type LineFormat = (settings: LogSettings, level: string, message: string, fields?: Record<string, unknown>) => string;

const plainText: LineFormat = ({ name }, _level, message, fields) => {
  const tail = Object.entries(fields ?? {}).map(([key, value]) => ` ${key}=${String(value)}`);
  return oneLine(`${name}: ${message}${tail.join('')}`);
};

const textLine: LineFormat = (settings, level, message, fields) =>
  `${new Date().toISOString()} ${level.padEnd(5)} ${plainText(settings, level, message, fields)}\n`;

const daemonLine: LineFormat = (settings, level, message, fields) =>
  `${syslogLine(level, process.pid, plainText(settings, level, message, fields))}\n`;

const jsonLine: LineFormat = (settings, level, message, fields) => {
  const { pid } = process;
  const entry = {
    time: new Date().toISOString(),
    level,
    host: hostname(),
    pid,
    name: settings.name,
    message,
    ...fields,
  };
  return `${JSON.stringify(entry, (_key, value) => (typeof value === 'bigint' ? String(value) : value))}\n`;
};

const FORMATS: Readonly<Record<LogSettings['format'], LineFormat>> = {
  text: textLine,
  json: jsonLine,
  syslog: daemonLine,
};

/** Opens a log. Lines below its level cost a call and nothing else. */
export function openLog(
  settings: LogSettings,
  write: (line: string) => void = settings.format === 'syslog'
    ? syslogWriter(writeLine, { once: settings.once ?? false })
    : writeLine,
): Logger {
  const format = FORMATS[settings.format];
  const shown = settings.level === 'off' ? 0 : LEVELS.indexOf(settings.level) + 1;
  const writer = (level: (typeof LEVELS)[number], index: number): LogWriter => {
    if (index >= shown) {
      return () => {};
    }
    let windowStart = 0;
    let lines = 0;
    let held = 0;
    return (message, fields) => {
      const now = Date.now();
      if (now - windowStart >= WINDOW_MS || now < windowStart) {
        if (held > 0) {
          write(format(settings, level, `${held} lines held back in the last second`));
        }
        windowStart = now;
        lines = 0;
        held = 0;
      }
      if ((level === 'warn' || level === 'info') && ++lines > LINES_PER_WINDOW) {
        held++;
        return;
      }
      write(format(settings, level, message, fields));
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
