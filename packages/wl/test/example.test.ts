import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';

const EXAMPLE = new URL('../examples/read-requests.ts', import.meta.url);

describe('the example', () => {
  it('runs', () => {
    const node = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning', EXAMPLE.pathname];
    expect(execFileSync(process.execPath, node, { encoding: 'utf8' }).trim().split('\n')).to.deep.equal([
      'wl_display.sync 2: 0 descriptors',
      'wl_shm.create_pool 4: 1 descriptors',
    ]);
  });

  it('is what the README shows', () => {
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    const shown = readFileSync(EXAMPLE, 'utf8').split('\n').slice(1).join('\n').trim();
    expect(readme).to.include(shown);
  });
});
