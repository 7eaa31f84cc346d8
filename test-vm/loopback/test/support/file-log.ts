/** A log in a file, for back-ends of the tests: each line is there when the call returns. */
import { openSync, writeSync } from 'node:fs';
import type { Logger, LogWriter } from '@oriel/sys';

export function fileLog(path: string): Logger {
  const fd = openSync(path, 'a');
  const writer =
    (level: string): LogWriter =>
    (message, fields) =>
      writeSync(fd, `${level} ${message}${fields === undefined ? '' : ` ${JSON.stringify(fields)}`}\n`);
  return {
    error: writer('error'),
    warn: writer('warn'),
    info: writer('info'),
    debug: writer('debug'),
    trace: () => {},
  };
}
