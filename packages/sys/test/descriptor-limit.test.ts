import { execFileSync } from 'node:child_process';
import { expect } from 'chai';

/** A limit cannot be raised again by an ordinary user, so it is set in a process of its own. */
const CHILD = `
import { readFileSync } from 'node:fs';
import { openSys } from '@oriel/sys';
const result = openSys().fd.setDescriptorLimit(512);
console.log(result, /open files\\s+(\\d+)\\s+(\\d+)/.exec(readFileSync('/proc/self/limits', 'utf8')).slice(1).join(' '));
console.log(openSys().fd.setDescriptorLimit(2 ** 40) < 0);
`;

describe('setDescriptorLimit', () => {
  it('sets the soft and the hard limit, and refuses what the kernel refuses', () => {
    const node = ['--conditions=@oriel/source', '--input-type=module', '-e', CHILD];
    const printed = execFileSync(process.execPath, node, { encoding: 'utf8', cwd: import.meta.dirname });
    expect(printed.trim().split('\n')).to.deep.equal(['0 512 512', 'true']);
  });
});
