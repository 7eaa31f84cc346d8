import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { digest, pattern } from './support/bytes.ts';
import { MIB, Share } from './support/share.ts';

const EXAMPLE = fileURLToPath(new URL('../examples/mount.ts', import.meta.url));

describe('the example', () => {
  it('prints a file by READ, and one out of the window', async () => {
    await using share = await Share.start();
    for (const bytes of [pattern(1234), pattern(3 * MIB, 2)]) {
      share.put('file', bytes);
      const args = [
        '--conditions=@oriel/source',
        '--disable-warning=ExperimentalWarning',
        EXAMPLE,
        share.socketPath,
        'file',
      ];
      const { stdout, stderr, status } = spawnSync(process.execPath, args, { maxBuffer: 8 * MIB, timeout: 10_000 });
      expect(stderr.toString()).to.equal('');
      expect(status).to.equal(0);
      expect(digest(stdout)).to.equal(digest(bytes));
    }
  });
});
