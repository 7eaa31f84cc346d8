import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { openSys } from '@oriel/sys';
import { Arena } from './test/support/native.ts';
for (const base of ['/dev/shm', '/tmp']) {
const dir = mkdtempSync(base + '/oriel-bench-');
for (let i = 0; i < 1000; i++) writeFileSync(`${dir}/file-${i}`, '');
const sys = openSys();
const arena = new Arena();
const names = Array.from({ length: 1000 }, (_, i) => arena.name(`file-${i}`));
const buf = arena.addr(arena.take(256));
const empty = arena.name('').addr;
const rootfd = sys.file.openat(-100, Buffer.from(dir + '\0'), 0o10000000, 0);
const rd = sys.file.openat(-100, Buffer.from(dir + '\0'), 0, 0);
const bench = (name: string, n: number, f: (i: number) => void) => {
  for (let i = 0; i < 20000 && i < n; i++) f(i);
  const t = process.hrtime.bigint();
  for (let i = 0; i < n; i++) f(i);
  console.log(base, name.padEnd(30), (Number(process.hrtime.bigint() - t) / n).toFixed(0), 'ns');
};
for (const [fl, m] of [[0x900, 0x17ff], [0x100, 0x7ff], [0x4900, 0x17ff], [0x100, 0x17ff]] as const)
bench(`statx ${fl.toString(16)} ${m.toString(16)}`, 200000, (i) => sys.file.statx(rootfd, names[i % 1000]!.addr, fl, m, buf));
bench(`statx same name`, 200000, (i) => sys.file.statx(rootfd, names[0]!.addr, 0x900, 0x17ff, buf));
bench(`statx by fd`, 200000, (i) => sys.file.statx(rootfd, empty, 0x1000, 0x17ff, buf));
bench(`statx rd dir`, 200000, (i) => sys.file.statx(rd, names[i%1000]!.addr, 0x900, 0x17ff, buf));
bench(`geteuid`, 200000, (i) => sys.cred.geteuid());
rmSync(dir, { recursive: true });
}
