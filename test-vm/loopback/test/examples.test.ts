import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { digest, pattern } from './support/bytes.ts';
import { GpuStage } from './support/gpu-stage.ts';
import { MIB, Share } from './support/share.ts';

/** A program that hangs is killed after this. */
const PATIENCE_MS = 60_000;
const NODE_OPTIONS = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];

function run(name: string, ...args: readonly string[]) {
  const path = fileURLToPath(new URL(`../examples/${name}.ts`, import.meta.url));
  return spawnSync(process.execPath, [...NODE_OPTIONS, path, ...args], { maxBuffer: 8 * MIB, timeout: PATIENCE_MS });
}

describe('an example', function () {
  this.timeout(2 * PATIENCE_MS);

  it('prints a file by READ, and one out of the window', async () => {
    await using share = await Share.start();
    for (const bytes of [pattern(1234), pattern(3 * MIB, 2)]) {
      share.put('file', bytes);
      const { stdout, stderr, status } = run('mount', share.socketPath, 'file');
      expect(stderr.toString()).to.equal('');
      expect(status).to.equal(0);
      expect(digest(stdout)).to.equal(digest(bytes));
    }
  });

  it('shares memory, and shows a red square', async () => {
    await using stage = await GpuStage.start();
    const { stdout, stderr, status } = run('blob', stage.socketPath);
    expect(stderr.toString()).to.equal('');
    expect(status).to.equal(0);
    expect(stdout.toString()).to.equal('host and guest see this\n');
    const { updates } = await stage.picture();
    expect(updates).to.equal(1);
  });
});
