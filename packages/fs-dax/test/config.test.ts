import { expect } from 'chai';
import { encodeConfig, type FsDaxError } from '../src/index.ts';

const code = (make: () => unknown): string => {
  try {
    make();
  } catch (error) {
    return (error as FsDaxError).code;
  }
  return 'none';
};

describe('the configuration space', () => {
  it('is 36 bytes of tag, padded, and the number of request queues', () => {
    const config = encodeConfig('share', 3);
    expect(Buffer.from(config).toString('hex')).to.equal(`7368617265${'00'.repeat(31)}03000000`);
    expect(encodeConfig('t'.repeat(36), 1).length).to.equal(40);
    expect(Buffer.from(encodeConfig('ä', 1)).subarray(0, 3).toString('hex')).to.equal('c3a400');
  });

  it('refuses a tag that Linux would, and a senseless number of queues', () => {
    expect(code(() => encodeConfig('', 1))).to.equal('ERR_FSDAX_TAG');
    expect(code(() => encodeConfig('t'.repeat(37), 1))).to.equal('ERR_FSDAX_TAG');
    expect(code(() => encodeConfig('a\nb', 1))).to.equal('ERR_FSDAX_TAG');
    expect(code(() => encodeConfig('a', 0))).to.equal('ERR_FSDAX_OPTION');
    expect(code(() => encodeConfig('a', 1.5))).to.equal('ERR_FSDAX_OPTION');
  });
});
