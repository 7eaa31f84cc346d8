/**
 * Sizes and offsets of vhost-user's structures as a C compiler has them.
 * `node -C @oriel/source test/layout-c.ts` writes them to layout-c.json.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Sizes in bytes; a field is [offset, size]. */
export type CStructs = Record<string, { readonly size: number; readonly fields: Record<string, [number, number]> }>;

/** True where there is a C compiler with the kernel's headers. */
export function hasCompiler(): boolean {
  return spawnSync('gcc', ['-E', '-'], { input: '#include <linux/vhost.h>\n' }).status === 0;
}

/** Compiles and runs layout-c.c. @throws Error when either fails */
export function compileLayouts(): string {
  const dir = mkdtempSync(join(tmpdir(), 'oriel-layout-'));
  try {
    execFileSync('gcc', ['-Wall', '-Werror', '-o', join(dir, 'layout'), join(import.meta.dirname, 'layout-c.c')]);
    return execFileSync(join(dir, 'layout'), { encoding: 'utf8' });
  } finally {
    rmSync(dir, { recursive: true });
  }
}

if (import.meta.main) {
  writeFileSync(join(import.meta.dirname, 'layout-c.json'), compileLayouts());
}
