/** Binary layouts against the C headers of the guest's own kernel version, with the compiler of the Debian tree. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { VirtioFsConfig } from '@oriel/fs-dax';
import { expect } from 'chai';
import { exec, execTool, guestSuite } from '../index.ts';

const PACKAGES = join(import.meta.dirname, '../../../packages');

const CONFIG_PROGRAM = `
#include <stddef.h>
#include <stdio.h>
#include <linux/virtio_fs.h>
int main(void) {
  printf("%zu %zu %zu", sizeof(struct virtio_fs_config), offsetof(struct virtio_fs_config, tag),
         offsetof(struct virtio_fs_config, num_request_queues));
}
`;

describe('layouts and the C headers of the guest', () => {
  const suite = guestSuite('layouts');

  /** Compiles a C program with the tree's compiler and headers, and gives what it prints. */
  async function compileAndRun(source: string): Promise<string> {
    const { gcc, headersDir } = suite.environment;
    const dir = suite.folder('program');
    writeFileSync(join(dir, 'program.c'), source);
    const program = join(dir, 'program');
    await execTool(gcc, ['-static', '-I', headersDir, '-o', program, join(dir, 'program.c')]);
    return exec([program]);
  }

  it('are of Linux 7.3', () => {
    expect(suite.environment.packages['linux-libc-dev']).to.match(/^7\.3/);
  });

  it('agree on the configuration space of virtio-fs', async () => {
    const { byteLength, tag, numRequestQueues } = VirtioFsConfig;
    const printed = await compileAndRun(CONFIG_PROGRAM);
    expect(printed.trim()).to.equal(`${byteLength} ${tag.offset} ${numRequestQueues.offset}`);
  });

  it('agree on the split ring', async () => {
    const source = readFileSync(join(PACKAGES, 'virtqueue/test/layout-c.c'), 'utf8');
    const recorded = readFileSync(join(PACKAGES, 'virtqueue/test/layout-c.json'), 'utf8');
    expect(JSON.parse(await compileAndRun(source))).to.deep.equal(JSON.parse(recorded));
  });

  for (const [name, what] of [
    ['fuse', 'FUSE'],
    ['gpu-blob', 'virtio-gpu'],
  ] as const) {
    it(`agree on every structure and constant of ${what}`, async () => {
      const { gcc, headersDir } = suite.environment;
      const dir = suite.folder(name);
      const assignments = Object.entries(gcc.env ?? {}).map(([key, value]) => `${key}='${value}'`);
      const words = [...gcc.command, '-static'].map((word) => `'${word}'`);
      writeFileSync(join(dir, 'cc'), `#!/bin/sh\nexec env ${[...assignments, ...words].join(' ')} "$@"\n`);
      chmodSync(join(dir, 'cc'), 0o755);
      const path = join(PACKAGES, name, 'test/layout-c.json');
      const recorded = readFileSync(path, 'utf8');
      try {
        const make = join(PACKAGES, name, 'test/make-layout-c.ts');
        const node = [process.execPath, '--conditions=@oriel/source', make, headersDir];
        await exec(node, { env: { ...process.env, PATH: `${dir}:${process.env['PATH']}` } as Record<string, string> });
        expect(JSON.parse(readFileSync(path, 'utf8'))).to.deep.equal(JSON.parse(recorded));
      } finally {
        writeFileSync(path, recorded);
      }
    });
  }
});
