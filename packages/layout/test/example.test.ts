import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';

const EXAMPLE = new URL('../examples/virtq-desc.ts', import.meta.url);

describe('the example', () => {
  it('runs', () => {
    const node = ['--conditions=@oriel/source', EXAMPLE.pathname];
    expect(execFileSync(process.execPath, node, { encoding: 'utf8' }).trim().split('\n')).to.deep.equal([
      `addr at 0: ${0x1_2345_6000}`,
      'len at 8: 4096',
      'flags at 12: 0',
      'next at 14: 0',
    ]);
  });

  it('is what the README shows', () => {
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    const shown = readFileSync(EXAMPLE, 'utf8').split('\n').slice(1).join('\n').trim();
    expect(readme).to.include(shown);
  });
});
