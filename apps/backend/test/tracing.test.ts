import { channel } from 'node:diagnostics_channel';
import { expect } from 'chai';
import { openLog } from '../src/logging.ts';
import { traceTo } from '../src/tracing.ts';

describe('traceTo', () => {
  it('makes lines of messages and requests, every one of them', () => {
    expect(channel('oriel:fuse:reply').hasSubscribers).to.equal(false);
    const lines: string[] = [];
    traceTo(
      openLog({ level: 'info', format: 'text', name: 'fs' }, () => {}),
      'info',
    );
    expect(channel('oriel:vhost-user').hasSubscribers).to.equal(false);
    traceTo(
      openLog({ level: 'trace', format: 'text', name: 'fs' }, (line) => lines.push(line)),
      'trace',
    );
    for (let i = 0; i < 300; i++) {
      channel('oriel:fuse:reply').publish({
        opcode: 16,
        name: 'WRITE',
        nodeid: 5,
        unique: [i, 0],
        error: 0,
        written: 24,
      });
    }
    channel('oriel:gpu').publish({ type: 'finished', command: 'RESOURCE_MAP_BLOB', status: 0x1106 });
    expect(lines.at(-1)).to.include('trace fs: RESOURCE_MAP_BLOB finished status=4358');
    const message = { channel: 'back', direction: 'out', name: 'SHMEM_MAP', flags: 9, size: 40, fds: 1 };
    channel('oriel:vhost-user').publish(message);
    expect(lines.filter((line) => line.includes('trace fs: WRITE nodeid=5 error=0 written=24'))).to.have.length(300);
    expect(lines.at(-1)).to.include('debug fs: back channel out SHMEM_MAP flags=9 size=40 fds=1');
  });
});
