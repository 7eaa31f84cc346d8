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

describe('plannedDescriptors', () => {
  it('takes the limit of this process', () => {
    expect(descriptorLimit()).to.be.greaterThan(64);
    expect(plannedDescriptors(undefined)).to.equal(descriptorLimit());
  });

  it('reads an unlimited process and a number', () => {
    expect(descriptorLimit('Max open files            1024                 4096                 files\n')).to.equal(
      1024,
    );
    expect(descriptorLimit('Max open files            unlimited            unlimited            files\n')).to.equal(
      Number.MAX_SAFE_INTEGER,
    );
  });

  it('plans with less, and refuses more than the process may have', () => {
    expect(plannedDescriptors(500, 1024)).to.equal(500);
    expect(() => plannedDescriptors(5000, 1024)).to.throw(CliError, '1024');
  });
});
