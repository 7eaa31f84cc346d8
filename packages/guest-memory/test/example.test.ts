import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';

const root = join(import.meta.dirname, '..');
const script = join(root, 'examples', 'read-guest-ram.ts');

describe('examples/read-guest-ram.ts', () => {
  it('prints what the guest wrote', () => {
    const output = execFileSync(process.execPath, ['--conditions=@oriel/source', script], { encoding: 'utf8' });
    expect(output).to.equal('0 hello, host\nviews: true past the end: null\n');
  });

  it('is the example of the README', () => {
    const code = readFileSync(script, 'utf8').replace(/^\/\*\*.*\n/, '');
    expect(readFileSync(join(root, 'README.md'), 'utf8')).to.include(code);
  });
});
