import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';

const folder = new URL('../examples/', import.meta.url);
const expected: Record<string, string> = {
  'serve-a-directory.ts': 'hello from the host\n1\n',
};

describe('examples', () => {
  for (const name of readdirSync(folder)) {
    it(`${name} runs`, async () => {
      const file = fileURLToPath(new URL(name, folder));
      const args = ['-C', '@oriel/source', '--disable-warning=ExperimentalWarning', file];
      const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
      expect({ stdout, stderr }).to.deep.equal({ stdout: expected[name], stderr: '' });
    });

    it(`${name} is what README.md shows`, () => {
      const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
      const code = readFileSync(new URL(name, folder), 'utf8').split('\n').slice(1).join('\n');
      expect(readme).to.include(code);
    });
  }
});
