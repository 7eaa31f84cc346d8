import { expect } from 'chai';
import { type LogLevel, type LogSettings, openLog } from '../src/logging.ts';

function logTo(lines: string[], changes: Partial<LogSettings> = {}): ReturnType<typeof openLog> {
  return openLog({ level: 'info', format: 'text', name: 'fs', ...changes }, (line) => lines.push(line));
}

describe('openLog', () => {
  it('writes a text line with time, level, source and fields', () => {
    const lines: string[] = [];
    logTo(lines).warn('queue broken', { queue: 1 });
    expect(lines).to.have.length(1);
    expect(lines[0]).to.match(/^\d{4}-\d\d-\d\dT[\d:.]+Z warn {2}fs: queue broken queue=1\n$/);
  });

  it('writes one JSON object a line', () => {
    const lines: string[] = [];
    logTo(lines, { format: 'json' }).error('no\nway', { size: 2n ** 60n });
    const entry = JSON.parse(lines[0]!);
    expect(entry).to.include({ level: 'error', name: 'fs', message: 'no\nway', size: '1152921504606846976' });
    expect(lines[0]!.trimEnd()).not.to.include('\n');
  });

  it('lets no peer forge a line or move a cursor', () => {
    const lines: string[] = [];
    logTo(lines).info('name \n2026 error fs: fake \u001b[2J', { tag: 'a\rb' });
    expect(lines[0]!.slice(0, -1)).to.match(/^[^\p{Cc}]*$/u);
  });

  const shown: Record<LogLevel, number> = { off: 0, error: 1, warn: 2, info: 3, debug: 4, trace: 5 };
  for (const [level, count] of Object.entries(shown)) {
    it(`shows ${count} levels at '${level}'`, () => {
      const lines: string[] = [];
      const log = logTo(lines, { level: level as LogLevel });
      for (const write of [log.error, log.warn, log.info, log.debug, log.trace]) {
        write('x');
      }
      expect(lines).to.have.length(count);
    });
  }

  it('holds back a flood, but no errors', () => {
    const lines: string[] = [];
    const log = logTo(lines);
    for (let line = 0; line < 1000; line++) {
      log.warn('guest did it again');
      log.error('failed');
    }
    const warnings = lines.filter((line) => line.includes('warn')).length;
    expect(warnings).to.be.lessThan(500);
    expect(lines.length - warnings).to.equal(1000);
  });
});
