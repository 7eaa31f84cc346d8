import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { Child } from './support/child.ts';

const EXAMPLE = fileURLToPath(new URL('../examples/torture-socket.ts', import.meta.url));

describe('the example', function () {
  this.timeout(60_000);

  it('is the one of the README', () => {
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    const code = readFileSync(EXAMPLE, 'utf8');
    expect(readme).to.include(code.slice(code.indexOf('import')));
  });

  for (const [fault, verdict, status] of [
    ['refuses', 'REJECT', 0],
    ['sulks', 'DEAD', 1],
  ] as const) {
    it(`prints ${verdict} for a back-end that ${fault}, and ends with ${status}`, async () => {
      using dir = tempDir();
      const socketPath = join(dir.path, 'socket');
      await using _toy = await Child.start('toy-backend.ts', fault, socketPath);
      const flags = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];
      const program = spawn(process.execPath, [...flags, EXAMPLE, socketPath, 'unknown-46']);
      let text = '';
      program.stdout.on('data', (chunk) => {
        text += String(chunk);
      });
      expect(await once(program, 'close')).to.deep.equal([status, null]);
      expect(text).to.match(new RegExp(`^${verdict} stream/unknown-46 `));
    });
  }
});
