/**
 * Makes `layout-c.json` with a C compiler: sizes, offsets and constants of linux/fuse.h as C sees them.
 *   node --conditions=@oriel/source packages/fuse/test/make-layout-c.ts [DIRECTORY WITH linux/fuse.h]
 * The header must be that of the protocol's newest minor; without an argument it is looked for where the guest set-up
 * unpacks linux-libc-dev, then in /usr/include.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import * as constants from '../src/constants.ts';
import * as layout from '../src/layout.ts';
import { cName } from './c-name.ts';

function findInclude(): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const trees = globSync(join(cache, 'oriel/guest-*/root/usr/include'));
  const found = [...trees, '/usr/include'].find((dir) => {
    const header = join(dir, 'linux/fuse.h');
    return (
      existsSync(header) &&
      readFileSync(header, 'utf8').includes(`FUSE_KERNEL_MINOR_VERSION ${constants.FUSE_KERNEL_MINOR_VERSION}`)
    );
  });
  if (found === undefined) {
    throw new Error(`no linux/fuse.h with minor ${constants.FUSE_KERNEL_MINOR_VERSION}: give its include directory`);
  }
  return found;
}

const lines: string[] = [];
const put = (key: string, value: string): void => {
  lines.push(`  printf("%s\\"%s\\": %llu", sep, "${key}", (unsigned long long)(${value})); sep = ",\\n  ";`);
};
for (const value of Object.values(layout)) {
  if (typeof value === 'object') {
    const name = `struct ${value.structName}`;
    put(`sizeof ${value.structName}`, `sizeof(${name})`);
    for (const field of value.fieldNames) {
      const inC = cName(value.structName, field);
      put(`${value.structName}.${inC}`, `offsetof(${name}, ${inC})`);
    }
  } else if (typeof value === 'number') {
    put('FUSE_COMPAT_SETXATTR_IN_SIZE', 'FUSE_COMPAT_SETXATTR_IN_SIZE');
  }
}
for (const [name, value] of Object.entries(constants)) {
  if (typeof value === 'number') {
    // C's bit 31 is an int there.
    put(name, name === 'FUSE_INIT_RESERVED' ? `(unsigned)${name}` : name);
  }
}
const dir = mkdtempSync(join(tmpdir(), 'oriel-layout-'));
try {
  const source = join(dir, 'layout.c');
  const program = join(dir, 'layout');
  writeFileSync(
    source,
    `#include <stdio.h>\n#include <stddef.h>\n#include "linux/fuse.h"\nint main(void) {\n  const char *sep = "  ";\n  printf("{\\n");\n${lines.join('\n')}\n  printf("\\n}\\n");\n}\n`,
  );
  // Only this header, not its neighbours: the rest must be the compiler's own.
  cpSync(join(process.argv[2] ?? findInclude(), 'linux/fuse.h'), join(dir, 'linux/fuse.h'));
  execFileSync('cc', ['-I', dir, '-o', program, source], { stdio: ['ignore', 'ignore', 'inherit'] });
  writeFileSync(join(import.meta.dirname, 'layout-c.json'), execFileSync(program));
} finally {
  rmSync(dir, { recursive: true, force: true });
}
