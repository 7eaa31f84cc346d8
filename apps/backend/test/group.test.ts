import { expect } from 'chai';
import { CliError } from '../src/cli/cli-error.ts';
import { descriptorLimit, plannedDescriptors } from '../src/descriptor-limit.ts';
import { groupId } from '../src/group.ts';

const DATABASE = 'root:x:0:\nkvm:x:104:qemu\nbroken:x:abc:\n';

describe('groupId', () => {
  it('finds a name and passes a number on', () => {
    expect(groupId('kvm', () => DATABASE)).to.equal(104);
    expect(groupId('1000', () => DATABASE)).to.equal(1000);
  });

  for (const name of ['nobody-knows', 'broken', 'kv', '']) {
    it(`refuses '${name}'`, () => {
      expect(() => groupId(name, () => DATABASE)).to.throw(CliError, '--socket-group');
    });
  }
});

describe('descriptorLimit', () => {
  it('reads an unlimited process and a number', () => {
    const line = (soft: string) => `Max open files            ${soft}                 4096                 files\n`;
    expect(descriptorLimit(line('1024'))).to.equal(1024);
    expect(descriptorLimit(line('unlimited'))).to.equal(Number.MAX_SAFE_INTEGER);
    expect(descriptorLimit()).to.be.greaterThan(64);
  });
});

describe('plannedDescriptors', () => {
  const allowed = { setDescriptorLimit: () => 0 };
  const forbidden = { setDescriptorLimit: () => -1 };

  it('raises the limit to what was asked for, or to a million', () => {
    expect(plannedDescriptors(5000, 1024, allowed)).to.equal(5000);
    expect(plannedDescriptors(undefined, 1024, allowed)).to.be.within(1025, 1_000_000);
  });

  it('plans with the limit of the process where it cannot be raised', () => {
    expect(plannedDescriptors(undefined, 1024, forbidden)).to.equal(1024);
    expect(plannedDescriptors(500, 1024, forbidden)).to.equal(500);
  });

  it('leaves the limit as it is for 0', () => {
    const untouched = { setDescriptorLimit: () => expect.fail('raised') };
    expect(plannedDescriptors(0, 1024, untouched)).to.equal(1024);
  });

  it('refuses to promise what the process may not have', () => {
    expect(() => plannedDescriptors(5000, 1024, forbidden)).to.throw(CliError, '1024');
  });
});
