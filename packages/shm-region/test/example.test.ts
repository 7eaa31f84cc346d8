import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';

const root = join(import.meta.dirname, '..');

describe('examples/map-a-file.ts', () => {
  it('is what the README shows', () => {
    const code = readFileSync(join(root, 'examples', 'map-a-file.ts'), 'utf8').replace(/^\/\*\*.*\n\n?/, '');
    expect(readFileSync(join(root, 'README.md'), 'utf8')).to.contain(`\`\`\`ts\n${code}\`\`\``);
  });

  it('maps, shows and unmaps a file', () => {
    const script = join(root, 'examples', 'map-a-file.ts');
    const output = execFileSync(process.execPath, ['-C', '@oriel/source', script], { encoding: 'utf8' });
    expect(output.split('\n')).to.deep.equal([
      'mapped: 0',
      'hello, guest',
      'window of 16 MiB: 1 mapping, 2 MiB used, largest hole 10 MiB',
      `[${'.'.repeat(16)}${'A'.repeat(8)}${'.'.repeat(40)}]`,
      ` 0${' '.repeat(57)}16 MiB`,
      ' A  greeting: 2 MiB at 0x400000+2 MiB',
      'unmapped: 0',
      '',
    ]);
  });
});
