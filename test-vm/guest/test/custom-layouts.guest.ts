/** The formats of the example devices against the C headers of the guest's own kernel version. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import * as blk from '../../../packages/virtio-device/examples/blk/layout.ts';
import * as gpio from '../../../packages/virtio-device/examples/gpio/layout.ts';
import { exec, execTool, guestSuite } from '../index.ts';

interface Struct {
  readonly structName: string;
  readonly byteLength: number;
  readonly fieldNames: readonly string[];
}

/** `C expression` to what TypeScript says it is. */
function expectations(module: Readonly<Record<string, unknown>>, unfinished: readonly string[]): Map<string, number> {
  const wanted = new Map<string, number>();
  for (const [name, value] of Object.entries(module)) {
    if (typeof value === 'number' && name.startsWith('VIRTIO_')) wanted.set(name, value);
    if (typeof value !== 'object' || value === null) continue;
    const { structName, byteLength, fieldNames } = value as Struct;
    if (!unfinished.includes(structName)) wanted.set(`sizeof(struct ${structName})`, byteLength);
    for (const field of fieldNames) {
      const cName = field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      const { offset } = (value as Record<string, { offset: number }>)[field]!;
      wanted.set(`offsetof(struct ${structName}, ${cName})`, offset);
    }
  }
  return wanted;
}

describe('layouts of the example devices and the C headers of the guest', () => {
  const suite = guestSuite('custom-layouts');
  // Newer features put more fields behind those of WRITE_ZEROES.
  for (const [header, module, unfinished] of [
    ['virtio_blk', blk, ['virtio_blk_config']],
    ['virtio_gpio', gpio, []],
  ] as const) {
    it(`agree on every structure and constant of linux/${header}.h`, async () => {
      const { gcc, headersDir } = suite.environment;
      const wanted = expectations(module, unfinished);
      const lines = [...wanted.keys()].map((expression) => `  printf("%ld\\n", (long)(${expression}));`);
      const includes = ['stddef.h', 'stdio.h', 'linux/virtio_ids.h', `linux/${header}.h`];
      const main = `int main(void)\n{\n${lines.join('\n')}\n}\n`;
      const source = join(suite.folder(header), 'program.c');
      writeFileSync(source, `${includes.map((file) => `#include <${file}>\n`).join('')}${main}`);
      const program = source.replace(/\.c$/, '');
      await execTool(gcc, ['-static', '-I', headersDir, '-o', program, source]);
      const printed = (await exec([program])).trim().split('\n').map(Number);
      expect(new Map([...wanted.keys()].map((expression, n) => [expression, printed[n]]))).to.deep.equal(wanted);
      expect(wanted.size).to.be.greaterThan(20);
    });
  }
});
