import { expect } from 'chai';
import { ObjectTable, type WlError } from '../src/index.ts';

describe('ObjectTable', () => {
  const table = () => new ObjectTable<string>(3);

  it('keeps objects until their ids are free', () => {
    const objects = table();
    objects.add(1, 'client', 'display');
    objects.add(0xff00_0000, 'server', 'offer');
    expect([objects.expect(1), objects.get(0xff00_0000), objects.get(2), objects.size]).to.deep.equal([
      'display',
      'offer',
      undefined,
      2,
    ]);
    objects.remove(1);
    objects.add(1, 'client', 'again');
    objects.add(0xff00_0000, 'server', 'used again');
    expect([...objects.values()]).to.have.members(['again', 'used again']);
  });

  it('refuses ids that are not of their side, or in use, and too many objects', () => {
    const objects = table();
    const code = (work: () => void) => {
      try {
        work();
      } catch (error) {
        return (error as WlError).code;
      }
      return 'none';
    };
    objects.add(2, 'client', 'a');
    expect(code(() => objects.add(2, 'client', 'b'))).to.equal('ERR_WL_ID');
    expect(code(() => objects.add(0, 'client', 'b'))).to.equal('ERR_WL_ID');
    expect(code(() => objects.add(0xff00_0000, 'client', 'b'))).to.equal('ERR_WL_ID');
    expect(code(() => objects.add(3, 'server', 'b'))).to.equal('ERR_WL_ID');
    expect(code(() => objects.expect(9))).to.equal('ERR_WL_OBJECT');
    objects.add(3, 'client', 'b');
    objects.add(4, 'client', 'c');
    expect(code(() => objects.add(5, 'client', 'd'))).to.equal('ERR_WL_LIMIT');
  });
});
