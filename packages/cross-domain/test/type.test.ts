import { expect } from 'chai';
import { CrossDomainContextType, CrossDomainError, type CrossDomainOptions, PathDoor } from '../src/index.ts';
import { bytesOf } from './support/bytes.ts';
import { sys } from './support/rig.ts';

describe('the context type', () => {
  const door = new PathDoor('/nowhere');
  const codeOf = (options: Partial<CrossDomainOptions>): string => {
    try {
      new CrossDomainContextType({ sys, ...options });
    } catch (error) {
      expect(error).to.be.instanceOf(CrossDomainError);
      return (error as CrossDomainError).code;
    }
    return 'none';
  };

  it('has a bit for each channel', () => {
    const channels = [1, 16, 17, 31].map((type) => ({ type, door }));
    expect(new CrossDomainContextType({ sys, channels }).capset).to.deep.equal(bytesOf(16, { 0: 1, 4: 0x8003_0002 }));
    expect(new CrossDomainContextType({ sys }).capset).to.deep.equal(bytesOf(16, { 0: 1 }));
  });

  it('takes no channel twice, and none that has no bit', () => {
    const channel = (type: number) => ({ type, door });
    expect(codeOf({ channels: [channel(1), channel(1)] })).to.equal('ERR_CROSS_DOMAIN_CHANNEL');
    for (const type of [0, 32, -1, 1.5]) {
      expect(codeOf({ channels: [channel(type)] }), `${type}`).to.equal('ERR_CROSS_DOMAIN_CHANNEL');
    }
  });

  it('takes whole numbers from 1 as limits', () => {
    for (const maxFds of [0, -1, 1.5, Number.NaN, 2 ** 53]) {
      expect(codeOf({ limits: { maxFds } }), `${maxFds}`).to.equal('ERR_CROSS_DOMAIN_LIMIT');
    }
    expect(codeOf({ limits: { maxFds: 1, maxBytes: 1 } })).to.equal('none');
  });
});
