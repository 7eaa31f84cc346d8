import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { describe, it } from 'mocha';

const folder = new URL('../examples/', import.meta.url);
const expected: Record<string, string> = { 'pass-a-memfd.ts': 'hello from the other side\n' };

describe('examples', () => {
  for (const name of readdirSync(folder)) {
    it(`${name} runs`, async () => {
      const file = fileURLToPath(new URL(name, folder));
      const args = ['-C', '@oriel/source', '--disable-warning=ExperimentalWarning', file];
      const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
      expect({ stdout, stderr }).to.deep.equal({ stdout: expected[name], stderr: '' });
    });
  }
});
