import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { canSandbox, type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { Program } from './fixtures/program.ts';

describe('the mounts of a share that a launcher holds', function () {
  this.timeout(20_000);
  let dir: TempDir;

  before(function () {
    if (process.getuid?.() !== 0 || !canSandbox()) this.skip();
  });
  beforeEach(() => {
    dir = tempDir();
    expect(spawnSync('mknod', [join(dir.path, 'null'), 'c', '1', '3']).status).to.equal(0);
  });
  afterEach(() => dir[Symbol.dispose]());

  /** @param held - path of what is held */
  async function take(held: string): Promise<unknown> {
    const fd = openSync(held, 'r');
    try {
      const plan = JSON.stringify({ name: 'home', sharedDir: dir.path });
      const script = new URL('./fixtures/run-lasting-share.ts', import.meta.url).pathname;
      const command = ['unshare', '--mount', process.execPath, '--conditions=@oriel/source', script, plan];
      const program = new Program('', command, [fd]);
      expect((await program.end()).code, program.stderr).to.equal(0);
      return JSON.parse(program.stdout);
    } finally {
      closeSync(fd);
    }
  }

  it('are made anew where another directory is held in their place', async () => {
    expect(await take('/')).to.deep.equal({ held: false, device: 'EACCES', stored: true });
  });

  it('are made anew where a descriptor is held that leads to the share through mounts of the host', async () => {
    expect(await take(dir.path)).to.deep.equal({ held: false, device: 'EACCES', stored: true });
  });
});
