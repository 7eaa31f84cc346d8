import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';

const root = join(import.meta.dirname, '..');
const node = (name: string, path: string) => ['--conditions=@oriel/source', join(root, 'examples', name), path];

/** Resolves when the process has printed `text`. */
function until(child: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let seen = '';
    child.stdout!.on('data', (chunk) => {
      seen += chunk;
      if (seen.includes(text)) {
        resolve();
      }
    });
    child.once('exit', () => reject(new Error(`ended without ${text}: ${seen}`)));
  });
}

describe('examples', () => {
  it('probe.ts finds out about minimal-backend.ts, which ends after it', async () => {
    using dir = tempDir();
    const path = join(dir.path, 'vu.sock');
    const backend = spawn(process.execPath, node('minimal-backend.ts', path), { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(backend, 'exit');
    await until(backend, 'listening');
    const { stdout } = await promisify(execFile)(process.execPath, node('probe.ts', path));
    expect(stdout).to.equal(
      [
        'features 32',
        'protocol features 0 3 5 9 10 13 15 16 22',
        'queues 1',
        'shared memory region 0: 65536 bytes',
        'config 76687374000000000000000000000000',
        '',
      ].join('\n'),
    );
    expect(await ended).to.deep.equal([0, null]);
  });

  it('probe.ts is the example of the README', () => {
    const code = readFileSync(join(root, 'examples', 'probe.ts'), 'utf8').replace(/^\/\*\*.*\n/, '');
    expect(readFileSync(join(root, 'README.md'), 'utf8')).to.include(code);
  });
});
