import { openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { type Observation, observe } from '../src/table/observe.ts';
import { policyTable } from '../src/table/policy-table.ts';
import { kvmMissing } from '../src/vm/micro-vm.ts';

const sys = openSys();
const guestRuns = kvmMissing(sys) === null;

/** `range access: a raw access by the process | Window.read and write | the guest` */
const EXPECTED: Record<Observation['policy'], readonly string[]> = {
  fault: [
    'mapped load: the file | the file | the file',
    'mapped store: what was stored | what was stored | what was stored',
    'read-only load: the file | the file | the file',
    'read-only store: SIGSEGV | EFAULT | VM stopped',
    'unmapped load: SIGSEGV | EFAULT | VM stopped',
    'unmapped store: SIGSEGV | EFAULT | VM stopped',
    'truncated load: SIGBUS | EFAULT | VM stopped',
    'truncated store: SIGBUS | EFAULT | VM stopped',
  ],
  'zero-ro': [
    'mapped load: the file | the file | the file',
    'mapped store: what was stored | what was stored | what was stored',
    'read-only load: the file | the file | the file',
    'read-only store: SIGSEGV | EFAULT | VM stopped',
    'unmapped load: zeros | zeros | zeros',
    'unmapped store: SIGSEGV | EFAULT | VM stopped',
    'truncated load: SIGBUS | zeros | zeros',
    'truncated store: SIGBUS | EFAULT | VM stopped',
  ],
  discard: [
    'mapped load: the file | the file | the file',
    'mapped store: what was stored | what was stored | what was stored',
    'read-only load: the file | the file | the file',
    'read-only store: SIGSEGV | the file | the file',
    'unmapped load: zeros | zeros | zeros',
    'unmapped store: what was stored, zeros once wiped | zeros | zeros',
    'truncated load: SIGBUS | zeros | zeros',
    'truncated store: SIGBUS | zeros | zeros',
  ],
  private: [
    'mapped load: the file | the file | the file',
    'mapped store: what was stored | what was stored | what was stored',
    'read-only load: the file | the file | the file',
    'read-only store: SIGSEGV | EFAULT | VM stopped',
    'unmapped load: zeros | zeros | zeros',
    'unmapped store: what was stored, zeros once wiped | what was stored | what was stored',
    'truncated load: SIGBUS | zeros | zeros',
    'truncated store: SIGBUS | what was stored | what was stored',
  ],
  inject: [
    'mapped load: the file | the file | the file',
    'mapped store: what was stored | what was stored | what was stored',
    'read-only load: the file | the file | the file',
    'read-only store: SIGSEGV | EFAULT | exception 13 in the guest',
    'unmapped load: SIGSEGV | EFAULT | exception 13 in the guest',
    'unmapped store: SIGSEGV | EFAULT | exception 13 in the guest',
    'truncated load: SIGBUS | EFAULT | exception 13 in the guest',
    'truncated store: SIGBUS | EFAULT | exception 13 in the guest',
  ],
};

/** What a guest saw, without how KVM told. */
function outcome(words: string): string {
  return words.replace(/^not observable here.*; mock: /, '').replace(/ \(.*\)$/, '');
}

describe('the policy table', () => {
  let rows: Observation[];
  before(async function () {
    this.timeout(60_000);
    using _leaks = leakCheck();
    rows = await observe(sys);
  });

  for (const [policy, expected] of Object.entries(EXPECTED)) {
    it(`${policy}: a child's raw accesses, the library's own and the guest's`, () => {
      const seen = rows
        .filter((row) => row.policy === policy)
        .map(({ kind, access, process, own, guest }) => {
          const told = guestRuns ? outcome(guest) : 'not observed';
          return `${kind} ${access}: ${process} | ${own} | ${told}`;
        });
      const known = guestRuns ? expected : expected.map((line) => line.replace(/[^|]*$/, ' not observed'));
      expect(seen).to.deep.equal(known);
    });
  }

  it('comes to the same for a guest in real mode', function () {
    if (!guestRuns) {
      this.skip();
    }
    for (const { policy, kind, access, guest, realMode } of rows) {
      expect(outcome(realMode), `${policy} ${kind} ${access}`).to.equal(outcome(guest));
    }
  });

  it('prints a row for each access, aligned', () => {
    const lines = policyTable(rows, 'a test').split('\n');
    expect(lines[0]).to.equal('Observed on a test.');
    const table = lines.filter((line) => line.startsWith('|'));
    expect(table).to.have.length(2 + 40);
    expect(new Set(table.map((line) => line.length)).size).to.equal(1);
  });
});
