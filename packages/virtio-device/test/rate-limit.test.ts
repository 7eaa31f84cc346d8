import { expect } from 'chai';
import { RateLimit } from '../src/rate-limit.ts';

describe('RateLimit', () => {
  it('lets so many lines pass in a second and counts the rest', () => {
    let now = 0;
    const limit = new RateLimit(() => now, 3);
    const passed = Array.from({ length: 10 }, () => limit.allow()).filter(Boolean);
    expect(passed).to.have.length(3);
    now += 1e9;
    expect(limit.allow()).to.equal(true);
    expect(limit.tail()).to.equal(' (7 more not shown)');
    expect(limit.tail()).to.equal('');
  });
});
