import { profiles } from '@oriel/vhost-user';
import { expect } from 'chai';
import fc from 'fast-check';
import { CliError } from '../src/cli/cli-error.ts';
import type { DeviceNeeds } from '../src/commands/command.ts';
import { type Sharer, splitDescriptors, splitMappings } from '../src/commands/split.ts';

function sharers(...needs: Partial<DeviceNeeds>[]): Sharer[] {
  return needs.map((some, index) => ({ name: `d${index}`, needs: { mappings: 0, descriptors: 'rest', ...some } }));
}

describe('splitMappings', () => {
  const { qemu } = profiles;

  it('gives a window what it needs, and the rest to the others in equal parts', () => {
    const three = sharers({ mappings: 128 }, { mappings: { atLeast: 16 } }, { mappings: { atLeast: 16 } });
    expect(splitMappings(three, qemu, undefined)).to.deep.equal([128, 176, 176]);
    expect(splitMappings(three, qemu, 200)).to.deep.equal([128, 36, 36]);
    expect(splitMappings(sharers({ mappings: 128 }, {}), qemu, undefined)).to.deep.equal([128, 0]);
  });

  it('says who needs how many when the sum does not fit', () => {
    const two = sharers({ mappings: 400 }, { mappings: 128 });
    expect(() => splitMappings(two, qemu, undefined)).to.throw(CliError, 'd0 400 + d1 128 mappings are 528');
    expect(() => splitMappings(sharers({ mappings: 470 }, { mappings: { atLeast: 16 } }), qemu, undefined)).to.throw(
      '480',
    );
    expect(() => splitMappings([], qemu, 481)).to.throw(CliError, '480');
  });

  it('never gives away more than there is', () => {
    const need = fc.oneof(
      fc.nat(300),
      fc.nat(100).map((atLeast) => ({ atLeast })),
    );
    fc.assert(
      fc.property(fc.array(need, { maxLength: 6 }), fc.integer({ min: 1, max: 480 }), (needs, limit) => {
        const all = sharers(...needs.map((mappings) => ({ mappings })));
        const least = needs.map((one) => (typeof one === 'number' ? one : one.atLeast));
        const sum = least.reduce((total, one) => total + one, 0);
        if (sum > limit) {
          expect(() => splitMappings(all, qemu, limit)).to.throw(CliError);
          return;
        }
        const shares = splitMappings(all, qemu, limit);
        expect(shares.reduce((total, one) => total + one, 0)).to.be.at.most(limit);
        shares.forEach((share, index) => {
          expect(share).to.be.at.least(least[index]!);
        });
      }),
    );
  });
});

describe('splitDescriptors', () => {
  it('gives what is asked for, and the rest to the others', () => {
    expect(splitDescriptors(sharers({ descriptors: 1000 }, {}, {}), 10_000)).to.deep.equal([1000, 4500, 4500]);
    expect(splitDescriptors(sharers({}), 10_000)).to.deep.equal([10_000]);
    expect(splitDescriptors(sharers({ descriptors: 1000 }), 10_000)).to.deep.equal([1000]);
  });

  it('leaves half to those that take the rest, and fits all where there are too few', () => {
    expect(splitDescriptors(sharers({ descriptors: 9000 }, {}), 10_000)).to.deep.equal([5000, 5000]);
    expect(splitDescriptors(sharers({ descriptors: 9000 }, { descriptors: 9000 }), 10_000)).to.deep.equal([5000, 5000]);
  });
});
