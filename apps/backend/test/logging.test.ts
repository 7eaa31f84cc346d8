import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { check, EAGAIN, Fd, openSys } from '@oriel/sys';
import { tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { type LogLevel, type LogSettings, openLog } from '../src/logging.ts';
import { syslogWriter } from '../src/syslog.ts';

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

  it('writes lines for the system log, with facility and severity', () => {
    const lines: string[] = [];
    const log = logTo(lines, { format: 'syslog', level: 'trace' });
    for (const write of [log.error, log.warn, log.info, log.debug, log.trace]) write('no\nway', { queue: 1 });
    const priorities = [27, 28, 30, 31, 31];
    expect(lines).to.deep.equal(
      priorities.map((priority) => `<${priority}>oriel[${process.pid}]: fs: no\\x0away queue=1\n`),
    );
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

describe('syslogWriter', () => {
  it('sends each line as a datagram, finds a daemon that was started anew, and has another way out', () => {
    using dir = tempDir();
    const sys = openSys();
    const path = join(dir.path, 'log');
    const elsewhere: string[] = [];
    const write = syslogWriter((line) => elsewhere.push(line), { path });
    const listen = (): Fd => new Fd(sys.fd, check(sys.socket.bindDatagram(path, 0o600), 'bind'));
    const received = (daemon: Fd): string => {
      const bytes = Buffer.alloc(4096);
      const len = check(sys.socket.recvmsg(daemon.fd, bytes, bytes.length, sys.socket.makeRecvResult(1)), 'recvmsg');
      return bytes.toString('utf8', 0, len);
    };
    write('nobody\n');
    {
      using daemon = listen();
      write('first\n');
      write(`${'x'.repeat(5000)}\n`);
      expect([received(daemon), received(daemon).length]).to.deep.equal(['first', 2048]);
    }
    rmSync(path);
    write('gone\n');
    {
      using daemon = listen();
      write('again\n');
      expect(received(daemon)).to.equal('again');
    }
    expect(elsewhere).to.deep.equal(['nobody\n', 'gone\n']);
  });

  it('connects at once and never again for a process that will not be able to', () => {
    using dir = tempDir();
    const sys = openSys();
    const path = join(dir.path, 'log');
    const elsewhere: string[] = [];
    const bytes = Buffer.alloc(100);
    const received = sys.socket.makeRecvResult(1);
    let write: (line: string) => void;
    {
      using daemon = new Fd(sys.fd, check(sys.socket.bindDatagram(path, 0o600), 'bind'));
      write = syslogWriter((line) => elsewhere.push(line), { path, once: true });
      write('first\n');
      expect(sys.socket.recvmsg(daemon.fd, bytes, bytes.length, received)).to.equal('first'.length);
    }
    rmSync(path);
    using later = new Fd(sys.fd, check(sys.socket.bindDatagram(path, 0o600), 'bind'));
    write('gone\n');
    expect(elsewhere).to.deep.equal(['gone\n']);
    expect(sys.socket.recvmsg(later.fd, bytes, bytes.length, received)).to.equal(-EAGAIN);
  });
});
