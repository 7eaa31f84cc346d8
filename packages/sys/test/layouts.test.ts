import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { syscallNumbers } from '../src/koffi/numbers.ts';
import { type HeaderFacts, hasCompiler, namedFields, ourConstants, ourLayouts, readHeaders } from './layout-c.ts';

/** Newer than the headers that some distributions ship. */
const MAY_BE_ABSENT =
  /^(MFD_(NOEXEC_SEAL|EXEC)|EROFS_SUPER_MAGIC_V1|KVM_CAP_MEMORY_FAULT_INFO|KVM_EXIT_MEMORY_FAULT|FAN_(PRE_ACCESS|EVENT_INFO_TYPE_RANGE|ERRNO_SHIFT)|LANDLOCK_(ACCESS_FS_IOCTL_DEV|ACCESS_FS_TRUNCATE|SCOPE_\w+))$/;

const stored = JSON.parse(readFileSync(new URL('./layout-c.json', import.meta.url), 'utf8')) as HeaderFacts;

function compare(facts: HeaderFacts): void {
  for (const layout of ourLayouts) {
    const fields: Record<string, [number, number]> = {};
    for (const name of namedFields(layout)) {
      const field = (layout as unknown as Record<string, { offset: number; size: number }>)[name]!;
      fields[name] = [field.offset, field.size];
    }
    expect({ size: layout.byteLength, fields }, layout.structName).to.deep.equal(facts.structs[layout.structName]);
  }
  expect(Object.keys(ourConstants)).to.have.length.above(200);
  for (const [name, value] of Object.entries(ourConstants)) {
    if (name in facts.constants || !MAY_BE_ABSENT.test(name)) {
      expect(value, name).to.equal(facts.constants[name]);
    }
  }
  for (const arch of ['x64', 'arm64'] as const) {
    if (Object.keys(facts.syscalls[arch]).length > 0) {
      expect(syscallNumbers(arch)).to.deep.equal(facts.syscalls[arch]);
    }
  }
}

describe('layouts, constants and system call numbers', () => {
  it('are those of the C headers, as once recorded', function () {
    if (stored.arch !== process.arch) {
      this.skip();
    }
    compare(stored);
  });

  it('are those of the C headers of this host', function () {
    if (!hasCompiler()) {
      this.skip();
    }
    compare(readHeaders());
  });

  it('are not known for a foreign architecture', () => {
    expect(syscallNumbers('mips')).to.equal(undefined);
  });
});
