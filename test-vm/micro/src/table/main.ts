/**
 * `npm run window-table`: makes every access of the policy table and prints what was seen; with `--write` also into
 * `policy-table.md` beside package.json.
 */
import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import { openSys } from '@oriel/sys';
import { kvmMissing } from '../vm/micro-vm.ts';
import { observe } from './observe.ts';
import { policyTable } from './policy-table.ts';

const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
const sys = openSys();
const missing = kvmMissing(sys);
const kvm = missing === null ? 'KVM there' : `no guest: ${missing}`;
const host = `Linux ${release()}, ${process.arch}, ${cpus()[0]?.model ?? 'unknown processor'}, pages of ${sys.mem.pageSize} bytes, ${kvm}`;
const table = policyTable(await observe(sys), host);
process.stdout.write(table);
if (values.write) {
  writeFileSync(new URL('../../policy-table.md', import.meta.url), table);
}
