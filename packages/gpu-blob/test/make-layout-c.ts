/**
 * Makes `layout-c.json` with a C compiler: sizes, offsets and constants of linux/virtio_gpu.h as C sees them.
 *   node --conditions=@oriel/source packages/gpu-blob/test/make-layout-c.ts [DIRECTORY WITH linux/virtio_gpu.h]
 * The header must know VIRTIO_GPU_F_BLOB_ALIGNMENT; without an argument it is looked for where the guest set-up unpacks
 * linux-libc-dev, then in /usr/include.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import * as layout from '../src/protocol/layout.ts';
import * as values from '../src/protocol/values.ts';
import { cName, isInC, SAME_SHAPE } from './support/c-name.ts';

const HEADERS = ['linux/virtio_gpu.h', 'linux/virtio_ids.h'] as const;

function findInclude(): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const trees = globSync(join(cache, 'oriel/guest-*/root/usr/include'));
  const found = [...trees, '/usr/include'].find((dir) => {
    const header = join(dir, HEADERS[0]);
    return existsSync(header) && readFileSync(header, 'utf8').includes('VIRTIO_GPU_F_BLOB_ALIGNMENT');
  });
  if (found === undefined) throw new Error(`no ${HEADERS[0]} with blob alignment: give its include directory`);
  return found;
}

const lines: string[] = [];
const put = (key: string, value: string): void => {
  lines.push(`  printf("%s\\"%s\\": %llu", sep, "${key}", (unsigned long long)(${value})); sep = ",\\n  ";`);
};
for (const { structName, fieldNames } of Object.values(layout)) {
  const name = `struct ${structName}`;
  put(`sizeof ${structName}`, `sizeof(${name})`);
  for (const field of fieldNames) {
    const inC = cName(structName, field);
    put(`${structName}.${inC}`, `offsetof(${name}, ${inC})`);
  }
}
for (const name of Object.keys(SAME_SHAPE)) {
  put(`sizeof ${name}`, `sizeof(struct ${name})`);
  put(`${name}.resource_id`, `offsetof(struct ${name}, resource_id)`);
}
for (const name of Object.keys(values)) if (isInC(name)) put(name, name);
const dir = mkdtempSync(join(tmpdir(), 'oriel-layout-'));
try {
  const source = join(dir, 'layout.c');
  const program = join(dir, 'layout');
  const includes = ['<stdio.h>', '<stddef.h>', ...HEADERS.map((header) => `"${header}"`)];
  writeFileSync(
    source,
    `${includes.map((include) => `#include ${include}\n`).join('')}int main(void) {\n  const char *sep = "  ";\n  printf("{\\n");\n${lines.join('\n')}\n  printf("\\n}\\n");\n}\n`,
  );
  // Only these headers, not their neighbours: the rest must be the compiler's own.
  const include = process.argv[2] ?? findInclude();
  for (const header of HEADERS) cpSync(join(include, header), join(dir, header));
  execFileSync('cc', ['-I', dir, '-o', program, source], { stdio: ['ignore', 'ignore', 'inherit'] });
  writeFileSync(join(import.meta.dirname, 'layout-c.json'), execFileSync(program));
} finally {
  rmSync(dir, { recursive: true, force: true });
}
