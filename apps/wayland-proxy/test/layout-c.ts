/**
 * What the kernel's headers say about the structures of `src/drm/layouts.ts`. `node -C @oriel/source test/layout-c.ts INCLUDE`
 * writes it to layout-c.json; INCLUDE is a folder with drm/virtgpu_drm.h (linux-libc-dev).
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as layouts from '../src/drm/layouts.ts';

/** Sizes in bytes; a field is [offset, size]. */
export interface HeaderFacts {
  readonly structs: Record<string, { size: number; fields: Record<string, [number, number]> }>;
  readonly constants: Record<string, number>;
}

type AnyLayout = { readonly structName: string; readonly byteLength: number; readonly fieldNames: readonly string[] };

/** All structures of the table. */
export function layoutList(): AnyLayout[] {
  return Object.values(layouts).filter((value) => typeof value === 'object') as AnyLayout[];
}

/** All numbers of the table. */
export function constantList(): [string, number][] {
  return Object.entries(layouts).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
}

const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
/** The hints of newer headers are left out: the size of the request says so. */
const SHORTENED: Readonly<Record<string, string>> = {
  drm_virtgpu_resource_create_blob: 'offsetof(struct drm_virtgpu_resource_create_blob, blob_hints)',
  DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB: '_IOC(_IOC_READ | _IOC_WRITE, DRM_IOCTL_BASE, 0x4a, 48)',
};

function program(): string {
  const lines = layoutList().flatMap(({ structName, fieldNames }) => [
    `printf("S %s %zu\\n", "${structName}", (size_t)(${SHORTENED[structName] ?? `sizeof(struct ${structName})`}));`,
    ...fieldNames.map(
      (field) =>
        `printf("F %s %s %zu %zu\\n", "${structName}", "${field}", offsetof(struct ${structName}, ${snake(field)}), sizeof(((struct ${structName} *)0)->${snake(field)}));`,
    ),
  ]);
  const numbers = constantList().map(
    ([name]) => `printf("C %s %u\\n", "${name}", (unsigned)(${SHORTENED[name] ?? name}));`,
  );
  return `#include <stddef.h>\n#include <stdio.h>\n#include <drm/virtgpu_drm.h>\nint main(void) {\n${[...lines, ...numbers].join('\n')}\n}\n`;
}

if (import.meta.main) {
  const dir = mkdtempSync(join(tmpdir(), 'oriel-layout-'));
  try {
    writeFileSync(join(dir, 'facts.c'), program());
    execFileSync('cc', ['-I', process.argv[2]!, '-o', join(dir, 'facts'), join(dir, 'facts.c')]);
    const facts: HeaderFacts = { structs: {}, constants: {} };
    for (const line of execFileSync(join(dir, 'facts'), { encoding: 'utf8' }).trim().split('\n')) {
      const [kind, name, ...rest] = line.split(' ') as [string, string, ...string[]];
      if (kind === 'S') facts.structs[name] = { size: Number(rest[0]), fields: {} };
      else if (kind === 'F') facts.structs[name]!.fields[rest[0]!] = [Number(rest[1]), Number(rest[2])];
      else facts.constants[name] = Number(rest[0]);
    }
    writeFileSync(join(import.meta.dirname, 'layout-c.json'), `${JSON.stringify(facts, null, 2)}\n`);
  } finally {
    rmSync(dir, { recursive: true });
  }
}
