import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';

const folder = new URL('../examples/', import.meta.url);
const expected: Record<string, string> = {
  'memory-session.ts': 'FUSE 7.46, 1048576 bytes a request: hello; no such file: 2\n',
};

describe('examples', () => {
  for (const name of readdirSync(folder)) {
    it(`${name} runs, and is the one in the README`, async () => {
      const file = fileURLToPath(new URL(name, folder));
      const args = ['-C', '@oriel/source', '--disable-warning=ExperimentalWarning', file];
      const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
      expect({ stdout, stderr }).to.deep.equal({ stdout: expected[name], stderr: '' });
      const code = readFileSync(file, 'utf8').split('\n').slice(1).join('\n');
      expect(readFileSync(new URL('../README.md', import.meta.url), 'utf8')).to.include(code);
    });
  }
});
