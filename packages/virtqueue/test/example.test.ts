import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';

const root = join(import.meta.dirname, '..');
const script = join(root, 'examples', 'upper-case.ts');
const run = (file: string): string =>
  execFileSync(process.execPath, ['--conditions=@oriel/source', file], { encoding: 'utf8' });

describe('examples/upper-case.ts', () => {
  it('answers in upper case', () => {
    const [first, second, ...stats] = run(script).split('\n');
    expect([first, second]).to.deep.equal(['HELLO, DEVICE', 'TOO LONG']);
    expect(stats.join(' ')).to.match(/chains: 2,.*completed: 2,.*calls: 1,.*bytesRead: 36,.*bytesWritten: 21/);
  });

  it('is the example of the README', () => {
    const code = readFileSync(script, 'utf8').replace(/^\/\*\*.*\n/, '');
    expect(readFileSync(join(root, 'README.md'), 'utf8')).to.include(`\`\`\`ts\n${code}\`\`\``);
  });
});
