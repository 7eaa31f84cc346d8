import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { openSys } from '@oriel/sys';
import { expect } from 'chai';
import { kvmMissing } from '../src/index.ts';

describe('README', () => {
  it('has an example that runs', function () {
    if (kvmMissing(openSys()) !== null) {
      this.skip();
    }
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    const code = /```ts\n(.*?)```/s.exec(readme)![1]!;
    const node = [
      '--conditions=@oriel/source',
      '--disable-warning=ExperimentalWarning',
      '--input-type=module-typescript',
    ];
    const { stdout, stderr } = spawnSync(process.execPath, [...node, '-e', code], {
      cwd: new URL('..', import.meta.url).pathname,
      encoding: 'utf8',
    });
    expect(stdout, stderr).to.match(/^a guest can run\n/);
    expect(stdout).to.contain("end: 'exception'").and.contain('vector: 13');
  });
});
