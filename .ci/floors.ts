/** Checks that every package imports only packages on lower floors, and only those that its package.json names. */
import { globSync, readFileSync } from 'node:fs';

const FLOORS: Readonly<Record<string, number>> = {
  layout: 0,
  sys: 1,
  'guest-memory': 1,
  virtqueue: 2,
  wl: 2,
  fuse: 2,
  'shm-region': 3,
  'vhost-user': 3,
  'virtio-device': 4,
  'fs-passthrough': 4,
  'fs-dax': 5,
  'gpu-blob': 5,
  'cross-domain': 5,
  pmem: 5,
  torture: 5,
  'create-oriel': 6,
};
/** Two rooms of one floor, where one stands on the other. */
const SAME_FLOOR = new Set(['guest-memory -> sys', 'vhost-user -> shm-region', 'cross-domain -> gpu-blob']);

const wrong: string[] = [];
for (const name of Object.keys(FLOORS)) {
  const manifest = JSON.parse(readFileSync(`packages/${name}/package.json`, 'utf8')) as {
    dependencies?: Record<string, string>;
  };
  const declared = new Set(Object.keys(manifest.dependencies ?? {}));
  const used = new Set<string>();
  for (const file of globSync(`packages/${name}/src/**/*.ts`)) {
    for (const [, target] of readFileSync(file, 'utf8').matchAll(/(?:from|import\() ?'([^'.][^']*)'/g)) {
      const parts = target!.split('/');
      const dependency = target!.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0]!;
      if (dependency.startsWith('node:')) continue;
      used.add(dependency);
      if (!declared.has(dependency)) wrong.push(`${file}: ${dependency} is not in its package.json`);
      if (dependency === 'koffi' && name !== 'sys') wrong.push(`${file}: only packages/sys loads koffi`);
      if (!dependency.startsWith('@oriel/')) continue;
      const below = dependency.slice('@oriel/'.length);
      const floor = FLOORS[below];
      const down = floor !== undefined && floor < FLOORS[name]!;
      if (!down && !SAME_FLOOR.has(`${name} -> ${below}`)) wrong.push(`${file}: ${name} may not import ${below}`);
    }
  }
  for (const dependency of declared) {
    if (!used.has(dependency)) wrong.push(`packages/${name}/package.json: ${dependency} is not imported`);
  }
}
for (const folder of globSync('packages/*/package.json')) {
  const name = folder.split('/')[1]!;
  if (!(name in FLOORS)) wrong.push(`${folder}: ${name} has no floor in .ci/floors.ts`);
}
for (const line of wrong) console.log(line);
console.log(wrong.length === 0 ? 'every package stands on lower floors only' : `${wrong.length} wrong`);
process.exit(wrong.length === 0 ? 0 : 1);
